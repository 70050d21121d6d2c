//! The kinds of tests that an index answers together.

use guard_domain::Quantifier;

use crate::engine::check::Term;
use crate::engine::paths::SlotId;
use crate::matcher::Check;
use crate::matcher::predicate::Predicate;

/// What an index is of. Within one, a clause has one test that must hold, or tests that must not: those that must not can be
/// told together, since each of them rules the clause out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::engine) struct Family {
    pub(in crate::engine) slot: SlotId,
    pub(in crate::engine) shape: Shape,
    /// Whether all elements of an array must pass.
    pub(super) all: bool,
    /// Apart for clauses with several such tests.
    pub(in crate::engine) layer: u8,
}

/// The kind of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(in crate::engine) enum Shape {
    Equal { fold: bool },
    Prefix { fold: bool },
    Suffix { fold: bool },
    Contains { fold: bool },
    Networks,
    Range,
    Exists,
}

impl Family {
    /// The index that can answer a test, in its first layer; `None` if none can.
    pub(in crate::engine) fn of(term: &Term) -> Option<Self> {
        let shape = match &term.matcher.check {
            Check::Exists => Shape::Exists,
            Check::Field { .. } => return None,
            Check::Value(predicate) => match predicate {
                Predicate::OneOf { ignore_case, .. } => Shape::Equal { fold: *ignore_case },
                Predicate::Prefix(text) => Shape::Prefix {
                    fold: text.ignore_case,
                },
                Predicate::Suffix(text) => Shape::Suffix {
                    fold: text.ignore_case,
                },
                Predicate::Contains { ignore_case, .. } => Shape::Contains { fold: *ignore_case },
                Predicate::Cidr(_) => Shape::Networks,
                Predicate::Order(..) | Predicate::Between(..) => Shape::Range,
                Predicate::Regex(_) => return None,
            },
        };
        Some(Self {
            slot: term.slot,
            shape,
            all: term.matcher.quantifier == Quantifier::All,
            layer: 0,
        })
    }

    /// Whether all elements of an array must pass.
    pub(in crate::engine) const fn is_all(self) -> bool {
        self.all
    }

    pub(in crate::engine) const fn in_layer(self, layer: u8) -> Self {
        Self { layer, ..self }
    }
}

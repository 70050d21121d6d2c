//! Tests in a form that is checked where it lies: a candidate costs a cache line or two, not a walk through its rule.

use guard_domain::Operator;

use super::check::{Reading, Term};
use super::paths::SlotId;
use super::slots::View;
use super::text_table::{SHORT, TextWords};
use crate::matcher::Check;
use crate::matcher::predicate::{Predicate, Scalar, Text};
use crate::number::{Number, ShortNumber};

/// A test, ready to be checked often.
#[derive(Debug)]
pub(super) struct Quick {
    slot: SlotId,
    /// The number of the whole test, for what is not simple.
    term: u32,
    negated: bool,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Text of few bytes.
    Text(TextWords),
    /// Text that begins with a few bytes.
    Prefix {
        length: usize,
        word: u64,
    },
    /// A short number within bounds, which are included.
    Number(ShortNumber, ShortNumber),
    Exists,
    Other,
}

impl Quick {
    pub(super) fn new(term: &Term, number: u32) -> Self {
        let kind = match &term.matcher.check {
            Check::Exists => Some(Kind::Exists),
            Check::Value(predicate) => simple(predicate),
            Check::Field { .. } => None,
        };
        Self {
            slot: term.slot,
            term: number,
            negated: term.negated,
            kind: kind.unwrap_or(Kind::Other),
        }
    }

    /// Whether it holds; `terms` are the whole tests.
    #[inline]
    pub(super) fn holds(&self, event: &mut Reading<'_>, terms: &[Term]) -> bool {
        let passes = match (&self.kind, event.view(self.slot)) {
            (_, View::Missing) => false,
            (Kind::Exists, _) => true,
            (Kind::Text(words), View::Text(text)) => TextWords::of(text.as_bytes()) == *words,
            (Kind::Prefix { length, word }, View::Text(text)) => {
                text.len() >= *length && TextWords::prefix(text.as_bytes(), *length) == *word
            }
            (Kind::Number(low, high), View::Number(text)) => match ShortNumber::parse(text) {
                Some(number) => *low <= number && number <= *high,
                None => return self.holds_whole(event, terms),
            },
            (Kind::Other, _) | (_, View::Array(_)) => return self.holds_whole(event, terms),
            _ => false,
        };
        passes != self.negated
    }

    fn holds_whole(&self, event: &mut Reading<'_>, terms: &[Term]) -> bool {
        let term = terms.get(self.term as usize);
        term.is_some_and(|term| term.holds(event))
    }
}

/// The simple form of a predicate, if it has one.
fn simple(predicate: &Predicate) -> Option<Kind> {
    match predicate {
        Predicate::OneOf {
            scalars,
            ignore_case: false,
        } => match scalars.as_slice() {
            [Scalar::String(text)] if text.len() <= SHORT => {
                Some(Kind::Text(TextWords::of(text.as_bytes())))
            }
            [Scalar::Number(number)] => range(number, number),
            _ => None,
        },
        Predicate::Prefix(Text {
            text,
            ignore_case: false,
        }) if text.len() <= 8 => Some(Kind::Prefix {
            length: text.len(),
            word: TextWords::prefix(text.as_bytes(), text.len()),
        }),
        Predicate::Between(low, high) => range(low, high),
        Predicate::Order(operator, bound) => {
            let bound = ShortNumber::of(bound)?;
            Some(match operator {
                Operator::Gt => Kind::Number(bound.next(), ShortNumber::MAX),
                Operator::Gte => Kind::Number(bound, ShortNumber::MAX),
                Operator::Lt => Kind::Number(ShortNumber::MIN, bound.previous()),
                Operator::Lte => Kind::Number(ShortNumber::MIN, bound),
                _ => return None,
            })
        }
        _ => None,
    }
}

fn range(low: &Number, high: &Number) -> Option<Kind> {
    Some(Kind::Number(ShortNumber::of(low)?, ShortNumber::of(high)?))
}

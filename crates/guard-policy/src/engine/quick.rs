//! Tests in a form that is checked where it lies: a candidate costs a cache line or two, not a walk through its rule.

use guard_domain::Operator;

use super::check::{Reading, Term};
use super::paths::SlotId;
use super::slots::{Kind as Slotted, View};
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
    /// One of several texts of few bytes.
    Texts(Box<[TextWords]>),
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
        let words = || event.slots.words(self.slot);
        let passes = match (&self.kind, event.slots.kind(self.slot)) {
            (_, Slotted::Missing) => false,
            (Kind::Exists, _) => true,
            (Kind::Text(text), Slotted::Text | Slotted::Unescaped) => words() == *text,
            (Kind::Texts(texts), Slotted::Text | Slotted::Unescaped) => texts.contains(&words()),
            (Kind::Prefix { length, word }, Slotted::Text | Slotted::Unescaped) => {
                words().begins_with(*length, *word)
            }
            (Kind::Number(low, high), Slotted::Number) => match event.view(self.slot) {
                View::Number(text) => match ShortNumber::parse(text) {
                    Some(number) => *low <= number && number <= *high,
                    None => return self.holds_whole(event, terms),
                },
                _ => false,
            },
            (Kind::Other, _) | (_, Slotted::Array) => return self.holds_whole(event, terms),
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
            [single @ Scalar::String(_)] => short_text(single).map(Kind::Text),
            [Scalar::Number(number)] => range(number, number),
            several => several
                .iter()
                .map(short_text)
                .collect::<Option<_>>()
                .map(Kind::Texts),
        },
        Predicate::Prefix(Text {
            text,
            ignore_case: false,
        }) if text.len() <= 8 => Some(Kind::Prefix {
            length: text.len(),
            word: TextWords::of(text.as_bytes()).first(),
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

fn short_text(scalar: &Scalar) -> Option<TextWords> {
    match scalar {
        Scalar::String(text) if text.len() <= SHORT => Some(TextWords::of(text.as_bytes())),
        _ => None,
    }
}

fn range(low: &Number, high: &Number) -> Option<Kind> {
    Some(Kind::Number(ShortNumber::of(low)?, ShortNumber::of(high)?))
}

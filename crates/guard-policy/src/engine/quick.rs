//! Tests in a form that is checked where it lies: a candidate costs a cache line or two, not a walk through its rule.

use guard_domain::{Operator, Quantifier};
use ipnet::IpNet;

use super::check::{Reading, Term};
use super::clause::Tree;
use super::paths::SlotId;
use super::scan::Elements;
use super::slots::{Kind as Slotted, View};
use super::text_table::{SHORT, TextWords};
use crate::matcher::Check;
use crate::matcher::predicate::{Predicate, Scalar, Text};
use crate::number::{Number, ShortNumber};

/// A test, ready to be checked often: one cache line, since candidates lie far apart.
#[derive(Debug)]
#[repr(align(64))]
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
    /// Text that ends with a few bytes.
    Suffix {
        length: usize,
        word: u64,
    },
    /// An array with an element of few bytes.
    Element(TextWords),
    /// An address in one of several networks.
    Networks(Box<[IpNet]>),
    /// A short number within bounds, which are included.
    Number(ShortNumber, ShortNumber),
    Exists,
    Other,
}

/// Alternatives and conjunctions of such tests.
#[derive(Debug)]
pub(super) enum QuickTree {
    All(Box<[QuickTree]>),
    Any(Box<[QuickTree]>),
    Test(Quick),
}

impl QuickTree {
    /// The quick form of a condition; the whole tests go to `terms`.
    pub(super) fn new(tree: &Tree, terms: &mut Vec<Term>) -> Self {
        let mut each = |list: &[Tree]| list.iter().map(|tree| Self::new(tree, terms)).collect();
        match tree {
            Tree::All(list) => Self::All(each(list)),
            Tree::Any(list) => Self::Any(each(list)),
            Tree::Test(term) => Self::Test(Quick::new(term, terms)),
        }
    }

    /// Whether it holds; `terms` are the whole tests.
    pub(super) fn holds(&self, event: &mut Reading<'_>, terms: &[Term]) -> bool {
        match self {
            Self::All(list) => list.iter().all(|tree| tree.holds(event, terms)),
            Self::Any(list) => list.iter().any(|tree| tree.holds(event, terms)),
            Self::Test(test) => test.holds(event, terms),
        }
    }
}

impl Quick {
    /// The quick form of a test; the whole one goes to `terms`.
    pub(super) fn new(term: &Term, terms: &mut Vec<Term>) -> Self {
        let number = u32::try_from(terms.len()).unwrap_or(u32::MAX);
        terms.push(term.clone());
        let kind = match &term.matcher.check {
            Check::Exists => Some(Kind::Exists),
            Check::Value(predicate) => {
                simple(predicate, term.matcher.quantifier == Quantifier::All)
            }
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
            (Kind::Suffix { length, word }, Slotted::Text | Slotted::Unescaped) => {
                matches!(event.view(self.slot), View::Text(text) if ends_with(text, *length, *word))
            }
            (Kind::Element(element), Slotted::Array) => {
                match event.slots.view(self.slot, event.text) {
                    View::Array(array) => has_element(array, element, &mut event.room.element),
                    _ => false,
                }
            }
            (Kind::Networks(networks), Slotted::Text | Slotted::Unescaped) => {
                let address = event.address(self.slot);
                address.is_some_and(|address| networks.iter().any(|one| one.contains(&address)))
            }
            (Kind::Number(low, high), Slotted::Number) => match event.view(self.slot) {
                View::Number(text) => match ShortNumber::parse(text) {
                    Some(number) => *low <= number && number <= *high,
                    None => return self.holds_whole(event, terms),
                },
                _ => false,
            },
            (Kind::Element(_) | Kind::Other, _) | (_, Slotted::Array) => {
                return self.holds_whole(event, terms);
            }
            _ => false,
        };
        passes != self.negated
    }

    fn holds_whole(&self, event: &mut Reading<'_>, terms: &[Term]) -> bool {
        let term = terms.get(self.term as usize);
        term.is_some_and(|term| term.holds(event))
    }
}

fn ends_with(text: &str, length: usize, word: u64) -> bool {
    let end = text.len().checked_sub(length);
    let end = end.and_then(|start| text.as_bytes().get(start..));
    end.is_some_and(|end| TextWords::of(end).first() == word)
}

fn has_element(array: &str, element: &TextWords, room: &mut String) -> bool {
    let mut elements = Elements::of(array);
    while let Some(found) = elements.next(room) {
        if matches!(found, View::Text(text) if TextWords::of(text.as_bytes()) == *element) {
            return true;
        }
    }
    false
}

/// The simple form of a predicate, if it has one; `all` tells that all elements of an array must pass.
fn simple(predicate: &Predicate, all: bool) -> Option<Kind> {
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
        Predicate::Suffix(Text {
            text,
            ignore_case: false,
        }) if text.len() <= 8 => Some(Kind::Suffix {
            length: text.len(),
            word: TextWords::of(text.as_bytes()).first(),
        }),
        Predicate::Contains {
            scalar,
            ignore_case: false,
        } if !all => short_text(scalar).map(Kind::Element),
        Predicate::Cidr(networks) => Some(Kind::Networks(networks.as_slice().into())),
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

#[cfg(test)]
mod tests {
    use super::Quick;

    #[test]
    fn a_test_is_one_cache_line() {
        assert_eq!(size_of::<Quick>(), 64);
    }
}

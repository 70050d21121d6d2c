//! A single test, run on the values of an event: for the few rules that the indexes leave over.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use guard_domain::{Operator, Quantifier};

use super::paths::SlotId;
use super::scan::Elements;
use super::slots::{Slots, View};
use crate::matcher::predicate::{Predicate, Scalar, Text, ordered};
use crate::matcher::{Check, Matcher};
use crate::number::{Number, NumberView};

/// A test, with the slots of its fields.
#[derive(Debug, Clone)]
pub(super) struct Term {
    pub(super) matcher: Arc<Matcher>,
    pub(super) slot: SlotId,
    /// The slot of the field that is compared with.
    pub(super) other: Option<SlotId>,
    /// Whether it holds exactly when the test does not, whatever the test itself says about negation.
    pub(super) negated: bool,
}

/// The values of an event, and room for making text of them.
pub(super) struct Reading<'a> {
    pub(super) text: &'a str,
    pub(super) slots: &'a Slots,
    pub(super) room: &'a mut Room,
}

/// Text that is made while testing; kept from event to event.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// The address last parsed: the event, its slot, and what it is.
    address: (u64, SlotId, Option<IpAddr>),
    pub(super) folded: String,
    pub(super) element: String,
    other: String,
}

impl Reading<'_> {
    /// The address that the text in a slot is. It is parsed once for all rules that ask.
    pub(super) fn address(&mut self, slot: SlotId) -> Option<IpAddr> {
        let (event, known, address) = self.room.address;
        if (event, known) == (self.slots.event(), slot) {
            return address;
        }
        let address = match self.view(slot) {
            View::Text(text) => parse_address(text),
            _ => None,
        };
        self.room.address = (self.slots.event(), slot, address);
        address
    }

    pub(super) fn view(&self, slot: SlotId) -> View<'_> {
        self.slots.view(slot, self.text)
    }
}

impl Term {
    pub(super) fn holds(&self, event: &mut Reading<'_>) -> bool {
        self.passes(event) != self.negated
    }

    fn passes(&self, event: &mut Reading<'_>) -> bool {
        let view = event.slots.view(self.slot, event.text);
        if view == View::Missing {
            return false;
        }
        let room = &mut *event.room;
        let all = self.matcher.quantifier == Quantifier::All;
        match &self.matcher.check {
            Check::Exists => true,
            Check::Value(predicate) => quantified(view, all, room, |view, in_array, room| {
                accepts(predicate, view, in_array, room)
            }),
            Check::Field {
                operator,
                ignore_case,
                ..
            } => {
                let other = self.other.map(|slot| event.slots.view(slot, event.text));
                let Some(other) = other.and_then(Operand::of_view) else {
                    return false;
                };
                quantified(view, all, room, |view, in_array, room| {
                    compares(*operator, other, *ignore_case, view, in_array, room)
                })
            }
        }
    }
}

fn quantified(
    view: View<'_>,
    all: bool,
    room: &mut Room,
    mut passes: impl FnMut(View<'_>, bool, &mut Room) -> bool,
) -> bool {
    let View::Array(text) = view else {
        return passes(view, false, room);
    };
    let mut buffer = std::mem::take(&mut room.element);
    let mut elements = Elements::of(text);
    let mut any = false;
    while let Some(element) = elements.next(&mut buffer) {
        any = passes(element, true, room);
        if any != all {
            break;
        }
    }
    room.element = buffer;
    any
}

/// What a value is compared with.
#[derive(Clone, Copy)]
enum Operand<'a> {
    Null,
    Bool(bool),
    Number(NumberView<'a>),
    Text(&'a str),
}

impl<'a> Operand<'a> {
    fn of_view(view: View<'a>) -> Option<Self> {
        match view {
            View::Null => Some(Self::Null),
            View::Bool(value) => Some(Self::Bool(value)),
            View::Number(text) => Some(Self::Number(NumberView::parse(text))),
            View::Text(text) => Some(Self::Text(text)),
            View::Missing | View::Array(_) | View::Object => None,
        }
    }

    fn of_scalar(scalar: &'a Scalar) -> Self {
        match scalar {
            Scalar::Null => Self::Null,
            Scalar::Bool(value) => Self::Bool(*value),
            Scalar::Number(number) => Self::Number(number.view()),
            Scalar::String(text) => Self::Text(text),
        }
    }

    /// Whether a value equals it; text on both sides has been folded.
    fn equals(self, value: View<'_>) -> bool {
        match (self, value) {
            (Self::Null, View::Null) => true,
            (Self::Bool(mine), View::Bool(theirs)) => mine == theirs,
            (Self::Number(mine), View::Number(theirs)) => {
                NumberView::parse(theirs).compare(mine).is_eq()
            }
            (Self::Text(mine), View::Text(theirs)) => mine == theirs,
            _ => false,
        }
    }
}

/// Whether a value passes. Text in the predicate has been folded.
fn accepts(predicate: &Predicate, view: View<'_>, in_array: bool, room: &mut Room) -> bool {
    match (predicate, view) {
        (
            Predicate::OneOf {
                scalars,
                ignore_case,
            },
            _,
        ) => {
            let value = folded_view(view, *ignore_case, &mut room.folded);
            scalars
                .iter()
                .any(|scalar| Operand::of_scalar(scalar).equals(value))
        }
        (Predicate::Order(operator, bound), View::Number(text)) => {
            ordered(*operator, compare(text, bound))
        }
        (Predicate::Between(low, high), View::Number(text)) => {
            compare(text, low).is_ge() && compare(text, high).is_le()
        }
        (Predicate::Prefix(Text { text, ignore_case }), View::Text(found)) => {
            fold(found, *ignore_case, &mut room.folded).starts_with(text.as_str())
        }
        (Predicate::Suffix(Text { text, ignore_case }), View::Text(found)) => {
            fold(found, *ignore_case, &mut room.folded).ends_with(text.as_str())
        }
        (
            Predicate::Contains {
                scalar,
                ignore_case,
            },
            _,
        ) => {
            let value = folded_view(view, *ignore_case, &mut room.folded);
            contains(Operand::of_scalar(scalar), value, in_array)
        }
        (Predicate::Regex(pattern), View::Text(found)) => pattern.is_match(found),
        (Predicate::Cidr(networks), View::Text(found)) => parse_address(found)
            .is_some_and(|address| networks.iter().any(|network| network.contains(&address))),
        _ => false,
    }
}

fn compare(text: &str, bound: &Number) -> Ordering {
    NumberView::parse(text).compare(bound.view())
}

fn contains(needle: Operand<'_>, value: View<'_>, in_array: bool) -> bool {
    if in_array {
        return needle.equals(value);
    }
    match (needle, value) {
        (Operand::Text(needle), View::Text(text)) => text.contains(needle),
        _ => false,
    }
}

/// Whether a value passes against that of another field.
fn compares(
    operator: Operator,
    other: Operand<'_>,
    ignore_case: bool,
    view: View<'_>,
    in_array: bool,
    room: &mut Room,
) -> bool {
    let Room {
        folded,
        other: folded_other,
        ..
    } = room;
    let other = match other {
        Operand::Text(text) => Operand::Text(fold(text, ignore_case, folded_other)),
        other => other,
    };
    let value = folded_view(view, ignore_case, folded);
    match (operator, other, value) {
        (Operator::Eq, _, _) => other.equals(value),
        (Operator::Contains, _, _) => contains(other, value, in_array),
        (Operator::Prefix, Operand::Text(other), View::Text(text)) => text.starts_with(other),
        (Operator::Suffix, Operand::Text(other), View::Text(text)) => text.ends_with(other),
        (_, Operand::Number(bound), View::Number(text)) => {
            ordered(operator, NumberView::parse(text).compare(bound))
        }
        _ => false,
    }
}

fn folded_view<'a>(view: View<'a>, ignore_case: bool, room: &'a mut String) -> View<'a> {
    match view {
        View::Text(text) => View::Text(fold(text, ignore_case, room)),
        other => other,
    }
}

/// The address that a text is; IPv4 written as IPv6 is the IPv4 address it is.
pub(super) fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse()
        .ok()
        .map(|address: IpAddr| address.to_canonical())
}

/// Text without regard to case, if that is asked: the lower-case mapping of each character.
pub(super) fn fold<'a>(text: &'a str, ignore_case: bool, room: &'a mut String) -> &'a str {
    let is_folded = |byte: u8| byte.is_ascii() && !byte.is_ascii_uppercase();
    if !ignore_case || text.bytes().all(is_folded) {
        return text;
    }
    room.clear();
    if text.is_ascii() {
        room.push_str(text);
        room.make_ascii_lowercase();
    } else {
        room.extend(text.chars().flat_map(char::to_lowercase));
    }
    room
}

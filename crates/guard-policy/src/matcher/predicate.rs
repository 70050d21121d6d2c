//! What a single value must be.

use std::cmp::Ordering;
use std::net::IpAddr;

use guard_domain::Operator;
use ipnet::IpNet;
use regex::Regex;

use crate::document::Value;
use crate::number::Number;

/// A value that can be compared: neither an array nor an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    String(String),
}

impl Scalar {
    /// The scalar that a value of an event is, if it is one.
    pub(crate) fn of(value: &Value<'_>) -> Option<Self> {
        match value {
            Value::Null => Some(Self::Null),
            Value::Bool(value) => Some(Self::Bool(*value)),
            Value::Number(text) => Some(Self::Number(Number::parse(text))),
            Value::String(text) => Some(Self::String(text.clone().into_owned())),
            Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The scalar, made ready to be compared: equal ones are then the same.
    pub(crate) fn folded(self, ignore_case: bool) -> Self {
        match self {
            Self::String(text) => Self::String(fold(&text, ignore_case)),
            other => other,
        }
    }
}

/// Text to compare with, and how.
#[derive(Debug)]
pub(crate) struct Text {
    pub(crate) text: String,
    pub(crate) ignore_case: bool,
}

impl Text {
    pub(crate) fn new(text: &str, ignore_case: bool) -> Self {
        Self {
            text: fold(text, ignore_case),
            ignore_case,
        }
    }

    fn compare(&self, found: &str, passes: impl FnOnce(&str, &str) -> bool) -> bool {
        if self.ignore_case {
            passes(&fold(found, true), &self.text)
        } else {
            passes(found, &self.text)
        }
    }
}

/// Text without regard to case: the Unicode lower-case mapping of each character, whatever stands beside it.
fn fold(text: &str, ignore_case: bool) -> String {
    if ignore_case {
        text.chars().flat_map(char::to_lowercase).collect()
    } else {
        text.to_owned()
    }
}

/// What a single value must be.
#[derive(Debug)]
pub(crate) enum Predicate {
    /// Equal to one of these, which are folded.
    OneOf {
        scalars: Vec<Scalar>,
        ignore_case: bool,
    },
    /// A number that compares so.
    Order(Operator, Number),
    /// A number within these bounds.
    Between(Number, Number),
    /// Text that begins so.
    Prefix(Text),
    /// Text that ends so.
    Suffix(Text),
    /// Text that holds this, which is folded; as an element of an array, equal to it.
    Contains { scalar: Scalar, ignore_case: bool },
    /// Text in which the pattern is found.
    Regex(Regex),
    /// An address in one of these networks.
    Cidr(Vec<IpNet>),
}

impl Predicate {
    /// The predicate of an operator against another field's value; `None` if they cannot be compared.
    pub(crate) fn against(operator: Operator, other: Scalar, ignore_case: bool) -> Option<Self> {
        Some(match (operator, other) {
            (Operator::Eq, scalar) => Self::OneOf {
                scalars: vec![scalar.folded(ignore_case)],
                ignore_case,
            },
            (Operator::Contains, scalar) => Self::Contains {
                scalar: scalar.folded(ignore_case),
                ignore_case,
            },
            (Operator::Prefix, Scalar::String(text)) => Self::Prefix(Text::new(&text, ignore_case)),
            (Operator::Suffix, Scalar::String(text)) => Self::Suffix(Text::new(&text, ignore_case)),
            (
                Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte,
                Scalar::Number(number),
            ) => Self::Order(operator, number),
            _ => return None,
        })
    }

    /// Whether a value that is not an array passes.
    pub(crate) fn accepts(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (
                Self::OneOf {
                    scalars,
                    ignore_case,
                },
                _,
            ) => {
                Scalar::of(value).is_some_and(|found| scalars.contains(&found.folded(*ignore_case)))
            }
            (Self::Order(operator, bound), Value::Number(text)) => {
                ordered(*operator, Number::parse(text).cmp(bound))
            }
            (Self::Between(low, high), Value::Number(text)) => {
                let number = Number::parse(text);
                *low <= number && number <= *high
            }
            (Self::Prefix(text), Value::String(found)) => {
                text.compare(found, |found, text| found.starts_with(text))
            }
            (Self::Suffix(text), Value::String(found)) => {
                text.compare(found, |found, text| found.ends_with(text))
            }
            (
                Self::Contains {
                    scalar: Scalar::String(text),
                    ignore_case,
                },
                Value::String(found),
            ) => fold(found, *ignore_case).contains(text),
            (Self::Regex(pattern), Value::String(found)) => pattern.is_match(found),
            (Self::Cidr(networks), Value::String(found)) => in_networks(found, networks),
            _ => false,
        }
    }

    /// Whether an element of an array passes.
    pub(crate) fn accepts_element(&self, value: &Value<'_>) -> bool {
        match self {
            Self::Contains {
                scalar,
                ignore_case,
            } => Scalar::of(value).is_some_and(|found| found.folded(*ignore_case) == *scalar),
            _ => self.accepts(value),
        }
    }
}

/// Whether an ordering is the one that an operator asks for.
pub(crate) fn ordered(operator: Operator, ordering: Ordering) -> bool {
    match operator {
        Operator::Gt => ordering.is_gt(),
        Operator::Gte => ordering.is_ge(),
        Operator::Lt => ordering.is_lt(),
        Operator::Lte => ordering.is_le(),
        _ => false,
    }
}

/// IPv4 addresses written as IPv6 (`::ffff:10.0.0.5`) count as the IPv4 addresses they are.
fn in_networks(text: &str, networks: &[IpNet]) -> bool {
    text.parse::<IpAddr>().is_ok_and(|address| {
        let address = address.to_canonical();
        networks.iter().any(|network| network.contains(&address))
    })
}

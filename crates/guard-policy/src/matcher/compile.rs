//! Tests to predicates, and what can be wrong with them.

use guard_domain::{Literal, Operand, Operator, Quantifier, Test};
use thiserror::Error;

use super::Check;
use super::network::networks;
use super::pattern::{regex, wildcard};
use super::predicate::{Predicate, Scalar, Text};
use crate::number::Number;

/// Why a test cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum MatcherError {
    #[error("`{operator}` needs `value`: {expected}")]
    NoOperand {
        operator: String,
        expected: &'static str,
    },
    #[error("`{operator}` takes {expected}, not {found}")]
    WrongOperand {
        operator: String,
        expected: &'static str,
        found: String,
    },
    #[error("`exists` takes no `value` and no `quantifier`")]
    ExistsTakesNothing,
    #[error(
        "`value_of` goes with eq, ne, gt, gte, lt, lte, prefix, suffix, contains and their negations, not with `{0}`"
    )]
    NoValueOf(String),
    #[error(
        "`ignore_case` goes with eq, in, prefix, suffix, contains, wildcard and regex, not with `{0}`"
    )]
    NoIgnoreCase(String),
    #[error("`between` takes [low, high], and {low} is more than {high}")]
    EmptyRange { low: String, high: String },
    #[error("`{text}` is not a network such as 10.0.0.0/8 or 2001:db8::/32{hint}")]
    Network { text: String, hint: String },
    #[error("`{pattern}` is not a pattern: {detail}")]
    Pattern { pattern: String, detail: String },
    #[error("the pattern is too costly: {found} where {bound} is the bound")]
    TooCostly { found: String, bound: String },
}

/// What an operator takes, for messages.
const fn expected(operator: Operator) -> &'static str {
    match operator {
        Operator::Eq => "a string, a number, a boolean or null",
        Operator::In => "a list of strings, numbers, booleans and nulls",
        Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte => "a number",
        Operator::Between => "a list of two numbers, the lower one first",
        Operator::Contains => "a string, a number, a boolean or null",
        Operator::Cidr => "a network such as 10.0.0.0/8, or a list of them",
        Operator::Prefix | Operator::Suffix | Operator::Wildcard | Operator::Regex => "a string",
        Operator::Exists => "nothing",
    }
}

pub(super) fn check(test: &Test) -> Result<Check, MatcherError> {
    let spelling = || test.operator.spelling(test.negated);
    let takes_case = matches!(
        test.operator,
        Operator::Eq
            | Operator::In
            | Operator::Prefix
            | Operator::Suffix
            | Operator::Contains
            | Operator::Wildcard
            | Operator::Regex
    );
    if test.ignore_case && !takes_case {
        return Err(MatcherError::NoIgnoreCase(spelling()));
    }
    match (&test.operand, test.operator) {
        (_, Operator::Exists) if test.quantifier == Quantifier::All => {
            Err(MatcherError::ExistsTakesNothing)
        }
        (Operand::None, Operator::Exists) => Ok(Check::Exists),
        (_, Operator::Exists) => Err(MatcherError::ExistsTakesNothing),
        (Operand::None, operator) => Err(MatcherError::NoOperand {
            operator: spelling(),
            expected: expected(operator),
        }),
        (Operand::ValueOf(other), operator) => {
            let comparable = matches!(
                operator,
                Operator::Eq
                    | Operator::Gt
                    | Operator::Gte
                    | Operator::Lt
                    | Operator::Lte
                    | Operator::Prefix
                    | Operator::Suffix
                    | Operator::Contains
            );
            if !comparable {
                return Err(MatcherError::NoValueOf(spelling()));
            }
            Ok(Check::Field {
                operator,
                other: other.clone(),
                ignore_case: test.ignore_case,
            })
        }
        (Operand::Value(value), operator) => {
            let predicate = predicate(operator, value, test.ignore_case)?;
            predicate
                .map(Check::Value)
                .ok_or_else(|| MatcherError::WrongOperand {
                    operator: spelling(),
                    expected: expected(operator),
                    found: value.to_string(),
                })
        }
    }
}

/// The predicate of an operator and a value; `None` if the value is of the wrong kind.
fn predicate(
    operator: Operator,
    value: &Literal,
    ignore_case: bool,
) -> Result<Option<Predicate>, MatcherError> {
    let folded = |value: &Literal| scalar(value).map(|scalar| scalar.folded(ignore_case));
    Ok(match (operator, value) {
        (Operator::Eq, value) => folded(value).map(|scalar| Predicate::OneOf {
            scalars: vec![scalar],
            ignore_case,
        }),
        (Operator::In, Literal::List(items)) => items
            .iter()
            .map(folded)
            .collect::<Option<_>>()
            .map(|scalars| Predicate::OneOf {
                scalars,
                ignore_case,
            }),
        (Operator::Contains, value) => folded(value).map(|scalar| Predicate::Contains {
            scalar,
            ignore_case,
        }),
        (Operator::Gt | Operator::Gte | Operator::Lt | Operator::Lte, Literal::Number(number)) => {
            Some(Predicate::Order(operator, Number::parse(number.as_str())))
        }
        (Operator::Between, Literal::List(items)) => between(items)?,
        (Operator::Prefix, Literal::String(text)) => {
            Some(Predicate::Prefix(Text::new(text, ignore_case)))
        }
        (Operator::Suffix, Literal::String(text)) => {
            Some(Predicate::Suffix(Text::new(text, ignore_case)))
        }
        (Operator::Regex, Literal::String(pattern)) => {
            Some(Predicate::Regex(regex(pattern, pattern, ignore_case)?))
        }
        (Operator::Wildcard, Literal::String(pattern)) => {
            let source = wildcard(pattern)?;
            Some(Predicate::Regex(regex(pattern, &source, ignore_case)?))
        }
        (Operator::Cidr, value) => networks(value)?.map(Predicate::Cidr),
        _ => None,
    })
}

fn scalar(literal: &Literal) -> Option<Scalar> {
    match literal {
        Literal::Null => Some(Scalar::Null),
        Literal::Bool(value) => Some(Scalar::Bool(*value)),
        Literal::Number(number) => Some(Scalar::Number(Number::parse(number.as_str()))),
        Literal::String(text) => Some(Scalar::String(text.clone())),
        Literal::List(_) | Literal::Map(_) => None,
    }
}

fn between(items: &[Literal]) -> Result<Option<Predicate>, MatcherError> {
    let [Literal::Number(low), Literal::Number(high)] = items else {
        return Ok(None);
    };
    let bounds = (Number::parse(low.as_str()), Number::parse(high.as_str()));
    if bounds.0 > bounds.1 {
        return Err(MatcherError::EmptyRange {
            low: low.to_string(),
            high: high.to_string(),
        });
    }
    Ok(Some(Predicate::Between(bounds.0, bounds.1)))
}

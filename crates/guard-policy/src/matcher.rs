//! A test of one field, ready to run.

mod compile;
mod network;
mod pattern;
pub(crate) mod predicate;

use guard_domain::{FieldPath, Operator, Quantifier, Test};

use crate::document::{Document, Value};
pub(crate) use compile::MatcherError;
pub(crate) use pattern::is_costly;
use predicate::{Predicate, Scalar};

/// A compiled [`Test`].
#[derive(Debug)]
pub(crate) struct Matcher {
    pub(crate) field: FieldPath,
    pub(crate) check: Check,
    pub(crate) negated: bool,
    pub(crate) quantifier: Quantifier,
}

#[derive(Debug)]
pub(crate) enum Check {
    /// The field is there.
    Exists,
    /// Its value passes.
    Value(Predicate),
    /// Its value passes against that of another field.
    Field {
        operator: Operator,
        other: FieldPath,
        ignore_case: bool,
    },
}

impl Matcher {
    /// Makes a test ready to run.
    ///
    /// # Errors
    /// [`MatcherError`] when the operator has no use for its operand, or the operand is no pattern, network or number.
    pub(crate) fn compile(test: &Test) -> Result<Self, MatcherError> {
        Ok(Self {
            field: test.field.clone(),
            check: compile::check(test)?,
            negated: test.negated,
            quantifier: test.quantifier,
        })
    }

    /// Whether the test holds of an event. A negated test is exactly the opposite of the plain one.
    pub(crate) fn holds(&self, event: &Document<'_>) -> bool {
        self.passes(event) != self.negated
    }

    fn passes(&self, event: &Document<'_>) -> bool {
        let Some(found) = event.find(&self.field) else {
            return false;
        };
        match &self.check {
            Check::Exists => true,
            Check::Value(predicate) => self.quantified(&found.value, predicate),
            Check::Field {
                operator,
                other,
                ignore_case,
            } => {
                let other = event.find(other).and_then(|other| Scalar::of(&other.value));
                other
                    .and_then(|other| Predicate::against(*operator, other, *ignore_case))
                    .is_some_and(|predicate| self.quantified(&found.value, &predicate))
            }
        }
    }

    fn quantified(&self, value: &Value<'_>, predicate: &Predicate) -> bool {
        match (value, self.quantifier) {
            (Value::Array(items), Quantifier::Any) => items
                .iter()
                .any(|item| predicate.accepts_element(&item.value)),
            (Value::Array(items), Quantifier::All) => {
                !items.is_empty()
                    && items
                        .iter()
                        .all(|item| predicate.accepts_element(&item.value))
            }
            (single, _) => predicate.accepts(single),
        }
    }
}

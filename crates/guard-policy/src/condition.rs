//! Conditions, ready to run.

use std::sync::Arc;

use guard_domain::{Condition, FieldPath};

use crate::document::Document;
use crate::matcher::{Check, Matcher, MatcherError};

/// A compiled [`Condition`].
#[derive(Debug)]
pub(crate) enum Compiled {
    All(Vec<Compiled>),
    Any(Vec<Compiled>),
    Not(Box<Compiled>),
    Test(Arc<Matcher>),
}

impl Compiled {
    pub(crate) fn compile(condition: &Condition) -> Result<Self, MatcherError> {
        let all = |list: &[Condition]| list.iter().map(Self::compile).collect::<Result<_, _>>();
        Ok(match condition {
            Condition::All(list) => Self::All(all(list)?),
            Condition::Any(list) => Self::Any(all(list)?),
            Condition::Not(inner) => Self::Not(Box::new(Self::compile(inner)?)),
            Condition::Test(test) => Self::Test(Arc::new(Matcher::compile(test)?)),
        })
    }

    /// Tells the fields it looks at.
    pub(crate) fn each_field<'a>(&'a self, tell: &mut impl FnMut(&'a FieldPath)) {
        match self {
            Self::All(list) | Self::Any(list) => {
                list.iter().for_each(|condition| condition.each_field(tell));
            }
            Self::Not(inner) => inner.each_field(tell),
            Self::Test(matcher) => {
                tell(&matcher.field);
                if let Check::Field { other, .. } = &matcher.check {
                    tell(other);
                }
            }
        }
    }

    pub(crate) fn holds(&self, event: &Document<'_>) -> bool {
        match self {
            Self::All(list) => list.iter().all(|condition| condition.holds(event)),
            Self::Any(list) => list.iter().any(|condition| condition.holds(event)),
            Self::Not(inner) => !inner.holds(event),
            Self::Test(matcher) => matcher.holds(event),
        }
    }
}

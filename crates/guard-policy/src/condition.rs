//! Conditions, ready to run.

use guard_domain::Condition;

use crate::document::Document;
use crate::matcher::{Matcher, MatcherError};

/// A compiled [`Condition`].
#[derive(Debug)]
pub(crate) enum Compiled {
    All(Vec<Compiled>),
    Any(Vec<Compiled>),
    Not(Box<Compiled>),
    Test(Matcher),
}

impl Compiled {
    pub(crate) fn compile(condition: &Condition) -> Result<Self, MatcherError> {
        let all = |list: &[Condition]| list.iter().map(Self::compile).collect::<Result<_, _>>();
        Ok(match condition {
            Condition::All(list) => Self::All(all(list)?),
            Condition::Any(list) => Self::Any(all(list)?),
            Condition::Not(inner) => Self::Not(Box::new(Self::compile(inner)?)),
            Condition::Test(test) => Self::Test(Matcher::compile(test)?),
        })
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

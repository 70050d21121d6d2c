//! Conditions as alternatives of plain conjunctions, which indexes can answer.

use guard_domain::FieldPath;

use super::check::Term;
use super::paths::SlotId;
use crate::condition::Compiled;
use crate::matcher::Check;

/// How many alternatives a rule is split into at most. What would make more is checked on the rules that are left over.
const MAX_CLAUSES: usize = 32;

/// A condition without negations but at its tests.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>),
    Test(Term),
}

/// One of the alternatives of a rule: it holds if all of it does.
#[derive(Debug, Clone, Default)]
pub(super) struct Clause {
    pub(super) terms: Vec<Term>,
    /// What was not split.
    pub(super) rest: Vec<Tree>,
}

impl Tree {
    /// A condition with its negations moved to the tests; `slot` tells where the value of a path is kept.
    pub(super) fn of(condition: &Compiled, slot: &impl Fn(&FieldPath) -> SlotId) -> Self {
        Self::signed(condition, false, slot)
    }

    fn signed(condition: &Compiled, negate: bool, slot: &impl Fn(&FieldPath) -> SlotId) -> Self {
        let each = |list: &[Compiled]| {
            let signed = list.iter().map(|inner| Self::signed(inner, negate, slot));
            signed.collect()
        };
        match (condition, negate) {
            (Compiled::All(list), false) | (Compiled::Any(list), true) => Self::All(each(list)),
            (Compiled::Any(list), false) | (Compiled::All(list), true) => Self::Any(each(list)),
            (Compiled::Not(inner), _) => Self::signed(inner, !negate, slot),
            (Compiled::Test(matcher), _) => Self::Test(Term {
                matcher: matcher.clone(),
                slot: slot(&matcher.field),
                other: match &matcher.check {
                    Check::Field { other, .. } => Some(slot(other)),
                    Check::Exists | Check::Value(_) => None,
                },
                negated: matcher.negated != negate,
            }),
        }
    }

    /// The tests that must hold whatever else does.
    pub(super) fn plain<'t>(&'t self, tell: &mut impl FnMut(&'t Term)) {
        match self {
            Self::All(list) => list.iter().for_each(|inner| inner.plain(tell)),
            Self::Any(_) => {}
            Self::Test(term) => tell(term),
        }
    }

    /// Takes it as one clause, whose alternatives are checked on what is left over.
    pub(super) fn whole(&self) -> Clause {
        let mut clause = Clause::default();
        self.add_to(&mut clause);
        clause
    }

    fn add_to(&self, clause: &mut Clause) {
        match self {
            Self::All(list) => list.iter().for_each(|inner| inner.add_to(clause)),
            Self::Any(_) => clause.rest.push(self.clone()),
            Self::Test(term) => clause.terms.push(term.clone()),
        }
    }

    /// Splits it into alternatives; none if it never holds.
    pub(super) fn split(&self) -> Vec<Clause> {
        match self {
            Self::Test(term) => vec![Clause {
                terms: vec![term.clone()],
                rest: Vec::new(),
            }],
            Self::All(list) => list.iter().fold(vec![Clause::default()], |clauses, inner| {
                inner.multiply(clauses)
            }),
            Self::Any(list) => {
                let clauses: Vec<_> = list.iter().flat_map(Self::split).collect();
                if clauses.len() <= MAX_CLAUSES {
                    return clauses;
                }
                vec![Clause {
                    terms: Vec::new(),
                    rest: vec![self.clone()],
                }]
            }
        }
    }

    /// Adds this to each of the alternatives.
    fn multiply(&self, mut clauses: Vec<Clause>) -> Vec<Clause> {
        let mine = self.split();
        if mine.len() * clauses.len() > MAX_CLAUSES {
            for clause in &mut clauses {
                clause.rest.push(self.clone());
            }
            return clauses;
        }
        let both = |clause: &Clause, more: &Clause| Clause {
            terms: [clause.terms.as_slice(), &more.terms].concat(),
            rest: [clause.rest.as_slice(), &more.rest].concat(),
        };
        let pairs = clauses
            .iter()
            .flat_map(|clause| mine.iter().map(move |more| both(clause, more)));
        pairs.collect()
    }
}

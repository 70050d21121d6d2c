//! The conditions of a rule as facts, and whether they can hold.

use guard_domain::{Condition, Rule};

use super::fact::Fact;
use super::logic::{exclude, exclude_in_one_value, implies, is_impossible};
use super::{Finding, FindingKind, FindingLevel, finding};
use crate::condition::Compiled;
use crate::rule_set::CompiledRule;

/// A condition without negations but at its tests.
#[derive(Debug, Clone)]
pub(super) enum Tree {
    All(Vec<Tree>),
    Any(Vec<Tree>, String),
    Fact(Fact),
}

/// What is known of a condition whatever the event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    Never,
    Sometimes,
    Always,
}

/// The conditions of a rule.
#[derive(Debug)]
pub(super) struct Structure {
    pub(super) tree: Vec<Tree>,
    /// What holds of every event that matches: tests that stand alone, the event type and the severity.
    pub(super) facts: Vec<Fact>,
}

impl Structure {
    pub(super) fn of(compiled: &CompiledRule, implied: &[Fact]) -> Self {
        let mut tree = Vec::new();
        if let Compiled::All(list) = &compiled.condition {
            for (i, pair) in compiled.rule.conditions.iter().zip(list).enumerate() {
                tree.push(Tree::of(pair, false, &format!("/conditions/{i}")));
            }
        }
        let mut facts = implied.to_vec();
        tree.iter().for_each(|tree| tree.collect(&mut facts));
        Self { tree, facts }
    }

    /// Says what never or always holds.
    pub(super) fn report(&self, rule: &Rule, findings: &mut Vec<Finding>) {
        let mut found = Vec::new();
        let implied = self
            .facts
            .iter()
            .filter(|fact| !fact.pointer.starts_with("/conditions"));
        let truth = all(
            &self.tree,
            &implied.cloned().collect::<Vec<_>>(),
            &mut found,
        );
        if truth == Truth::Never {
            // One reason is enough, and it is about the whole rule.
            let reason = found
                .iter()
                .find(|(_, kind, _)| *kind == FindingKind::NeverTrue);
            let reason =
                reason.map_or("its conditions exclude each other", |(_, _, detail)| detail);
            let detail = format!("it never matches: {reason}");
            let what = (FindingKind::NeverTrue, FindingLevel::Error);
            findings.push(finding(rule, "", what, detail));
            found.retain(|(_, kind, _)| *kind != FindingKind::NeverTrue);
        }
        for (pointer, kind, detail) in found {
            findings.push(finding(
                rule,
                &pointer,
                (kind, FindingLevel::Warning),
                detail,
            ));
        }
    }
}

impl Tree {
    fn of((condition, compiled): (&Condition, &Compiled), negate: bool, pointer: &str) -> Self {
        let each = |list: &[Condition], compiled: &[Compiled], group: &str| {
            let pairs = list.iter().zip(compiled).enumerate();
            let tree = |(i, pair)| Self::of(pair, negate, &format!("{pointer}/{group}/{i}"));
            pairs.map(tree).collect::<Vec<_>>()
        };
        match (condition, compiled) {
            (Condition::All(list), Compiled::All(compiled)) => {
                Self::group(each(list, compiled, "all"), negate, pointer)
            }
            (Condition::Any(list), Compiled::Any(compiled)) => {
                Self::group(each(list, compiled, "any"), !negate, pointer)
            }
            (Condition::Not(inner), Compiled::Not(compiled)) => {
                Self::of((inner, compiled), !negate, &format!("{pointer}/not"))
            }
            (Condition::Test(test), Compiled::Test(matcher)) => Self::Fact(Fact {
                matcher: matcher.clone(),
                negated: test.negated != negate,
                pointer: pointer.to_owned(),
                test: test.clone(),
            }),
            // A condition and its compiled form have one shape.
            _ => Self::All(Vec::new()),
        }
    }

    fn group(list: Vec<Self>, is_any: bool, pointer: &str) -> Self {
        if is_any {
            Self::Any(list, pointer.to_owned())
        } else {
            Self::All(list)
        }
    }

    /// The facts that hold wherever it does.
    fn collect(&self, facts: &mut Vec<Fact>) {
        match self {
            Self::All(list) => list.iter().for_each(|tree| tree.collect(facts)),
            Self::Any(..) => {}
            Self::Fact(fact) => facts.push(fact.clone()),
        }
    }

    /// Whether it holds wherever these facts do.
    pub(super) fn follows_from(&self, facts: &[Fact]) -> bool {
        match self {
            Self::All(list) => list.iter().all(|tree| tree.follows_from(facts)),
            Self::Any(list, _) => list.iter().any(|tree| tree.follows_from(facts)),
            Self::Fact(fact) => always(fact) || facts.iter().any(|known| implies(known, fact)),
        }
    }
}

type Found = (String, FindingKind, String);

/// Whether all of them can hold together, where `known` holds.
fn all(list: &[Tree], known: &[Fact], found: &mut Vec<Found>) -> Truth {
    let mut facts = known.to_vec();
    let mut truth = Truth::Always;
    for fact in list.iter().flat_map(|tree| {
        let mut facts = Vec::new();
        tree.collect(&mut facts);
        facts
    }) {
        truth = truth.and(add(&mut facts, fact, found));
    }
    let mut alternatives = Vec::new();
    list.iter()
        .for_each(|tree| tree.alternatives(&mut alternatives));
    for (list, pointer) in alternatives {
        truth = truth.and(any(list, pointer, &facts, found));
    }
    truth
}

/// Adds a fact to those that hold, and says if it cannot.
fn add(facts: &mut Vec<Fact>, fact: Fact, found: &mut Vec<Found>) -> Truth {
    let mut truth = alone(&fact, found);
    let words = |fact: &Fact| {
        let is_turned = fact.negated != fact.matcher.negated;
        format!("{}{}", if is_turned { "not " } else { "" }, fact.words())
    };
    if let Some(other) = facts.iter().find(|known| exclude(known, &fact)) {
        let detail = format!("{} and {} exclude each other", words(other), words(&fact));
        found.push((fact.pointer.clone(), FindingKind::NeverTrue, detail));
        truth = Truth::Never;
    } else if let Some(other) = facts
        .iter()
        .find(|known| exclude_in_one_value(known, &fact))
    {
        let detail = format!(
            "{} and {} hold together only of an array with several elements; if the field is a single value, they never do",
            words(other),
            words(&fact)
        );
        found.push((fact.pointer.clone(), FindingKind::Contradiction, detail));
    }
    facts.push(fact);
    truth
}

/// What is known of a fact by itself.
fn alone(fact: &Fact, found: &mut Vec<Found>) -> Truth {
    if always(fact) {
        let detail = format!("{} holds for every event; leave it out", fact.words());
        found.push((fact.pointer.clone(), FindingKind::AlwaysTrue, detail));
        return Truth::Always;
    }
    if never(fact) {
        let detail = format!("{} holds for no event", fact.words());
        found.push((fact.pointer.clone(), FindingKind::NeverTrue, detail));
        return Truth::Never;
    }
    Truth::Sometimes
}

pub(super) fn always(fact: &Fact) -> bool {
    if fact.negated {
        return is_impossible(fact);
    }
    fact.predicate().is_none() && fact.is_always_there() && is_exists(fact)
}

fn never(fact: &Fact) -> bool {
    if fact.negated {
        return is_exists(fact) && fact.is_always_there();
    }
    is_impossible(fact)
}

fn is_exists(fact: &Fact) -> bool {
    matches!(fact.matcher.check, crate::matcher::Check::Exists)
}

/// Whether one of them can hold, where `known` holds.
fn any(list: &[Tree], pointer: &str, known: &[Fact], found: &mut Vec<Found>) -> Truth {
    let mut truth = Truth::Never;
    let mut within = Vec::new();
    for alternative in list {
        truth = truth.or(all(std::slice::from_ref(alternative), known, &mut within));
    }
    if truth == Truth::Never {
        let detail = match list {
            [] => "an `any` without alternatives holds for no event".to_owned(),
            _ => "none of the alternatives can hold".to_owned(),
        };
        found.push((pointer.to_owned(), FindingKind::NeverTrue, detail));
        return truth;
    }
    found.append(&mut within);
    if truth == Truth::Sometimes && has_complement(list) {
        truth = Truth::Always;
    }
    if truth == Truth::Always {
        let detail = "one of the alternatives holds for every event; leave the condition out";
        found.push((
            pointer.to_owned(),
            FindingKind::AlwaysTrue,
            detail.to_owned(),
        ));
    }
    truth
}

/// Whether one alternative holds wherever another does not.
fn has_complement(list: &[Tree]) -> bool {
    let facts = || {
        list.iter().filter_map(|tree| match tree {
            Tree::Fact(fact) => Some(fact),
            _ => None,
        })
    };
    facts().any(|first| {
        let opposite = Fact {
            negated: !first.negated,
            ..first.clone()
        };
        facts().any(|second| implies(&opposite, second))
    })
}

impl Tree {
    /// The groups of alternatives of which one must hold.
    fn alternatives<'a>(&'a self, into: &mut Vec<(&'a [Self], &'a str)>) {
        match self {
            Self::All(list) => list.iter().for_each(|tree| tree.alternatives(into)),
            Self::Any(list, pointer) => into.push((list, pointer)),
            Self::Fact(_) => {}
        }
    }
}

impl Truth {
    const fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Always, Self::Always) => Self::Always,
            _ => Self::Sometimes,
        }
    }

    const fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Always, _) | (_, Self::Always) => Self::Always,
            (Self::Never, Self::Never) => Self::Never,
            _ => Self::Sometimes,
        }
    }
}

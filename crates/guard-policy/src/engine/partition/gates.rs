//! Which test brings each clause in.

use rustc_hash::FxHashMap;

use super::plan::Planned;
use crate::engine::column::Family;

/// A gate passes at most this share of events.
const MAX_SHARE: f64 = 0.4;
/// What one in so many clauses could be brought in by is asked for every event; what fewer could, only if the field is there.
const RARE: usize = 64;

/// A test that could be a clause's gate.
struct Choice {
    /// The number of its family.
    family: usize,
    share: f64,
    /// Which of the clause's tests it is.
    test: usize,
}

/// Chooses a test of each clause, where asking a gate costs as much as so many checks. `None` where checking the clause for
/// every event is no worse.
pub(super) fn choose(clauses: &[Vec<Planned<'_>>], cost: f64) -> Vec<Option<usize>> {
    let (choices, sizes) = choices(clauses);
    let mut is_asked = vec![true; sizes.len()];
    // Gates are dropped one by one, those first that save least against the next best ones.
    while let Some(least) = least_worth(&choices, &sizes, &is_asked, cost) {
        if let Some(asked) = is_asked.get_mut(least) {
            *asked = false;
        }
    }
    let best = |choices: &Vec<Choice>| asked(choices, &is_asked).next().map(|best| best.test);
    choices.iter().map(best).collect()
}

/// The choices of each clause, the one that opens least often first; and how many there are in each family.
fn choices(clauses: &[Vec<Planned<'_>>]) -> (Vec<Vec<Choice>>, Vec<usize>) {
    let mut numbers: FxHashMap<Family, usize> = FxHashMap::default();
    let mut sizes = Vec::new();
    let mut of_clause = |tests: &Vec<Planned<'_>>| {
        let mut choices = Vec::new();
        for (test, planned) in tests.iter().enumerate() {
            let may = !planned.term.negated && planned.share <= MAX_SHARE;
            let Some(family) = planned.family.filter(|_| may) else {
                continue;
            };
            let family = *numbers.entry(family.in_layer(0)).or_insert_with(|| {
                sizes.push(0);
                sizes.len() - 1
            });
            if let Some(size) = sizes.get_mut(family) {
                *size += 1;
            }
            let share = planned.share;
            choices.push(Choice {
                family,
                share,
                test,
            });
        }
        choices.sort_by(|a, b| a.share.total_cmp(&b.share));
        choices
    };
    let choices = clauses.iter().map(&mut of_clause).collect();
    (choices, sizes)
}

fn asked<'a>(choices: &'a [Choice], is_asked: &'a [bool]) -> impl Iterator<Item = &'a Choice> {
    let asked = |choice: &&Choice| is_asked.get(choice.family).copied().unwrap_or(false);
    choices.iter().filter(asked)
}

/// The gate that saves least, if it saves less than it costs.
fn least_worth(
    choices: &[Vec<Choice>],
    sizes: &[usize],
    is_asked: &[bool],
    cost: f64,
) -> Option<usize> {
    let mut saved = vec![0.0; sizes.len()];
    for choices in choices {
        let mut asked = asked(choices, is_asked);
        let Some(best) = asked.next() else { continue };
        let next = asked.next().map_or(1.0, |next| next.share);
        if let Some(saved) = saved.get_mut(best.family) {
            *saved += next - best.share;
        }
    }
    let is_rare = |size: usize| size * RARE < choices.len();
    let common = saved.iter().zip(sizes).zip(is_asked).enumerate();
    let common = common.filter(|(_, ((_, size), asked))| **asked && !is_rare(**size));
    let least = common.min_by(|(_, ((a, _), _)), (_, ((b, _), _))| a.total_cmp(b));
    let (family, ((saved, _), _)) = least?;
    (*saved < cost).then_some(family)
}

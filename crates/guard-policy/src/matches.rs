//! Which rules match an event, from its bytes.

use std::ops::ControlFlow;

use guard_domain::{Rule, RuleMode};

use crate::engine::Scratch;
use crate::malformed::MalformedEvent;
use crate::rule_set::{CompiledRule, RuleSet};

/// The rules that match an event, in the order in which they decide.
#[derive(Debug, Clone)]
pub struct Matches<'r, 's> {
    rules: &'r RuleSet,
    ranks: std::slice::Iter<'s, u32>,
}

impl<'r> Iterator for Matches<'r, '_> {
    type Item = &'r Rule;

    fn next(&mut self) -> Option<Self::Item> {
        let rank = self.ranks.next()?;
        self.rules
            .get(*rank as usize)
            .map(|compiled| &compiled.rule)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.ranks.size_hint()
    }
}

impl ExactSizeIterator for Matches<'_, '_> {}

impl RuleSet {
    /// Finds all rules that match an event, given as the bytes that its sender wrote: those of mode `active`, `dry_run` and
    /// `shadow`, in the order in which they decide. What holds rules back is not looked at; that is for [`decide`].
    ///
    /// Nothing is allocated once `scratch` has grown to what the rules and events need, and nothing is locked. (An event
    /// that reaches a regular expression may allocate: the expression keeps a pool of caches of its own.)
    ///
    /// # Errors
    /// [`MalformedEvent`] with the offset at which the bytes are no JSON object that can be evaluated. All of the event is
    /// validated, whatever rules look at.
    ///
    /// [`decide`]: crate::decide()
    pub fn matches<'r, 's>(
        &'r self,
        event: &[u8],
        scratch: &'s mut Scratch,
    ) -> Result<Matches<'r, 's>, MalformedEvent> {
        let ranks = self.ranks(event, scratch)?;
        Ok(Matches {
            rules: self,
            ranks: ranks.iter(),
        })
    }

    /// The ranks of the rules that match, in ascending order.
    pub(crate) fn ranks<'s>(
        &self,
        event: &[u8],
        scratch: &'s mut Scratch,
    ) -> Result<&'s [u32], MalformedEvent> {
        let mut found = std::mem::take(&mut scratch.found);
        found.clear();
        let outcome = self.engine().find(event, scratch, |rank| {
            found.push(rank);
            ControlFlow::Continue(())
        });
        scratch.found = found;
        outcome.map(|()| scratch.found.as_slice())
    }

    /// Finds the first rule that matches an event and may act: of mode `active` or `dry_run`. It stops there, which is
    /// cheaper than [`matches`](Self::matches) where many rules match.
    ///
    /// # Errors
    /// As for [`matches`](Self::matches).
    pub fn first_match(
        &self,
        event: &[u8],
        scratch: &mut Scratch,
    ) -> Result<Option<&Rule>, MalformedEvent> {
        let mut first = None;
        self.engine().find(event, scratch, |rank| {
            let found = self.get(rank as usize).map(|compiled| &compiled.rule);
            first = found.filter(|rule| matches!(rule.mode, RuleMode::Active | RuleMode::DryRun));
            match first {
                Some(_) => ControlFlow::Break(()),
                None => ControlFlow::Continue(()),
            }
        })?;
        Ok(first)
    }

    /// Finds what [`matches`](Self::matches) finds by the plainest means: every rule, every condition, on a tree of the
    /// event. It is what the engine is tested against, and slow: its cost grows with the number of rules.
    ///
    /// # Errors
    /// As for [`matches`](Self::matches).
    pub fn matches_plainly(&self, event: &[u8]) -> Result<Vec<&Rule>, MalformedEvent> {
        let document = crate::document::parse_bytes(event)?;
        let compiled = self.compiled().map(|(_, compiled)| compiled);
        let takes_part = |compiled: &&CompiledRule| compiled.rule.mode != RuleMode::Disabled;
        Ok(compiled
            .filter(takes_part)
            .filter(|compiled| compiled.matches(&document))
            .map(|compiled| &compiled.rule)
            .collect())
    }
}

//! Circuit breakers: what keeps failing is left alone for a while, then tried once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use guard_domain::PlaybookName;

/// Failures in a row that open a breaker.
const THRESHOLD: u32 = 5;
/// How long a breaker is open the first time; it doubles each time the trial fails.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(1);
/// How long a breaker is open at most.
const LONGEST_PAUSE: TimeDelta = TimeDelta::seconds(30);

/// Where a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything passes.
    Closed,
    /// Nothing passes.
    Open,
    /// One trial passes.
    HalfOpen,
}

impl BreakerState {
    /// How many calls may begin.
    const fn room(self) -> u32 {
        match self {
            Self::Closed => u32::MAX,
            Self::Open => 0,
            Self::HalfOpen => 1,
        }
    }

    /// The state as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

#[derive(Debug, Default)]
struct Breaker {
    failures: u32,
    openings: u32,
    open_until: Option<DateTime<Utc>>,
    trying: bool,
}

impl Breaker {
    fn state(&self, now: DateTime<Utc>) -> BreakerState {
        match self.open_until {
            None => BreakerState::Closed,
            Some(until) if now < until || self.trying => BreakerState::Open,
            Some(_) => BreakerState::HalfOpen,
        }
    }

    fn open(&mut self, now: DateTime<Utc>) {
        let pause = FIRST_PAUSE * (1 << self.openings.min(5));
        self.open_until = Some(now + pause.min(LONGEST_PAUSE));
        self.openings += 1;
        self.trying = false;
    }

    fn fail(&mut self, now: DateTime<Utc>) {
        self.failures += 1;
        // While it is open, only the trial has a say: calls that began before fail late.
        let opens = if self.open_until.is_some() {
            self.trying
        } else {
            self.failures >= THRESHOLD
        };
        if opens {
            self.open(now);
        }
    }
}

/// The breakers of an instance: one for the host, for what is wrong with reaching it, and one for each playbook, for
/// what is wrong with the playbook.
#[derive(Debug, Default)]
pub struct Breakers {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    host: Breaker,
    playbooks: HashMap<PlaybookName, Breaker>,
    /// What the last delivery of each playbook said about our token.
    tokens: HashMap<PlaybookName, bool>,
}

impl Breakers {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many calls of the host may begin.
    pub(crate) fn host_room(&self, now: DateTime<Utc>) -> u32 {
        self.inner().host.state(now).room()
    }

    /// How many calls may begin of each playbook that has failed since it last did not.
    pub(crate) fn playbook_rooms(&self, now: DateTime<Utc>) -> HashMap<PlaybookName, u32> {
        let inner = self.inner();
        let breakers = inner.playbooks.iter();
        let rooms = breakers.map(|(name, breaker)| (name.clone(), breaker.state(now).room()));
        rooms.collect()
    }

    /// A call begins: if a breaker is half open, this is its trial.
    pub(crate) fn begin(&self, playbook: &PlaybookName) {
        let mut inner = self.inner();
        inner.host.trying = inner.host.open_until.is_some();
        if let Some(breaker) = inner.playbooks.get_mut(playbook) {
            breaker.trying = breaker.open_until.is_some();
        }
    }

    /// A call broke off and says nothing: the next one is the trial.
    pub(crate) fn abandon(&self, playbook: &PlaybookName) {
        let mut inner = self.inner();
        inner.host.trying = false;
        if let Some(breaker) = inner.playbooks.get_mut(playbook) {
            breaker.trying = false;
        }
    }

    /// There was no answer: the host may be down, or the playbook too slow.
    pub(crate) fn fail_both(&self, playbook: &PlaybookName, now: DateTime<Utc>) {
        let mut inner = self.inner();
        inner.host.fail(now);
        inner
            .playbooks
            .entry(playbook.clone())
            .or_default()
            .fail(now);
    }

    /// The host was reached, and the playbook did not fail.
    pub(crate) fn succeed(&self, playbook: &PlaybookName) {
        let mut inner = self.inner();
        inner.host = Breaker::default();
        inner.playbooks.remove(playbook);
    }

    /// A delivery has told whether our token is accepted for this playbook.
    pub(crate) fn note_token(&self, playbook: &PlaybookName, accepted: bool) {
        self.inner().tokens.insert(playbook.clone(), accepted);
    }

    /// Whether our token was accepted by the last delivery of a playbook that told.
    pub(crate) fn token_accepted(&self, playbook: &PlaybookName) -> Option<bool> {
        self.inner().tokens.get(playbook).copied()
    }

    /// The host could not be reached, or is overloaded.
    pub(crate) fn fail_host(&self, playbook: &PlaybookName, now: DateTime<Utc>) {
        let mut inner = self.inner();
        inner.host.fail(now);
        if let Some(breaker) = inner.playbooks.get_mut(playbook) {
            breaker.trying = false;
        }
    }

    /// The host was reached, and the playbook failed.
    pub(crate) fn fail_playbook(&self, playbook: &PlaybookName, now: DateTime<Utc>) {
        let mut inner = self.inner();
        inner.host = Breaker::default();
        inner
            .playbooks
            .entry(playbook.clone())
            .or_default()
            .fail(now);
    }

    /// The host was reached, and refuses our token for this playbook. Returns whether the breaker was closed before.
    pub(crate) fn refuse_playbook(&self, playbook: &PlaybookName, now: DateTime<Utc>) -> bool {
        let mut inner = self.inner();
        inner.host = Breaker::default();
        let breaker = inner.playbooks.entry(playbook.clone()).or_default();
        let was_closed = breaker.open_until.is_none();
        breaker.open(now);
        was_closed
    }

    /// Every breaker that is not closed: `host` or `playbook:<name>`, and its state.
    #[must_use]
    pub fn report(&self, now: DateTime<Utc>) -> Vec<(String, BreakerState)> {
        let inner = self.inner();
        let host = std::iter::once(("host".to_owned(), inner.host.state(now)));
        let playbooks = inner
            .playbooks
            .iter()
            .map(|(name, breaker)| (format!("playbook:{name}"), breaker.state(now)));
        let mut report: Vec<_> = host
            .chain(playbooks)
            .filter(|(_, state)| *state != BreakerState::Closed)
            .collect();
        report.sort_by(|left, right| left.0.cmp(&right.0));
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::milliseconds(millis)
    }

    #[test]
    fn a_host_that_keeps_failing_is_left_alone_and_then_tried_once() {
        let breakers = Breakers::default();
        let playbook = PlaybookName::parse("a").unwrap();
        for _ in 0..4 {
            breakers.fail_host(&playbook, at(0));
        }
        assert_eq!(breakers.host_room(at(0)), u32::MAX);
        breakers.fail_host(&playbook, at(0));
        breakers.fail_host(&playbook, at(0));
        assert_eq!(breakers.host_room(at(999)), 0);
        assert_eq!(breakers.host_room(at(1000)), 1, "half open");
        breakers.begin(&playbook);
        assert_eq!(breakers.host_room(at(1000)), 0, "only one trial");
        breakers.fail_host(&playbook, at(1000));
        assert_eq!(breakers.host_room(at(2999)), 0, "the pause doubles");
        breakers.begin(&playbook);
        breakers.succeed(&playbook);
        assert_eq!(breakers.host_room(at(3000)), u32::MAX);
        assert_eq!(breakers.report(at(3000)), []);
    }

    #[test]
    fn a_trial_that_breaks_off_is_followed_by_another() {
        let breakers = Breakers::default();
        let playbook = PlaybookName::parse("a").unwrap();
        (0..5).for_each(|_| breakers.fail_both(&playbook, at(0)));
        breakers.begin(&playbook);
        assert_eq!(breakers.host_room(at(1000)), 0);
        breakers.abandon(&playbook);
        assert_eq!(breakers.host_room(at(1000)), 1);
        assert_eq!(breakers.playbook_rooms(at(1000))[&playbook], 1);
    }

    #[test]
    fn a_playbook_fails_alone() {
        let breakers = Breakers::default();
        let (bad, good) = (
            PlaybookName::parse("bad").unwrap(),
            PlaybookName::parse("good").unwrap(),
        );
        assert!(breakers.refuse_playbook(&bad, at(0)));
        assert!(
            !breakers.refuse_playbook(&bad, at(0)),
            "it was open already"
        );
        assert_eq!(breakers.playbook_rooms(at(1))[&bad], 0);
        assert_eq!(breakers.host_room(at(1)), u32::MAX);
        breakers.succeed(&good);
        assert_eq!(
            breakers.report(at(1)),
            [("playbook:bad".to_owned(), BreakerState::Open)]
        );
        assert_eq!(breakers.playbook_rooms(at(60_000)), [(bad, 1)].into());
    }
}

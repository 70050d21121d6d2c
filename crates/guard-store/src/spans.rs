//! In which spans of time there are events of a source, of a type, and with a decision.
//!
//! It takes the place of an index entry for each event and each of the three: a span is written once, however many events it
//! holds, and who looks for events reads those of the spans that hold some.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::PoisonError;

use chrono::DateTime;
use guard_domain::{DecisionKind, Event, EventId, TenantId, id};
use uuid::Uuid;

use crate::database::{Cell, Insert, insert};
use crate::store::Store;

/// A span is so many milliseconds, as a power of two: 1,024.
const LENGTH: u32 = 10;
/// Of how many tenants it is remembered what has been written.
const TENANTS: usize = 1024;

/// What events are looked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Term {
    Source,
    Type,
    Decision,
}

impl Term {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Type => "type",
            Self::Decision => "decision",
        }
    }
}

/// The span of an event. Ids sort by time: so do spans.
pub(crate) fn span_of(id: Uuid) -> i64 {
    // The first 48 bits of an id are milliseconds.
    i64::try_from(id.as_u128() >> 80 >> LENGTH).unwrap_or(i64::MAX)
}

/// The least id of a span.
pub(crate) fn least_of(span: i64) -> Uuid {
    // No id holds more than 48 bits of milliseconds.
    let millis = span.checked_mul(1 << LENGTH);
    let begin = millis.filter(|millis| millis >> 48 == 0);
    let begin = begin.and_then(DateTime::from_timestamp_millis);
    begin.map_or(Uuid::max(), id::v7_floor)
}

/// That there is an event of some kind in a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sighting<'a> {
    tenant: &'a TenantId,
    term: Term,
    value: &'a str,
    span: i64,
}

pub(crate) static INSERT_SPANS: Insert = insert!(
    "event_spans (tenant, term, value, span, writer)",
    "(?, ?, ?, ?, ?)",
    "$1::text[], $2::text[], $3::text[], $4::bigint[], $5::uuid[]",
    "ON CONFLICT DO NOTHING"
);

impl<'a> Sighting<'a> {
    /// The kinds of its cells.
    pub(crate) const KINDS: [Cell<'static>; 4] = [Cell::TEXT, Cell::TEXT, Cell::TEXT, Cell::NUMBER];

    /// What an event is to be found by.
    pub(crate) fn of(
        tenant: &'a TenantId,
        id: EventId,
        event: &'a Event,
        decision: DecisionKind,
    ) -> [Self; 3] {
        let span = span_of(id.as_uuid());
        let sighting = |term, value| Self {
            tenant,
            term,
            value,
            span,
        };
        [
            sighting(Term::Source, event.source().as_str()),
            sighting(Term::Type, event.event_type().as_str()),
            sighting(Term::Decision, decision.as_str()),
        ]
    }

    /// Its columns but for the writer.
    pub(crate) fn cells(&self) -> [Cell<'a>; 4] {
        [
            self.tenant.as_str().into(),
            self.term.as_str().into(),
            self.value.into(),
            self.span.into(),
        ]
    }

    /// Its columns.
    pub(crate) fn row(&self, writer: Uuid) -> [Cell<'a>; 5] {
        let [tenant, term, value, span] = self.cells();
        [tenant, term, value, span, writer.into()]
    }
}

/// What this process has written of the latest span of each tenant.
#[derive(Debug, Default)]
pub(crate) struct Sighted(HashMap<TenantId, Latest>);

#[derive(Debug, Default)]
struct Latest {
    span: i64,
    sources: HashSet<Box<str>>,
    types: HashSet<Box<str>>,
    decisions: HashSet<Box<str>>,
}

impl Latest {
    const fn values(&self, term: Term) -> &HashSet<Box<str>> {
        match term {
            Term::Source => &self.sources,
            Term::Type => &self.types,
            Term::Decision => &self.decisions,
        }
    }

    const fn values_mut(&mut self, term: Term) -> &mut HashSet<Box<str>> {
        match term {
            Term::Source => &mut self.sources,
            Term::Type => &mut self.types,
            Term::Decision => &mut self.decisions,
        }
    }
}

impl Sighted {
    fn has(&self, sighting: &Sighting<'_>) -> bool {
        self.0.get(sighting.tenant).is_some_and(|latest| {
            latest.span == sighting.span && latest.values(sighting.term).contains(sighting.value)
        })
    }

    fn add(&mut self, sighting: &Sighting<'_>) {
        if self.0.len() >= TENANTS && !self.0.contains_key(sighting.tenant) {
            self.0.clear();
        }
        let latest = self.0.entry(sighting.tenant.clone()).or_default();
        if latest.span < sighting.span {
            *latest = Latest {
                span: sighting.span,
                ..Latest::default()
            };
        }
        if latest.span == sighting.span {
            latest
                .values_mut(sighting.term)
                .insert(sighting.value.into());
        }
    }
}

impl Store {
    /// Those that this process does not know to have been written, each once, in one order.
    pub(crate) fn unwritten<'a>(
        &self,
        sightings: impl Iterator<Item = Sighting<'a>>,
    ) -> BTreeSet<Sighting<'a>> {
        let sighted = self.sighted.lock().unwrap_or_else(PoisonError::into_inner);
        sightings
            .filter(|sighting| !sighted.has(sighting))
            .collect()
    }

    /// Those have been written, and are durable.
    pub(crate) fn note_written(&self, sightings: &BTreeSet<Sighting<'_>>) {
        if sightings.is_empty() {
            return;
        }
        let mut sighted = self.sighted.lock().unwrap_or_else(PoisonError::into_inner);
        for sighting in sightings {
            sighted.add(sighting);
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_span_holds_the_ids_of_its_time_and_no_others() {
        let moment = DateTime::from_timestamp_millis(1_795_000_000_000).unwrap();
        for millis in [0, 1, 1022, 1023, 1024, 5000] {
            let span = span_of(id::v7(moment + TimeDelta::milliseconds(millis), [255; 10]));
            assert!(least_of(span) <= id::v7_floor(moment + TimeDelta::milliseconds(millis)));
            assert!(
                id::v7(moment + TimeDelta::milliseconds(millis), [255; 10]) < least_of(span + 1)
            );
        }
        assert_eq!(least_of(span_of(Uuid::max()) + 1), Uuid::max());
        assert_eq!(span_of(Uuid::nil()), 0);
    }

    #[test]
    fn only_the_latest_span_is_remembered() {
        let tenant = TenantId::default_tenant();
        let of = |span, value| Sighting {
            tenant: &tenant,
            term: Term::Source,
            value,
            span,
        };
        let mut sighted = Sighted::default();
        sighted.add(&of(7, "a"));
        assert!(sighted.has(&of(7, "a")));
        assert!(!sighted.has(&of(7, "b")));
        assert!(!sighted.has(&of(8, "a")));
        let other = Sighting {
            term: Term::Type,
            ..of(7, "a")
        };
        assert!(!sighted.has(&other));
        sighted.add(&of(8, "b"));
        assert!(!sighted.has(&of(7, "a")));
        sighted.add(&of(7, "a"));
        assert!(!sighted.has(&of(7, "a")), "what is older is not remembered");
        assert!(sighted.has(&of(8, "b")));
    }
}

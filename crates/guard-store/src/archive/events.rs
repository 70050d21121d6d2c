//! Reading events. They are read by their ids alone; what they are looked for by says in which spans of time.

use std::ops::Range;

use guard_app::ports::{EventFilter, EventRecord, IdPage, StorageError};
use guard_domain::{DecisionKind, EventId, EventType, Source, TenantId, id};
use uuid::Uuid;

use super::rows::event_record;
use crate::database::Session;
use crate::spans::{Term, least_of, span_of};
use crate::store::Store;

/// How many spans are asked for at once.
const SPANS: usize = 256;

/// Events with what was decided about them, newest first: of a tenant, from the least id, below another, so many at most, of a source,
/// of a type, with a decision.
const SELECT_EVENTS: &str =
    "SELECT e.event_id, e.body, e.received_at, a.decision, a.rule_id, a.rule_version, a.revision, a.message, a.executed_at,
         x.execution_id, x.playbook, x.state, x.attempts
     FROM events e
     JOIN audit_log a ON a.tenant = e.tenant AND a.audit_id = e.event_id AND a.action = 'decision'
     LEFT JOIN rule_executions x ON x.tenant = a.tenant AND x.execution_id = a.execution_id
     WHERE e.tenant = $1 AND e.event_id >= $2 AND e.event_id < $3 AND ($5 IS NULL OR e.source = $5)
         AND ($6 IS NULL OR e.event_type = $6) AND ($7 IS NULL OR e.decision = $7)
     ORDER BY e.event_id DESC LIMIT $4";

/// Spans, the latest first: of a tenant, from one to another, so many at most, in which there is something of a kind, and of two other
/// kinds as well if they are given.
const SELECT_SPANS: &str = "SELECT DISTINCT s.span FROM event_spans s
     WHERE s.tenant = $1 AND s.term = $5 AND s.value = $6 AND s.span >= $2 AND s.span <= $3
         AND ($7 IS NULL OR EXISTS (SELECT 1 FROM event_spans o
             WHERE o.tenant = $1 AND o.term = $7 AND o.value = $8 AND o.span = s.span))
         AND ($9 IS NULL OR EXISTS (SELECT 1 FROM event_spans o
             WHERE o.tenant = $1 AND o.term = $9 AND o.value = $10 AND o.span = s.span))
     ORDER BY s.span DESC LIMIT $4";

impl Store {
    pub(super) async fn event_by_id(
        &self,
        tenant: &TenantId,
        id: EventId,
    ) -> Result<Option<EventRecord>, StorageError> {
        let id = id.as_uuid();
        let next = Uuid::from_u128(id.as_u128().saturating_add(1));
        let mut session = self.database.reader_for(tenant).await?;
        let found = read_events(&mut session, tenant, &EventFilter::default(), id..next, 1).await?;
        Ok(found.into_iter().next())
    }

    pub(super) async fn event_page(
        &self,
        tenant: &TenantId,
        filter: &EventFilter,
        page: IdPage,
    ) -> Result<Vec<EventRecord>, StorageError> {
        let least = filter.since.map_or(Uuid::nil(), id::v7_floor);
        let until = filter.until.map_or(Uuid::max(), id::v7_floor);
        let below = page.before.map_or(until, |before| before.min(until));
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let mut session = self.database.reader_for(tenant).await?;
        let terms = terms(filter);
        let mut found = Vec::new();
        let (first, mut last) = (span_of(least), span_of(below));
        if terms.is_empty() {
            let now = span_of(id::v7_floor(self.clock.now()));
            for ids in steps(least..below, now) {
                let room = limit - found.len();
                found.extend(read_events(&mut session, tenant, filter, ids, room).await?);
                if found.len() >= limit {
                    break;
                }
            }
            return Ok(found);
        }
        loop {
            let spans = read_spans(&mut session, tenant, &terms, (first, last)).await?;
            for run in runs(&spans) {
                let ids = least_of(run.start).max(least)..least_of(run.end).min(below);
                let room = limit - found.len();
                found.extend(read_events(&mut session, tenant, filter, ids, room).await?);
                if found.len() >= limit {
                    return Ok(found);
                }
            }
            match spans.last() {
                Some(span) if spans.len() == SPANS => last = span - 1,
                _ => return Ok(found),
            }
        }
    }
}

/// A range of ids in steps, in descending order: what is of this span and later, then each time twice as many spans as before.
///
/// PostgreSQL without statistics would read and sort all of a range for one page of it.
fn steps(ids: Range<Uuid>, now: i64) -> impl Iterator<Item = Range<Uuid>> {
    let (mut end, mut span, mut length) = (ids.end, span_of(ids.end).min(now), 1_i64);
    std::iter::from_fn(move || {
        let start = if span > span_of(ids.start) {
            least_of(span)
        } else {
            ids.start
        };
        let step = start..end;
        (end, span, length) = (start, span.saturating_sub(length), length.saturating_mul(2));
        (!step.is_empty()).then_some(step)
    })
}

/// What a filter names, with what fewest events have in common first, as far as that can be told.
fn terms(filter: &EventFilter) -> Vec<(Term, &str)> {
    let source = filter.source.as_ref().map(Source::as_str);
    let decision = filter.decision.map(DecisionKind::as_str);
    let event_type = filter.event_type.as_ref().map(EventType::as_str);
    [
        source.map(|source| (Term::Source, source)),
        decision.map(|decision| (Term::Decision, decision)),
        event_type.map(|event_type| (Term::Type, event_type)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The latest spans from a first to a last one in which there is something of every term, in descending order.
async fn read_spans(
    session: &mut Session,
    tenant: &TenantId,
    terms: &[(Term, &str)],
    (first, last): (i64, i64),
) -> Result<Vec<i64>, StorageError> {
    let mut query = session
        .query(SELECT_SPANS)
        .bind(tenant.as_str())
        .bind(first)
        .bind(last)
        .bind(i64::try_from(SPANS).unwrap_or(i64::MAX));
    for place in 0..3 {
        let term = terms.get(place);
        query = query
            .bind(term.map(|(term, _)| term.as_str()))
            .bind(term.map(|(_, value)| *value));
    }
    let rows = query.fetch_all().await?;
    rows.iter().map(|row| row.get("span")).collect()
}

/// Spans that follow each other, taken together. Both are in descending order.
///
/// A run is at most twice as long as the longest that may come before it: where each span has many events, the first is enough
/// for a page, and PostgreSQL without statistics would read and sort all that it is asked about.
fn runs(spans: &[i64]) -> Vec<Range<i64>> {
    let mut runs: Vec<Range<i64>> = Vec::new();
    let mut longest = 1;
    for &span in spans {
        match runs.last_mut() {
            Some(run) if run.start == span + 1 && run.end - run.start < longest => run.start = span,
            Some(_) => {
                longest = longest.saturating_mul(2);
                runs.push(span..span + 1);
            }
            None => runs.push(span..span + 1),
        }
    }
    runs
}

async fn read_events(
    session: &mut Session,
    tenant: &TenantId,
    filter: &EventFilter,
    ids: Range<Uuid>,
    limit: usize,
) -> Result<Vec<EventRecord>, StorageError> {
    let rows = session
        .query(SELECT_EVENTS)
        .bind(tenant.as_str())
        .bind(ids.start)
        .bind(ids.end)
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .bind(filter.source.as_ref().map(Source::as_str))
        .bind(filter.event_type.as_ref().map(EventType::as_str))
        .bind(filter.decision.map(DecisionKind::as_str))
        .fetch_all()
        .await?;
    rows.iter().map(event_record).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_the_range_and_grow() {
        let (least, below) = (least_of(50), least_of(100));
        let found: Vec<_> = steps(least..below, 90).collect();
        let begins: Vec<_> = found.iter().map(|step| span_of(step.start)).collect();
        assert_eq!(begins, [90, 89, 87, 83, 75, 59, 50]);
        assert_eq!(found.first().map(|step| step.end), Some(below));
        assert_eq!(found.last().map(|step| step.start), Some(least));
        assert!(found.is_sorted_by(|later, earlier| later.start == earlier.end));
        assert_eq!(
            steps(Uuid::nil()..Uuid::max(), 90).last().unwrap().start,
            Uuid::nil()
        );
        assert!(steps(Uuid::nil()..Uuid::max(), 1 << 37).count() < 50);
        assert_eq!(steps(below..below, 90).count(), 0);
        assert_eq!(steps(below..least, 90).count(), 0);
    }

    #[test]
    fn spans_that_follow_each_other_are_read_together() {
        assert_eq!(runs(&[]), []);
        assert_eq!(runs(&[7, 5]), [7..8, 5..6]);
        assert_eq!(runs(&[9, 8, 7, 5, 3, 2]), [9..10, 7..9, 5..6, 2..4]);
        let together = runs(&[20, 19, 18, 17, 16, 15, 14, 13, 12]);
        assert_eq!(together, [20..21, 18..20, 14..18, 12..14]);
    }
}

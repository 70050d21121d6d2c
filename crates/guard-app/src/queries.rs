//! Reading back, page by page.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use guard_domain::{EventId, Execution, ExecutionId, TenantId};
use thiserror::Error;
use uuid::Uuid;

use crate::ports::{
    Archive, AuditFilter, AuditPosition, AuditRecord, Clock, EscalationFilter, EscalationRecord,
    EventFilter, EventRecord, ExecutionDetail, ExecutionFilter, IdPage, StorageError,
};

/// The largest page.
pub const MAX_PAGE: u32 = 500;
/// The page if nobody says how large.
const DEFAULT_PAGE: u32 = 50;
/// How far back a list goes if nobody says how far.
const DEFAULT_SINCE: TimeDelta = TimeDelta::hours(24);

/// Why a list cannot be read.
#[derive(Debug, Error)]
pub enum QueryError {
    /// The limit is out of bounds.
    #[error("a page has 1 to {MAX_PAGE} items")]
    Limit,
    /// The cursor was not given by this list.
    #[error("this is not a cursor that this list has given")]
    Cursor,
    /// The database could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Which page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageQuery {
    /// How many items, 50 if not given.
    pub limit: Option<u32>,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where this page ended; `None` if it was the last.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of what sorts by name, of which one item more than the limit was asked for.
    pub(crate) fn of_names(mut items: Vec<T>, limit: u32, name: impl Fn(&T) -> String) -> Self {
        let limit = limit as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        Self {
            next_cursor: items.last().filter(|_| more).map(name),
            items,
        }
    }
}

/// How many items a page has.
pub(crate) fn limit_of(query: &PageQuery) -> Result<u32, QueryError> {
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if (1..=MAX_PAGE).contains(&limit) {
        Ok(limit)
    } else {
        Err(QueryError::Limit)
    }
}

/// Where a page ended, and how far back the list goes: a list keeps its end while it is being read.
#[derive(Debug, Clone, Copy)]
struct Cursor {
    before: Uuid,
    since: DateTime<Utc>,
}

impl Cursor {
    fn encode(self) -> String {
        let mut bytes = self.before.as_bytes().to_vec();
        bytes.extend(self.since.timestamp_micros().to_be_bytes());
        BASE64_URL_SAFE_NO_PAD.encode(bytes)
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
        let (before, since) = bytes.split_at_checked(16)?;
        // A moment that there is not is the nearest that there is.
        let furthest = DateTime::<Utc>::MAX_UTC.timestamp_micros();
        let micros = i64::from_be_bytes(since.try_into().ok()?).clamp(-furthest, furthest);
        Some(Self {
            before: Uuid::from_slice(before).ok()?,
            since: DateTime::from_timestamp_micros(micros)?,
        })
    }
}

/// The bounds of a page that were worked out.
struct Bounds {
    page: IdPage,
    since: DateTime<Utc>,
    limit: usize,
}

impl Bounds {
    /// One item more than the limit is asked for: if it is there, there is a next page.
    fn page_of<T>(&self, mut items: Vec<T>, id: impl Fn(&T) -> Uuid) -> Page<T> {
        let more = items.len() > self.limit;
        items.truncate(self.limit);
        let last = items.last().filter(|_| more);
        let cursor = last.map(|item| Cursor {
            before: id(item),
            since: self.since,
        });
        Page {
            next_cursor: cursor.map(Cursor::encode),
            items,
        }
    }
}

/// Reads back what happened.
pub struct QueryService {
    /// What happened.
    pub archive: Arc<dyn Archive>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl QueryService {
    fn bounds(
        &self,
        query: &PageQuery,
        since: Option<DateTime<Utc>>,
    ) -> Result<Bounds, QueryError> {
        let limit = limit_of(query)?;
        let cursor = match &query.cursor {
            None => None,
            Some(text) => Some(Cursor::decode(text).ok_or(QueryError::Cursor)?),
        };
        let since = since
            .or(cursor.map(|cursor| cursor.since))
            .unwrap_or_else(|| self.clock.now() - DEFAULT_SINCE);
        let before = cursor.map(|cursor| cursor.before);
        let page = IdPage {
            before,
            limit: limit + 1,
        };
        Ok(Bounds {
            page,
            since,
            limit: limit as usize,
        })
    }

    /// One event with what was decided about it.
    ///
    /// # Errors
    /// [`StorageError`] if the database cannot be read.
    pub async fn event(
        &self,
        tenant: &TenantId,
        id: EventId,
    ) -> Result<Option<EventRecord>, StorageError> {
        self.archive.event(tenant, id).await
    }

    /// One execution with its attempts.
    ///
    /// # Errors
    /// [`StorageError`] if the database cannot be read.
    pub async fn execution(
        &self,
        tenant: &TenantId,
        id: ExecutionId,
    ) -> Result<Option<ExecutionDetail>, StorageError> {
        self.archive.execution(tenant, id).await
    }

    /// Events, newest first, of the last 24 hours unless the filter says otherwise.
    ///
    /// # Errors
    /// [`QueryError`]
    pub async fn events(
        &self,
        tenant: &TenantId,
        mut filter: EventFilter,
        query: &PageQuery,
    ) -> Result<Page<EventRecord>, QueryError> {
        let bounds = self.bounds(query, filter.since)?;
        filter.since = Some(bounds.since);
        let items = self.archive.events(tenant, &filter, bounds.page).await?;
        Ok(bounds.page_of(items, |event| event.id.as_uuid()))
    }

    /// Executions, newest first, of the last 24 hours unless the filter says otherwise.
    ///
    /// # Errors
    /// [`QueryError`]
    pub async fn executions(
        &self,
        tenant: &TenantId,
        mut filter: ExecutionFilter,
        query: &PageQuery,
    ) -> Result<Page<Execution>, QueryError> {
        let bounds = self.bounds(query, filter.since)?;
        filter.since = Some(bounds.since);
        let items = self
            .archive
            .executions(tenant, &filter, bounds.page)
            .await?;
        Ok(bounds.page_of(items, |execution| execution.id.as_uuid()))
    }

    /// Escalations, newest first, of the last 24 hours unless the filter says otherwise.
    ///
    /// # Errors
    /// [`QueryError`]
    pub async fn escalations(
        &self,
        tenant: &TenantId,
        mut filter: EscalationFilter,
        query: &PageQuery,
    ) -> Result<Page<EscalationRecord>, QueryError> {
        let bounds = self.bounds(query, filter.since)?;
        filter.since = Some(bounds.since);
        let items = self
            .archive
            .escalations(tenant, &filter, bounds.page)
            .await?;
        Ok(bounds.page_of(items, |record| record.escalation.id.as_uuid()))
    }

    /// Audit records, newest first, of the last 24 hours unless the filter says otherwise.
    ///
    /// # Errors
    /// [`QueryError`]
    pub async fn audit(
        &self,
        tenant: &TenantId,
        mut filter: AuditFilter,
        query: &PageQuery,
    ) -> Result<Page<AuditRecord>, QueryError> {
        let bounds = self.bounds(query, filter.since)?;
        filter.since = Some(bounds.since);
        let items = self.archive.audit(tenant, &filter, bounds.page).await?;
        Ok(bounds.page_of(items, |record| record.id.as_uuid()))
    }

    /// Audit records after a cursor, oldest first; an empty cursor is before the first. The page always has a cursor to
    /// go on from, so that a reader can come back for what is recorded later.
    ///
    /// # Errors
    /// [`QueryError`]
    pub async fn audit_after(
        &self,
        tenant: &TenantId,
        after: &str,
        limit: Option<u32>,
    ) -> Result<Page<AuditRecord>, QueryError> {
        let limit = limit_of(&PageQuery {
            limit,
            cursor: None,
        })?;
        let position = decode_position(after).ok_or(QueryError::Cursor)?;
        let (items, position) = self.archive.audit_after(tenant, &position, limit).await?;
        Ok(Page {
            items,
            next_cursor: Some(encode_position(&position)),
        })
    }
}

/// 28 bytes for each chain: its id, the link and the place in the link.
fn encode_position(position: &AuditPosition) -> String {
    let mut bytes = Vec::with_capacity(28 * position.len());
    for (chain, (link, place)) in position {
        bytes.extend(chain.as_bytes());
        bytes.extend(link.to_be_bytes());
        bytes.extend(place.to_be_bytes());
    }
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

fn decode_position(text: &str) -> Option<AuditPosition> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok()?;
    let chains = bytes.chunks_exact(28);
    chains.remainder().is_empty().then_some(())?;
    bytes
        .chunks_exact(28)
        .map(|entry| {
            let (chain, rest) = entry.split_at_checked(16)?;
            let (link, place) = rest.split_at_checked(8)?;
            let link = u64::from_be_bytes(link.try_into().ok()?);
            let place = u32::from_be_bytes(place.try_into().ok()?);
            Some((Uuid::from_slice(chain).ok()?, (link, place)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_read_back_and_others_are_refused() {
        let cursor = Cursor {
            before: Uuid::from_u128(7),
            since: DateTime::UNIX_EPOCH,
        };
        let read = Cursor::decode(&cursor.encode()).unwrap();
        assert_eq!((read.before, read.since), (cursor.before, cursor.since));
        for wrong in ["", "!", "AAAA", &"A".repeat(100)] {
            assert!(Cursor::decode(wrong).is_none(), "{wrong}");
        }
        let position =
            AuditPosition::from([(Uuid::from_u128(1), (2, 3)), (Uuid::from_u128(4), (5, 6))]);
        assert_eq!(decode_position(&encode_position(&position)), Some(position));
        assert_eq!(decode_position(""), Some(AuditPosition::new()));
        assert_eq!(decode_position("AAAA"), None);
    }
}

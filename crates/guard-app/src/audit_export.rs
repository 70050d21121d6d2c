//! The audit trail as a file that can be verified.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use guard_audit::{ExportText, TextError};
use guard_domain::TenantId;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ports::{AuditExports, AuditLines, Principal, Scope, StorageError, Tenants};

/// How large the pieces are, in bytes: a piece ends with the line with which it is that large.
const PIECE: usize = 64 * 1024;
/// How much is kept back of each piece but the last: the end of its last line.
const KEPT_BACK: usize = 2;
/// How many exports one process makes at once for clients.
const AT_ONCE: usize = 4;

/// Why there is no export, or why it ends early.
#[derive(Debug, Error)]
pub enum ExportError {
    /// What is wanted cannot be verified.
    #[error(
        "a part of the audit trail cannot be verified: `since` and `until` go with the format `ocsf`"
    )]
    Part,
    /// The principal may not see other tenants.
    #[error(
        "only an administrator of tenant `default` may export the audit trail of other tenants"
    )]
    OtherTenant,
    /// There is no such tenant.
    #[error("there is no such tenant")]
    UnknownTenant,
    /// There are too many at once.
    #[error("{AT_ONCE} exports are under way already")]
    Busy,
    /// The trail cannot be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The trail cannot be written out.
    #[error(transparent)]
    Text(#[from] TextError),
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// Links, records and signed checkpoints, a line each.
    Ndjson,
    /// Records as events of the Open Cybersecurity Schema Framework, a line each.
    Ocsf,
}

impl ExportFormat {
    /// What is written of records from one moment on and before another.
    ///
    /// # Errors
    /// [`ExportError::Part`] if a part is wanted of what is to be verified.
    pub fn between(
        self,
        since: Option<DateTime<Utc>>,
        until: Option<DateTime<Utc>>,
    ) -> Result<ExportText, ExportError> {
        match self {
            Self::Ndjson if since.is_some() || until.is_some() => Err(ExportError::Part),
            Self::Ndjson => Ok(ExportText::Lines),
            Self::Ocsf => Ok(ExportText::Ocsf {
                since: since.map_or(i64::MIN, |at| at.timestamp_micros()),
                until: until.map_or(i64::MAX, |at| at.timestamp_micros()),
            }),
        }
    }
}

/// An export on its way out, piece by piece: what is in memory is one piece, and what the trail is read by.
///
/// No piece but the last ends where a line does, so that what breaks off between two of them is seen to be broken off.
pub struct AuditExport {
    lines: Box<dyn AuditLines>,
    text: ExportText,
    kept_back: Vec<u8>,
    ended: bool,
    _place: Option<OwnedSemaphorePermit>,
}

impl AuditExport {
    /// An export with the records of one tenant in full, or with everybody's.
    #[must_use]
    pub fn begin(
        exports: Arc<dyn AuditExports>,
        tenant: Option<TenantId>,
        text: ExportText,
    ) -> Self {
        Self {
            lines: exports.export(tenant),
            text,
            kept_back: Vec::new(),
            ended: false,
            _place: None,
        }
    }

    /// The next piece; `None` once there is no more.
    ///
    /// # Errors
    /// [`ExportError::Storage`] and [`ExportError::Text`]: there is no more after that.
    pub async fn next_piece(&mut self) -> Result<Option<Vec<u8>>, ExportError> {
        let mut piece = std::mem::take(&mut self.kept_back);
        while !self.ended && piece.len() < PIECE {
            match self.lines.next_line().await? {
                Some(line) => self.text.add(&line, &mut piece)?,
                None => self.ended = true,
            }
        }
        if !self.ended {
            self.kept_back = piece.split_off(piece.len().saturating_sub(KEPT_BACK));
        }
        Ok((!piece.is_empty()).then_some(piece))
    }
}

/// Exports of the audit trail for those who may have them.
pub struct ExportService {
    exports: Arc<dyn AuditExports>,
    tenants: Arc<dyn Tenants>,
    places: Arc<Semaphore>,
}

impl ExportService {
    /// What exports come from.
    #[must_use]
    pub fn new(exports: Arc<dyn AuditExports>, tenants: Arc<dyn Tenants>) -> Self {
        Self {
            exports,
            tenants,
            places: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// An export of the principal's tenant; for an administrator of tenant `default` of the one that is named, `*` for all.
    ///
    /// # Errors
    /// [`ExportError`], but for what happens on the way.
    pub async fn begin(
        &self,
        principal: &Principal,
        named: Option<&str>,
        text: ExportText,
    ) -> Result<AuditExport, ExportError> {
        let tenant = self.tenant(principal, named).await?;
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| ExportError::Busy)?;
        Ok(AuditExport {
            _place: Some(place),
            ..AuditExport::begin(self.exports.clone(), tenant, text)
        })
    }

    /// Whose records; `None` is everybody's.
    async fn tenant(
        &self,
        principal: &Principal,
        named: Option<&str>,
    ) -> Result<Option<TenantId>, ExportError> {
        let own = principal.tenant.clone();
        let Some(named) = named.filter(|named| *named != own.as_str()) else {
            return Ok(Some(own));
        };
        if !(own == TenantId::default_tenant() && principal.may(Scope::Admin)) {
            return Err(ExportError::OtherTenant);
        }
        if named == "*" {
            return Ok(None);
        }
        let tenant = TenantId::parse(named).map_err(|_| ExportError::UnknownTenant)?;
        let known = self.tenants.read_tenant(&tenant).await?;
        known.map_or(Err(ExportError::UnknownTenant), |known| Ok(Some(known.id)))
    }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use guard_audit::{ExportHead, Line};

    use super::*;

    /// So many lines.
    struct Lines(usize);

    #[async_trait]
    impl AuditLines for Lines {
        async fn next_line(&mut self) -> Result<Option<Line>, StorageError> {
            let Some(left) = self.0.checked_sub(1) else {
                return Ok(None);
            };
            self.0 = left;
            Ok(Some(Line::Export(ExportHead {
                format: 1,
                tenant: None,
                complete_until: 0,
            })))
        }
    }

    impl AuditExports for usize {
        fn export(self: Arc<Self>, _: Option<TenantId>) -> Box<dyn AuditLines> {
            Box::new(Lines(*self))
        }
    }

    #[tokio::test]
    async fn a_piece_is_bounded_and_only_the_last_ends_with_a_line() {
        let line = "{\"export\":{\"format\":1,\"tenant\":null,\"complete_until\":0}}\n";
        for count in [0, 1, 3000] {
            let mut export = AuditExport::begin(Arc::new(count), None, ExportText::Lines);
            let mut pieces = Vec::new();
            while let Some(piece) = export.next_piece().await.unwrap() {
                assert!(piece.len() <= PIECE + line.len(), "{}", piece.len());
                pieces.push(piece);
            }
            let (last, before) = match pieces.split_last() {
                Some((last, before)) => (last.as_slice(), before),
                None => (&b"\n"[..], &[][..]),
            };
            assert!(last.ends_with(b"\n"));
            assert_eq!(before.len(), count * line.len() / PIECE);
            assert!(before.iter().all(|piece| piece.ends_with(b"}")));
            let whole = String::from_utf8(pieces.concat()).unwrap();
            assert_eq!(whole, line.repeat(count));
            assert!(export.next_piece().await.unwrap().is_none());
        }
    }

    #[test]
    fn a_part_is_for_reading_alone() {
        let at = DateTime::from_timestamp_micros(5);
        assert!(ExportFormat::Ndjson.between(at, None).is_err());
        assert!(ExportFormat::Ndjson.between(None, at).is_err());
        let text = ExportFormat::Ocsf.between(at, None).unwrap();
        let wanted = ExportText::Ocsf {
            since: 5,
            until: i64::MAX,
        };
        assert_eq!(text, wanted);
    }
}

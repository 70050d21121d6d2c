//! The audit trail in the order in which it is verified.

mod links;
mod strays;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use guard_app::ports::{AuditExports, AuditLines, StorageError};
use guard_audit::{ExportHead, Line, Link, SignedCheckpoint};
use guard_domain::TenantId;
use uuid::Uuid;

use crate::checkpoints::{signed, unsigned};
use crate::database::Session;
use crate::row::micros;
use crate::store::Store;
use links::ChainReader;
use strays::Strays;

/// How many checkpoints are read at once.
const CHECKPOINTS: i64 = 200;
/// How long after its time a checkpoint may be written: what is younger may be missing.
const SLOW_CHECKPOINT: TimeDelta = TimeDelta::seconds(10);

/// Where an export has come to.
struct Export {
    store: Arc<Store>,
    tenant: Option<TenantId>,
    ready: VecDeque<Line>,
    begun: bool,
    chains: HashMap<Uuid, ChainReader>,
    /// The number of the last checkpoint that was read.
    number: i64,
    checkpoints: VecDeque<SignedCheckpoint>,
    /// The chains whose links come next, each up to one, and the checkpoint that follows them.
    ahead: VecDeque<(Uuid, u64)>,
    then: Option<SignedCheckpoint>,
    all_signed: bool,
    ended: bool,
    /// What comes last: the records that none of the links lead to.
    strays: Option<Strays>,
}

impl AuditExports for Store {
    fn export(self: Arc<Self>, tenant: Option<TenantId>) -> Box<dyn AuditLines> {
        Box::new(Export {
            store: self,
            tenant,
            ready: VecDeque::new(),
            begun: false,
            chains: HashMap::new(),
            number: 0,
            checkpoints: VecDeque::new(),
            ahead: VecDeque::new(),
            then: None,
            all_signed: false,
            ended: false,
            strays: None,
        })
    }
}

#[async_trait]
impl AuditLines for Export {
    async fn next_line(&mut self) -> Result<Option<Line>, StorageError> {
        if !self.begun {
            self.begun = true;
            self.begin().await?;
        }
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            if let Some((chain, up_to)) = self.ahead.front().copied() {
                let reader = self
                    .chains
                    .entry(chain)
                    .or_insert_with(|| ChainReader::from(0));
                match reader
                    .next(&self.store, self.tenant.as_ref(), chain, up_to)
                    .await?
                {
                    Some(link) => return Ok(Some(Line::Link(link))),
                    None => drop(self.ahead.pop_front()),
                }
            } else if let Some(checkpoint) = self.then.take() {
                return Ok(Some(Line::Checkpoint(checkpoint)));
            } else if self.ended {
                match self.next_strays().await? {
                    Some(strays) => self.ready.extend(strays.into_iter().map(Line::Link)),
                    None => return Ok(None),
                }
            } else {
                self.look_ahead().await?;
            }
        }
    }
}

impl Export {
    async fn begin(&mut self) -> Result<(), StorageError> {
        let complete_until = micros(self.store.clock.now() - SLOW_CHECKPOINT);
        self.ready.push_back(Line::Export(ExportHead {
            format: 1,
            tenant: self.tenant.as_ref().map(ToString::to_string),
            complete_until,
        }));
        let mut session = self.store.database.reader().await?;
        if let Some(root) = newest_root(&mut session).await? {
            // Whether it is signed is for the verifier to say.
            if let Some(kept) = root.read().ok().and_then(|root| root.retention) {
                let readers = kept
                    .roots
                    .iter()
                    .map(|root| (root.chain, ChainReader::from(root.link)));
                self.chains.extend(readers);
            }
            self.ready.push_back(Line::Root(root));
        }
        Ok(())
    }

    /// What the next checkpoint stands for; after the last one the links of which none does.
    async fn look_ahead(&mut self) -> Result<(), StorageError> {
        if self.checkpoints.is_empty() && !self.all_signed {
            self.read_checkpoints().await?;
        }
        if let Some(checkpoint) = self.checkpoints.pop_front() {
            // One that cannot be read is handed on all the same.
            let heads = checkpoint.read().map(|read| read.heads).unwrap_or_default();
            self.ahead = heads.iter().map(|head| (head.chain, head.link)).collect();
            self.then = Some(checkpoint);
            return Ok(());
        }
        self.ended = true;
        let mut session = self.store.database.reader().await?;
        let chains = links::all_chains(&mut session).await?;
        self.ahead = chains.into_iter().map(|chain| (chain, u64::MAX)).collect();
        Ok(())
    }

    /// Some of the records that none of the links lead to; `None` if there are no more.
    async fn next_strays(&mut self) -> Result<Option<Vec<Link>>, StorageError> {
        let mut strays = match self.strays.take() {
            Some(strays) => strays,
            None => Strays::begin(&self.store).await?,
        };
        let found = strays.next(&self.store, self.tenant.as_ref()).await?;
        self.strays = Some(strays);
        Ok(found)
    }

    async fn read_checkpoints(&mut self) -> Result<(), StorageError> {
        let mut session = self.store.database.reader().await?;
        let rows = session
            .query(
                "SELECT number, body, signature FROM audit_checkpoints WHERE number > $1
                 ORDER BY number LIMIT $2",
            )
            .bind(self.number)
            .bind(CHECKPOINTS)
            .fetch_all()
            .await?;
        self.all_signed = rows.is_empty();
        for row in &rows {
            self.number = row.get("number")?;
            self.checkpoints.push_back(signed(row)?);
        }
        Ok(())
    }
}

/// The newest checkpoint that says what retention has let go of.
async fn newest_root(session: &mut Session) -> Result<Option<SignedCheckpoint>, StorageError> {
    let row = session
        .query(
            "SELECT body, signature FROM audit_checkpoints WHERE floor IS NOT NULL
             ORDER BY number DESC LIMIT 1",
        )
        .fetch_optional()
        .await?;
    row.as_ref().map(signed).transpose()
}

/// What a column holds that is a hash; what has another length is none, and nothing verifies against it.
fn hash_of(bytes: &[u8]) -> guard_audit::Hash {
    bytes.try_into().unwrap_or_default()
}

/// As a column holds it.
fn signed_number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

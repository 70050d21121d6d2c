//! API keys.

use async_trait::async_trait;
use guard_app::ports::{Actor, ApiKey, ApiKeys, KeyDigest, KeyUse, Scope, StorageError};
use guard_domain::{TenantId, timestamp};
use tokio::sync::MutexGuard;
use tracing::instrument;

use crate::audit::{Chain, Record, Subject};
use crate::database::{Row, Session, WholeLock};
use crate::row::{micros, moment, text};
use crate::store::Store;
use crate::tenants::have_tenant;

macro_rules! select_keys {
    ($rest:literal) => {
        concat!(
            "SELECT tenant, key_id, label, sha256, argon2, scopes, created_at, expires_at, last_used_at, revoked_at
             FROM api_keys WHERE ",
            $rest
        )
    };
}

fn api_key(row: &Row) -> Result<ApiKey, StorageError> {
    let id: &str = row.get("key_id")?;
    let wrong = |column, detail: &str| StorageError::Inconsistent {
        table: "api_keys",
        column,
        key: id.to_owned(),
        detail: detail.to_owned(),
    };
    let (tenant, label, scopes): (&str, &str, &str) =
        (row.get("tenant")?, row.get("label")?, row.get("scopes")?);
    let (sha256, argon2): (Option<Vec<u8>>, Option<String>) =
        (row.get("sha256")?, row.get("argon2")?);
    let digest = match (sha256, argon2) {
        (Some(sha256), None) => {
            let sha256 = sha256.try_into();
            KeyDigest::Sha256(sha256.map_err(|_| wrong("sha256", "not 32 bytes"))?)
        }
        (None, Some(argon2)) => KeyDigest::Argon2id(argon2),
        _ => return Err(wrong("sha256", "neither or both of `sha256` and `argon2`")),
    };
    let optional = |column| row.get::<Option<i64>>(column).map(|at| at.map(moment));
    Ok(ApiKey {
        tenant: TenantId::parse(tenant).map_err(|_| wrong("tenant", "not a slug"))?,
        label: label.to_owned(),
        digest,
        scopes: scopes
            .split_whitespace()
            .map(|word| Scope::parse(word).ok_or_else(|| wrong("scopes", word)))
            .collect::<Result<_, _>>()?,
        created_at: moment(row.get("created_at")?),
        expires_at: optional("expires_at")?,
        last_used_at: optional("last_used_at")?,
        revoked_at: optional("revoked_at")?,
        id: id.to_owned(),
    })
}

fn words(scopes: &[Scope]) -> String {
    let words: Vec<_> = scopes.iter().map(|scope| scope.as_str()).collect();
    words.join(" ")
}

async fn insert(session: &mut Session, key: &ApiKey) -> Result<(), StorageError> {
    have_tenant(session, &key.tenant, key.created_at).await?;
    let (sha256, argon2) = match &key.digest {
        KeyDigest::Sha256(sha256) => (Some(sha256.to_vec()), None),
        KeyDigest::Argon2id(argon2) => (None, Some(argon2.as_str())),
    };
    session
        .query(
            "INSERT INTO api_keys (tenant, key_id, label, sha256, argon2, scopes, created_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(key.tenant.as_str())
        .bind(&key.id)
        .bind(text(&key.label))
        .bind(sha256)
        .bind(argon2)
        .bind(words(&key.scopes))
        .bind(micros(key.created_at))
        .bind(key.expires_at.map(micros))
        .execute()
        .await
        .map(drop)
}

async fn read(
    session: &mut Session,
    tenant: &TenantId,
    id: &str,
) -> Result<Option<ApiKey>, StorageError> {
    let row = session
        .query(select_keys!("tenant = $1 AND key_id = $2"))
        .bind(tenant.as_str())
        .bind(id)
        .fetch_optional()
        .await?;
    row.as_ref().map(api_key).transpose()
}

/// The record of what was done to a key.
fn act<'a>(
    action: &'static str,
    tenant: &'a TenantId,
    id: &str,
    actor: &'a Actor,
    message: &'a str,
) -> Record<'a> {
    Record {
        tenant,
        action,
        actor: &actor.subject,
        request_id: actor.request_id.as_deref(),
        target: Some(format!("key:{id}")),
        subject: Subject::default(),
        message,
    }
}

fn created(key: &ApiKey) -> String {
    let until = key.expires_at.map_or_else(
        || "without end".to_owned(),
        |at| format!("until {}", timestamp::format(at)),
    );
    format!(
        "A key was made: {}, with {}, {until}",
        key.label,
        words(&key.scopes)
    )
}

impl Store {
    /// Stores a key with its record, and ends the transaction.
    async fn create(
        &self,
        mut session: Session,
        mut chain: MutexGuard<'_, Chain>,
        key: &ApiKey,
        actor: &Actor,
    ) -> Result<(), StorageError> {
        insert(&mut session, key).await?;
        let message = created(key);
        let record = act("key_created", &key.tenant, &key.id, actor, &message);
        let head = self.write_act(&mut session, &mut chain, record).await?;
        session.commit().await?;
        chain.advance(head);
        Ok(())
    }
}

#[async_trait]
impl ApiKeys for Store {
    #[instrument(name = "db.api_key.find", level = "debug", skip_all)]
    async fn find_key(&self, id: &str) -> Result<Option<ApiKey>, StorageError> {
        let row = self
            .database
            .reader()
            .await?
            .query(select_keys!(
                "key_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)"
            ))
            .bind(id)
            .bind(micros(self.clock.now()))
            .fetch_optional()
            .await?;
        row.as_ref().map(api_key).transpose()
    }

    #[instrument(name = "db.api_key.insert_first", level = "debug", skip_all)]
    async fn insert_first_key(&self, key: &ApiKey, actor: &Actor) -> Result<bool, StorageError> {
        let mut session = self.database.begin().await?;
        let chain = self.chain().await;
        session.take_lock(WholeLock::Keys).await?;
        let known = session
            .query("SELECT 1 AS one FROM api_keys LIMIT 1")
            .fetch_optional()
            .await?;
        if known.is_some() {
            return session.give_up(false).await;
        }
        self.create(session, chain, key, actor).await?;
        Ok(true)
    }

    #[instrument(name = "db.api_key.insert", level = "debug", skip_all)]
    async fn insert_key(&self, key: &ApiKey, actor: &Actor) -> Result<(), StorageError> {
        let mut session = self.database.begin_for(&key.tenant).await?;
        let chain = self.chain().await;
        session.take_lock(WholeLock::Keys).await?;
        self.create(session, chain, key, actor).await
    }

    #[instrument(name = "db.api_key.read", level = "debug", skip_all)]
    async fn read_key(&self, tenant: &TenantId, id: &str) -> Result<Option<ApiKey>, StorageError> {
        read(&mut self.database.reader_for(tenant).await?, tenant, id).await
    }

    #[instrument(name = "db.api_key.list", level = "debug", skip_all)]
    async fn list_keys(
        &self,
        tenant: &TenantId,
        above: &str,
        limit: u32,
    ) -> Result<Vec<ApiKey>, StorageError> {
        let rows = self
            .database
            .reader_for(tenant)
            .await?
            .query(select_keys!(
                "tenant = $1 AND key_id > $2 ORDER BY key_id LIMIT $3"
            ))
            .bind(tenant.as_str())
            .bind(above)
            .bind(i64::from(limit))
            .fetch_all()
            .await?;
        rows.iter().map(api_key).collect()
    }

    #[instrument(name = "db.api_key.revoke", level = "debug", skip_all)]
    async fn revoke_key(
        &self,
        tenant: &TenantId,
        id: &str,
        actor: &Actor,
    ) -> Result<Option<ApiKey>, StorageError> {
        let mut session = self.database.begin_for(tenant).await?;
        let mut chain = self.chain().await;
        let revoked = session
            .query(
                "UPDATE api_keys SET revoked_at = $3
                 WHERE tenant = $1 AND key_id = $2 AND revoked_at IS NULL",
            )
            .bind(tenant.as_str())
            .bind(id)
            .bind(micros(self.clock.now()))
            .execute()
            .await?;
        let found = read(&mut session, tenant, id).await?;
        let (1, Some(key)) = (revoked, &found) else {
            return session.give_up(found).await;
        };
        let message = format!("A key was revoked: {}", key.label);
        let record = act("key_revoked", tenant, id, actor, &message);
        let head = self.write_act(&mut session, &mut chain, record).await?;
        session.commit().await?;
        chain.advance(head);
        Ok(found)
    }

    #[instrument(name = "db.api_key.note_uses", level = "debug", skip_all)]
    async fn note_uses(&self, uses: &[KeyUse]) -> Result<(), StorageError> {
        let mut session = self.database.begin().await?;
        for key in uses {
            session
                .query(
                    "UPDATE api_keys SET last_used_at = $3
                     WHERE tenant = $1 AND key_id = $2 AND (last_used_at IS NULL OR last_used_at < $3)",
                )
                .bind(key.tenant.as_str())
                .bind(&key.id)
                .bind(micros(key.at))
                .execute()
                .await?;
        }
        session.commit().await
    }
}

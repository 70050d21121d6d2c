//! API keys.

use async_trait::async_trait;
use guard_app::ports::{ApiKey, ApiKeys, Scope, StorageError};
use guard_domain::TenantId;
use tracing::instrument;

use crate::database::WholeLock;
use crate::row::{micros, moment};
use crate::store::Store;

#[async_trait]
impl ApiKeys for Store {
    #[instrument(name = "db.api_key.find", level = "debug", skip_all)]
    async fn find_key(&self, id: &str) -> Result<Option<ApiKey>, StorageError> {
        let row = self
            .database
            .reader()
            .await?
            .query(
                "SELECT tenant, sha256, scopes, created_at FROM api_keys
             WHERE key_id = $1 AND revoked_at IS NULL AND sha256 IS NOT NULL
               AND (expires_at IS NULL OR expires_at > $2)",
            )
            .bind(id)
            .bind(micros(self.clock.now()))
            .fetch_optional()
            .await?;
        let Some(row) = row else { return Ok(None) };
        let wrong = |column, detail: &str| StorageError::Inconsistent {
            table: "api_keys",
            column,
            key: id.to_owned(),
            detail: detail.to_owned(),
        };
        let digest: Vec<u8> = row.get("sha256")?;
        let scopes: &str = row.get("scopes")?;
        let tenant: &str = row.get("tenant")?;
        Ok(Some(ApiKey {
            id: id.to_owned(),
            tenant: TenantId::parse(tenant).map_err(|_| wrong("tenant", "not a slug"))?,
            sha256: digest
                .try_into()
                .map_err(|_| wrong("sha256", "not 32 bytes"))?,
            scopes: scopes
                .split_whitespace()
                .map(|word| Scope::parse(word).ok_or_else(|| wrong("scopes", word)))
                .collect::<Result<_, _>>()?,
            created_at: moment(row.get("created_at")?),
        }))
    }

    #[instrument(name = "db.api_key.insert_first", level = "debug", skip_all)]
    async fn insert_first_key(&self, key: &ApiKey) -> Result<bool, StorageError> {
        let mut session = self.database.begin().await?;
        session.take_lock(WholeLock::Keys).await?;
        let scopes: Vec<_> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        let done = session.query(
            "INSERT INTO api_keys (tenant, key_id, label, sha256, scopes, created_at)
             SELECT $1, $2, 'first admin key', $3, $4, $5 WHERE NOT EXISTS (SELECT 1 FROM api_keys)",
        )
        .bind(key.tenant.as_str())
        .bind(&key.id)
        .bind(key.sha256.to_vec())
        .bind(scopes.join(" "))
        .bind(micros(key.created_at)).execute().await?;
        session.commit().await?;
        Ok(done == 1)
    }
}

//! Rule versions and revisions.

use async_trait::async_trait;
use guard_app::ports::{
    Actor, LiveRules, PublishMode, Published, RuleDefinition, RuleStore, StorageError,
};
use guard_audit::{sha256, sha256_of};
use guard_domain::{RuleId, TenantId};
use tracing::instrument;

use crate::audit::{Record, Subject};
use crate::controls::read_control;
use crate::database::{Row, Session, Sql, WholeLock};
use crate::row::{micros, moment};
use crate::store::Store;
use crate::tenants::have_tenant;

#[async_trait]
impl RuleStore for Store {
    #[instrument(name = "db.rule.publish", level = "debug", skip_all)]
    async fn publish(
        &self,
        tenant: &TenantId,
        rules: &[RuleDefinition],
        origin: &str,
        mode: PublishMode,
        actor: &Actor,
    ) -> Result<Published, StorageError> {
        let mut transaction = self.database.begin_for(tenant).await?;
        let mut chain = self.chain().await;
        transaction.take_lock(WholeLock::Control).await?;
        let live = read_control(&mut transaction, tenant).await?.live_revision;
        let digest = content_digest(rules);
        let known: Option<i64> = transaction
            .query(
                "SELECT max(revision) FROM rule_revisions
             WHERE tenant = $1 AND sha256 = $2 AND ($3 OR revision = $4)",
            )
            .bind(tenant.as_str())
            .bind(&digest)
            .bind(mode == PublishMode::NeverSeen)
            .bind(i64::try_from(live).unwrap_or(i64::MAX))
            .scalar()
            .await?;
        if known.is_some() {
            return transaction
                .give_up(Published {
                    revision: live,
                    created: false,
                })
                .await;
        }
        let now = micros(self.clock.now());
        let mut members = Vec::with_capacity(rules.len());
        for rule in rules {
            let version = self.version_of(&mut transaction, tenant, rule, now).await?;
            members.push((rule.id.as_str(), version));
        }
        let revision = insert_revision(
            &mut transaction,
            tenant,
            (&members, &digest),
            origin,
            actor,
            now,
        )
        .await?;
        let message = format!(
            "Published revision {revision} with {} rules from {origin}",
            rules.len()
        );
        let record = Record {
            tenant,
            action: "rules_published",
            actor: &actor.subject,
            request_id: actor.request_id.as_deref(),
            target: Some(format!("revision:{revision}")),
            subject: Subject::default(),
            message: &message,
        };
        let head = self.write_act(&mut transaction, &mut chain, record).await?;
        transaction.commit().await?;
        chain.advance(head);
        Ok(Published {
            revision: u64::try_from(revision).unwrap_or(0),
            created: true,
        })
    }

    #[instrument(name = "db.rule.version", level = "debug", skip_all)]
    async fn version(
        &self,
        tenant: &TenantId,
        id: &RuleId,
        version: u32,
    ) -> Result<Option<RuleDefinition>, StorageError> {
        let definition: Option<String> = self
            .database
            .reader_for(tenant)
            .await?
            .query(
                "SELECT definition FROM rules WHERE tenant = $1 AND rule_id = $2 AND version = $3",
            )
            .bind(tenant.as_str())
            .bind(id.as_str())
            .bind(i64::from(version))
            .optional_scalar()
            .await?;
        Ok(definition.map(|definition| RuleDefinition {
            id: id.clone(),
            definition,
        }))
    }

    #[instrument(name = "db.rule.live", level = "debug", skip_all)]
    async fn live(&self, tenant: &TenantId) -> Result<Option<LiveRules>, StorageError> {
        let mut connection = self.database.reader().await?;
        let row = connection
            .query(
                "SELECT c.live_revision AS revision, r.members FROM control c
             JOIN rule_revisions r ON r.tenant = c.tenant AND r.revision = c.live_revision
             WHERE c.tenant = $1",
            )
            .bind(tenant.as_str())
            .fetch_optional()
            .await?;
        let Some(row) = row else { return Ok(None) };
        let revision: i64 = row.get("revision")?;
        let members: &str = row.get("members")?;
        let rows = connection.query(
            Sql {
                sqlite: "SELECT r.rule_id, r.version, r.definition FROM json_each($2) m
                         JOIN rules r ON r.tenant = $1 AND r.rule_id = m.value ->> 0 AND r.version = m.value ->> 1
                         ORDER BY m.key",
                postgres: "SELECT r.rule_id, r.version, r.definition
                           FROM jsonb_array_elements($2::jsonb) WITH ORDINALITY m (value, place)
                           JOIN rules r ON r.tenant = $1 AND r.rule_id = m.value ->> 0
                               AND r.version = (m.value ->> 1)::bigint
                           ORDER BY m.place",
            })
        .bind(tenant.as_str())
        .bind(members).fetch_all().await?;
        let rule = |row: &Row| {
            let id: &str = row.get("rule_id")?;
            let version: i64 = row.get("version")?;
            let definition: String = row.get("definition")?;
            let wrong = |column, detail: String| StorageError::Inconsistent {
                table: "rules",
                column,
                key: id.to_owned(),
                detail,
            };
            let version =
                u32::try_from(version).map_err(|error| wrong("version", error.to_string()))?;
            let parsed = RuleId::parse(id).map_err(|error| wrong("rule_id", error.to_string()))?;
            Ok((
                RuleDefinition {
                    id: parsed,
                    definition,
                },
                version,
            ))
        };
        let rules = rows.iter().map(rule).collect::<Result<_, StorageError>>()?;
        Ok(Some(LiveRules {
            revision: u64::try_from(revision).unwrap_or(0),
            rules,
        }))
    }

    #[instrument(name = "db.rule.live_revisions", level = "debug", skip_all)]
    async fn live_revisions(&self) -> Result<Vec<(TenantId, u64)>, StorageError> {
        let mut session = self.database.reader().await?;
        let rows = session
            .query(
                "SELECT tenant, live_revision FROM control WHERE live_revision > 0 ORDER BY tenant",
            )
            .fetch_all()
            .await?;
        let tenant = |row: &Row| {
            let text: &str = row.get("tenant")?;
            let revision: i64 = row.get("live_revision")?;
            let tenant = TenantId::parse(text).map_err(|error| StorageError::Inconsistent {
                table: "control",
                column: "tenant",
                key: text.to_owned(),
                detail: error.to_string(),
            })?;
            Ok((tenant, u64::try_from(revision).unwrap_or(0)))
        };
        rows.iter().map(tenant).collect()
    }
}

impl Store {
    /// The version of a rule with this content: the newest one if it is the same, else a new one.
    async fn version_of(
        &self,
        connection: &mut Session,
        tenant: &TenantId,
        rule: &RuleDefinition,
        now: i64,
    ) -> Result<i64, StorageError> {
        let digest = sha256(&rule.definition).to_vec();
        let newest = connection
            .query(
                "SELECT version, sha256 FROM rules WHERE tenant = $1 AND rule_id = $2
             ORDER BY version DESC LIMIT 1",
            )
            .bind(tenant.as_str())
            .bind(rule.id.as_str())
            .fetch_optional()
            .await?;
        let mut version = 1;
        if let Some(row) = newest {
            let found: i64 = row.get("version")?;
            if row.get::<Vec<u8>>("sha256")? == digest {
                return Ok(found);
            }
            version = found + 1;
        }
        connection
            .query(
                "INSERT INTO rules (tenant, rule_id, version, definition, sha256, created_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(tenant.as_str())
            .bind(rule.id.as_str())
            .bind(version)
            .bind(&rule.definition)
            .bind(digest)
            .bind(now)
            .execute()
            .await?;
        Ok(version)
    }
}

/// Makes a revision and puts it live.
async fn insert_revision(
    connection: &mut Session,
    tenant: &TenantId,
    (members, digest): (&[(&str, i64)], &[u8]),
    origin: &str,
    actor: &Actor,
    now: i64,
) -> Result<i64, StorageError> {
    let members = serde_json::to_string(members).unwrap_or_else(|_| "[]".to_owned());
    have_tenant(connection, tenant, moment(now)).await?;
    let revision: i64 = connection.query(
        "INSERT INTO rule_revisions (tenant, revision, members, sha256, origin, actor, created_at)
         SELECT $1, coalesce(max(revision), 0) + 1, $2, $3, $4, $5, $6 FROM rule_revisions WHERE tenant = $1
         RETURNING revision",
    )
    .bind(tenant.as_str())
    .bind(members)
    .bind(digest)
    .bind(origin)
    .bind(&actor.subject)
    .bind(now).scalar().await?;
    connection
        .query(
            "INSERT INTO control (tenant, live_revision) VALUES ($1, $2)
         ON CONFLICT (tenant) DO UPDATE SET live_revision = excluded.live_revision",
        )
        .bind(tenant.as_str())
        .bind(revision)
        .execute()
        .await?;
    Ok(revision)
}

/// The digest of a whole set of rules, their order included.
fn content_digest(rules: &[RuleDefinition]) -> Vec<u8> {
    let lines = rules.iter().flat_map(|rule| [&rule.definition, "\n"]);
    sha256_of(lines).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Another digest would publish everybody's rules anew at the next start.
    #[test]
    fn rules_have_the_digest_that_they_ever_had() {
        let rule = |definition: &str| RuleDefinition {
            id: RuleId::parse("r").unwrap(),
            definition: definition.to_owned(),
        };
        assert_eq!(
            guard_audit::hex(&content_digest(&[rule("a"), rule("b")])),
            "911169ddaaf146aff539f58c26c489af3b892dff0fe283c1c264c65ae5aa59a2"
        );
    }
}

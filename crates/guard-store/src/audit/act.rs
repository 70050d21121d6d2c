//! Acts that change nothing by themselves.

use async_trait::async_trait;
use guard_app::ports::{Act, Actor, AuditLog, StorageError};
use guard_domain::TenantId;
use tracing::instrument;

use super::{Record, Subject};
use crate::store::Store;

#[async_trait]
impl AuditLog for Store {
    #[instrument(name = "db.audit.record", level = "debug", skip_all)]
    async fn record(
        &self,
        tenant: &TenantId,
        actor: &Actor,
        act: &Act,
    ) -> Result<(), StorageError> {
        let mut transaction = self.database.begin_for(tenant).await?;
        let mut chain = self.chain().await;
        let record = Record {
            tenant,
            action: act.action,
            actor: &actor.subject,
            request_id: actor.request_id.as_deref(),
            target: Some(act.target.clone()),
            subject: Subject::default(),
            message: &act.message,
        };
        let head = self.write_act(&mut transaction, &mut chain, record).await?;
        transaction.commit().await?;
        chain.advance(head);
        Ok(())
    }
}

//! What ended without proof.

use chrono::{DateTime, Utc};
use guard_app::ports::StorageError;
use guard_domain::{Execution, TenantId};

use crate::database::Row;
use crate::execution::execution;
use crate::row::{Columns, micros};
use crate::store::Store;

impl Store {
    pub(crate) async fn unconfirmed_executions(
        &self,
        since: DateTime<Utc>,
        limit: u32,
    ) -> Result<Vec<(TenantId, Execution)>, StorageError> {
        let rows = self
            .database
            .reader()
            .await?
            .query(
                "SELECT * FROM rule_executions
             WHERE state = 'unconfirmed' AND finished_at >= $1 AND n8n_execution_id IS NOT NULL
             ORDER BY finished_at DESC LIMIT $2",
            )
            .bind(micros(since))
            .bind(i64::from(limit))
            .fetch_all()
            .await?;
        let found = |row: &Row| {
            let columns = Columns::new(row, "rule_executions", "execution_id");
            Ok((columns.parse("tenant", TenantId::parse)?, execution(row)?))
        };
        rows.iter().map(found).collect()
    }
}

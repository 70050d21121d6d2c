//! Undoing what a playbook has done.

use guard_domain::{Action, Execution, ExecutionId, PlaybookName, TenantId};
use guard_policy::RuleFile;

use super::{OperateError, OperatorService, actor};
use crate::ports::{Principal, StorageError};

impl OperatorService {
    /// Orders an execution that has ended undone: the `rollback` playbook of its rule runs with the same params, under an id
    /// of its own. Once that has succeeded, the execution is `rolled_back`.
    ///
    /// # Errors
    /// [`OperateError::NoRollback`] if the rule names none, [`OperateError::Refused`] if the execution has not ended or had
    /// no effect.
    pub async fn undo(
        &self,
        principal: &Principal,
        request_id: &str,
        id: ExecutionId,
    ) -> Result<Execution, OperateError> {
        let tenant = &principal.tenant;
        let found = self.archive.execution(tenant, id).await?;
        let execution = found.ok_or(OperateError::NotFound)?.execution;
        let rollback = self.rollback_of(tenant, &execution).await?;
        let actor = actor(principal, request_id);
        let deadline = self.execution_deadline;
        let outcome = self
            .outbox
            .undo(tenant, id, &rollback, deadline, &actor)
            .await?;
        let undoing = self.ordered(outcome, "undone", OperateError::BeingUndone)?;
        tracing::warn!(
            %tenant, execution_id = %id, undone_by = %undoing.id, by = actor.subject,
            "an execution is being undone by playbook {rollback}"
        );
        Ok(undoing)
    }

    /// The playbook that undoes an execution, by the version of the rule that ordered it. What undoes cannot be undone: its
    /// inverse is to order the playbook again.
    async fn rollback_of(
        &self,
        tenant: &TenantId,
        execution: &Execution,
    ) -> Result<PlaybookName, OperateError> {
        let (id, version) = (&execution.rule_id, execution.rule_version);
        let none = || OperateError::NoRollback {
            rule: id.clone(),
            version,
        };
        if execution.rollback_of.is_some() {
            return Err(OperateError::Undoing);
        }
        let definition = self.rule_store.version(tenant, id, version).await?;
        let definition = definition.ok_or_else(none)?.definition;
        let rules = RuleFile::parse_definitions([definition.as_str()]).map_err(|error| {
            StorageError::Inconsistent {
                table: "rules",
                column: "definition",
                key: format!("{tenant} {id} version {version}"),
                detail: error.to_string(),
            }
        })?;
        let action = rules.into_iter().next().map(|rule| rule.action);
        match action {
            Some(Action::TriggerPlaybook {
                rollback: Some(rollback),
                ..
            }) => Ok(rollback),
            _ => Err(none()),
        }
    }
}

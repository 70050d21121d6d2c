//! Making an escalation heard: a row it is already, here it becomes a log line and a metric.

use guard_domain::{Escalation, TenantId};

use crate::metric;

/// Announces an escalation that is on record.
pub(crate) fn announce(tenant: &TenantId, escalation: &Escalation) {
    metric::count(metric::ESCALATIONS, "reason", escalation.reason.as_str());
    let text = |id: Option<String>| id.unwrap_or_default();
    tracing::error!(
        %tenant,
        escalation_id = %escalation.id,
        reason = %escalation.reason,
        contact = %escalation.contact,
        severity = %escalation.severity,
        event_id = text(escalation.event_id.map(|id| id.to_string())),
        execution_id = text(escalation.execution_id.map(|id| id.to_string())),
        rule_id = text(escalation.rule_id.as_ref().map(ToString::to_string)),
        "escalation: {}",
        escalation.message
    );
}

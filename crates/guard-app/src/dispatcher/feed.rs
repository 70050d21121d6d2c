//! What deliveries mean for the circuit breakers.

use guard_domain::{Escalation, EscalationId, EscalationReason};

use super::Dispatcher;
use crate::ports::{Claimed, DeliveryOutcome, random_tail};

impl Dispatcher {
    /// Tells the breakers. Gives the call for a human that follows when n8n begins to refuse our token.
    pub(super) fn feed_breakers(
        &self,
        claimed: &Claimed,
        outcome: &DeliveryOutcome,
    ) -> Option<Escalation> {
        let (playbook, now) = (&claimed.execution.playbook, self.clock.now());
        match outcome {
            DeliveryOutcome::Unreachable { .. } | DeliveryOutcome::Busy { .. } => {
                self.breakers.fail_host(playbook, now);
            }
            DeliveryOutcome::NoAnswer { .. } => self.breakers.fail_both(playbook, now),
            DeliveryOutcome::Failed { .. } | DeliveryOutcome::WorkflowFailed { .. } => {
                self.breakers.fail_playbook(playbook, now);
            }
            DeliveryOutcome::TokenRefused { detail, .. } => {
                self.breakers.note_token(playbook, false);
                let first = self.breakers.refuse_playbook(playbook, now);
                return first.then(|| self.refusal(claimed, detail));
            }
            DeliveryOutcome::Acknowledged { .. } => {
                self.breakers.note_token(playbook, true);
                self.breakers.succeed(playbook);
            }
            DeliveryOutcome::NotRegistered { .. } | DeliveryOutcome::Rejected { .. } => {
                self.breakers.succeed(playbook);
            }
        }
        None
    }

    fn refusal(&self, claimed: &Claimed, detail: &str) -> Escalation {
        let (execution, now) = (&claimed.execution, self.clock.now());
        Escalation {
            id: EscalationId::new(now, random_tail(self.random.as_ref())),
            reason: EscalationReason::TokenRefused,
            contact: self.settings.default_contact.clone(),
            severity: execution.severity,
            message: format!(
                "n8n refuses our token for playbook {}: {detail}",
                execution.playbook
            ),
            event_id: Some(execution.event_id),
            execution_id: Some(execution.id),
            rule_id: Some(execution.rule_id.clone()),
            created_at: now,
        }
    }
}

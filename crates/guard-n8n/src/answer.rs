//! What n8n's answers mean.

use std::time::Duration;

use guard_app::ports::DeliveryOutcome;

/// How much of an answer goes into a sentence, in characters.
const MAX_QUOTE: usize = 200;

/// An answer of n8n.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<Duration>,
    /// The beginning of the body.
    pub(crate) body: String,
}

impl Answer {
    /// What follows from the answer.
    pub(crate) fn outcome(&self) -> DeliveryOutcome {
        let Self {
            status,
            retry_after,
            ..
        } = *self;
        match status {
            200..=299 => DeliveryOutcome::Acknowledged { status, detail: self.acknowledged() },
            401 | 403 => DeliveryOutcome::TokenRefused {
                status,
                detail: self.sentence(
                    "n8n refuses the token; set N8N_WEBHOOK_TOKEN to the one that the webhook's credential holds",
                ),
            },
            404 => DeliveryOutcome::NotRegistered {
                detail: self.sentence(
                    "n8n has no active webhook at this path; activate the workflow, or correct the playbook's name",
                ),
            },
            408 | 425 => DeliveryOutcome::Failed {
                status,
                retry_after,
                detail: self.sentence("n8n asks to try again"),
            },
            429 | 503 => DeliveryOutcome::Busy {
                status,
                retry_after,
                detail: self.sentence("n8n is overloaded or starting"),
            },
            500 if self.body.contains("Error in workflow") => DeliveryOutcome::WorkflowFailed {
                status,
                detail: self.sentence("the workflow ran and failed; see its executions in n8n"),
            },
            500..=599 => DeliveryOutcome::Failed {
                status,
                retry_after,
                detail: self.sentence("n8n failed"),
            },
            300..=399 => DeliveryOutcome::Rejected {
                status,
                detail: self.sentence(
                    "redirects are not followed; set N8N_BASE_URL to the address that it redirects to",
                ),
            },
            422 => DeliveryOutcome::Rejected {
                status,
                detail: self.sentence("n8n cannot read the body that was sent"),
            },
            _ => DeliveryOutcome::Rejected {
                status,
                detail: self.sentence("n8n refuses the request; check N8N_BASE_URL and the workflow's webhook"),
            },
        }
    }

    fn acknowledged(&self) -> String {
        if self.body.trim().is_empty() {
            return format!(
                "n8n answered {} with an empty body: only the workflow's callback can tell whether it runs",
                self.status
            );
        }
        format!("n8n answered {}", self.status)
    }

    fn sentence(&self, meaning: &str) -> String {
        let body = self.body.trim();
        if body.is_empty() {
            return format!("n8n answered {}: {meaning}", self.status);
        }
        let quote: String = body
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .take(MAX_QUOTE)
            .collect();
        format!("n8n answered {} `{quote}`: {meaning}", self.status)
    }
}

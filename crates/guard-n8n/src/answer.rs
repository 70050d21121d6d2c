//! What n8n's answers mean.

use std::time::Duration;

use guard_app::ports::DeliveryOutcome;

/// The longest wait that a `Retry-After` can ask for.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);
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

/// The wait of a `Retry-After` header: seconds, or a date to be seen from `now`. At most an hour.
pub(crate) fn retry_after(value: &str, now: chrono::DateTime<chrono::Utc>) -> Option<Duration> {
    let seconds = value.trim().parse::<u64>().map(Duration::from_secs).ok();
    let date = || {
        let date = chrono::DateTime::parse_from_rfc2822(value.trim()).ok()?;
        (date.to_utc() - now).to_std().ok()
    };
    seconds.or_else(date).map(|wait| wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    #[test]
    fn retry_after_is_seconds_or_a_date_and_bounded() {
        let at = |value| retry_after(value, DateTime::UNIX_EPOCH).map(|wait| wait.as_secs());
        assert_eq!(at("7"), Some(7));
        assert_eq!(at("Thu, 01 Jan 1970 00:00:30 GMT"), Some(30));
        assert_eq!(at("99999999"), Some(3600));
        assert_eq!(at("soon"), None);
        assert_eq!(at("-5"), None);
    }
}

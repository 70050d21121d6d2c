//! What follows from a delivery.

use chrono::TimeDelta;
use guard_domain::AttemptOutcome;

use super::Dispatcher;
use crate::ports::{AttemptReport, Claimed, DeliveryOutcome, NextStep};
use crate::retry;

/// How long a playbook that is not registered is tried: n8n needs a moment after its start.
const REGISTRATION: TimeDelta = TimeDelta::seconds(10);
/// How long apart.
const REGISTRATION_PAUSE: TimeDelta = TimeDelta::seconds(1);
/// How long until an execution is due again after our token was refused; its breaker decides beyond that.
const REFUSED_PAUSE: TimeDelta = TimeDelta::seconds(1);

impl Dispatcher {
    /// The report on a delivery, and what follows from it.
    pub(super) fn judge(&self, claimed: &Claimed, outcome: &DeliveryOutcome) -> AttemptReport {
        let now = self.clock.now();
        let retry = |asked| NextStep::Retry {
            at: now + retry::delay(claimed.execution.attempts, asked, self.random.as_ref()),
        };
        let report = |outcome, status_code, detail: &str, may_have_run, next| AttemptReport {
            outcome,
            status_code,
            detail: detail.to_owned(),
            may_have_run,
            answer: None,
            unregistered_since: None,
            escalation: None,
            next,
        };
        match outcome {
            DeliveryOutcome::Acknowledged { status, detail } => {
                let playbook = &claimed.execution.playbook;
                let confirm_within = self.settings.confirm_within.of(playbook);
                let next = NextStep::Acknowledge { confirm_within };
                report(
                    AttemptOutcome::Acknowledged,
                    Some(*status),
                    detail,
                    true,
                    next,
                )
            }
            DeliveryOutcome::TokenRefused { status, detail } => {
                let next = NextStep::Retry {
                    at: now + REFUSED_PAUSE,
                };
                report(
                    AttemptOutcome::TokenRefused,
                    Some(*status),
                    detail,
                    false,
                    next,
                )
            }
            DeliveryOutcome::NotRegistered { detail } => {
                let since = claimed.unregistered_since.unwrap_or(now);
                let (outcome, next) = if now - since >= REGISTRATION {
                    (AttemptOutcome::Rejected, NextStep::GiveUp)
                } else {
                    let at = now + REGISTRATION_PAUSE;
                    (AttemptOutcome::Retry, NextStep::Retry { at })
                };
                let report = report(outcome, Some(404), detail, false, next);
                AttemptReport {
                    unregistered_since: Some(since),
                    ..report
                }
            }
            DeliveryOutcome::WorkflowFailed { status, detail } => report(
                AttemptOutcome::WorkflowFailed,
                Some(*status),
                detail,
                true,
                NextStep::Fail,
            ),
            DeliveryOutcome::Rejected { status, detail } => report(
                AttemptOutcome::Rejected,
                Some(*status),
                detail,
                false,
                NextStep::GiveUp,
            ),
            // Only 429 says for sure that nothing ran: a 503 may come from a proxy that had passed the request on.
            DeliveryOutcome::Busy {
                status,
                retry_after,
                detail,
            } => {
                let ran = *status != 429;
                report(
                    AttemptOutcome::Retry,
                    Some(*status),
                    detail,
                    ran,
                    retry(*retry_after),
                )
            }
            DeliveryOutcome::Failed {
                status,
                retry_after,
                detail,
            } => report(
                AttemptOutcome::Retry,
                Some(*status),
                detail,
                true,
                retry(*retry_after),
            ),
            DeliveryOutcome::Unreachable { detail } => {
                report(AttemptOutcome::Retry, None, detail, false, retry(None))
            }
            DeliveryOutcome::NoAnswer { detail } => {
                report(AttemptOutcome::Retry, None, detail, true, retry(None))
            }
        }
    }
}

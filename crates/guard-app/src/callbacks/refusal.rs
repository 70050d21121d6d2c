//! Callbacks whose token is not valid: what is on record of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use guard_domain::{ExecutionId, TenantId};
use metrics::counter;

use super::CallbackService;
use crate::metric;
use crate::ports::{Act, Actor};

/// How often the refused callbacks of one execution go on record.
const EVERY: TimeDelta = TimeDelta::minutes(1);
/// How many executions are remembered; of more at once no record is made, so that nobody can fill the trail.
const MAX_REMEMBERED: usize = 1000;

/// Which executions have had a refused callback put on record lately.
#[derive(Debug, Default)]
pub struct Refusals {
    lately: Mutex<HashMap<ExecutionId, DateTime<Utc>>>,
}

impl Refusals {
    /// Whether a refusal is to go on record now.
    fn is_due(&self, id: ExecutionId, now: DateTime<Utc>) -> bool {
        let mut lately = self.lately.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|_, at| now - *at < EVERY);
        if lately.contains_key(&id) || lately.len() >= MAX_REMEMBERED {
            return false;
        }
        lately.insert(id, now);
        true
    }
}

impl CallbackService {
    /// Counts and logs a refused callback. If the execution exists in the tenant that the token claims, or in `default`, it
    /// goes on record there.
    pub(super) async fn note_refusal(&self, token: &str, id: ExecutionId, request_id: &str) {
        counter!(metric::CALLBACKS_REFUSED).increment(1);
        tracing::warn!(execution_id = %id, "a callback was refused: its token is not valid");
        let tenant = claimed_tenant(token);
        let known = self.archive.execution(&tenant, id).await;
        if !matches!(known, Ok(Some(_))) || !self.refusals.is_due(id, self.clock.now()) {
            return;
        }
        let actor = Actor {
            subject: "callback".to_owned(),
            request_id: Some(request_id.to_owned()),
        };
        let act = Act {
            action: "callback_refused",
            target: format!("execution:{id}"),
            message: "A callback was refused: its token is wrong, expired or of another execution"
                .to_owned(),
        };
        if let Err(error) = self.audit.record(&tenant, &actor, &act).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a refused callback cannot be put on record"
            );
        }
    }
}

/// The tenant that a token says it is of: nothing proves it.
fn claimed_tenant(token: &str) -> TenantId {
    token
        .split('_')
        .nth(2)
        .and_then(|tenant| TenantId::parse(tenant).ok())
        .unwrap_or_else(TenantId::default_tenant)
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    #[test]
    fn one_refusal_a_minute_goes_on_record_and_a_flood_does_not() {
        let refusals = Refusals::default();
        let id = |number| ExecutionId::from_uuid(Uuid::from_u128(number));
        let at = |seconds| DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds);
        assert!(refusals.is_due(id(0), at(0)));
        assert!(!refusals.is_due(id(0), at(59)));
        assert!(refusals.is_due(id(0), at(60)));
        let recorded = (1..5000).filter(|number| refusals.is_due(id(*number), at(60)));
        assert_eq!(recorded.count(), MAX_REMEMBERED - 1);
        assert!(refusals.is_due(id(4999), at(120)));
    }

    #[test]
    fn what_is_no_token_claims_the_default_tenant() {
        assert_eq!(claimed_tenant("ngc_1_acme_00").as_str(), "acme");
        for foreign in ["", "nonsense", "ngc_1_A B_00"] {
            assert_eq!(claimed_tenant(foreign), TenantId::default_tenant());
        }
    }
}

//! What is sent over each channel, and what the answers come to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod http;
mod mail_server;
mod smtp;

use std::sync::Arc;

use guard_app::ports::{Clock, Message, SendOutcome};
use guard_domain::{
    ChannelName, ContactName, Escalation, EscalationId, EscalationReason, EventId, RuleId,
    Severity, TenantId,
};
use guard_testkit::FakeClock;

const ID: &str = "019a0000-0000-7000-8000-000000000001";
const EVENT: &str = "019a0000-0000-7000-8000-000000000002";

fn clock() -> Arc<dyn Clock> {
    Arc::new(FakeClock::new())
}

/// An escalation as it goes over a channel.
fn message(severity: Severity, text: &str) -> Message {
    Message {
        tenant: TenantId::default_tenant(),
        escalation: Escalation {
            id: EscalationId::from_uuid(ID.parse().unwrap()),
            reason: EscalationReason::Rule,
            contact: ContactName::parse("oncall").unwrap(),
            severity,
            message: text.to_owned(),
            event_id: Some(EventId::from_uuid(EVENT.parse().unwrap())),
            execution_id: None,
            rule_id: Some(RuleId::parse("page").unwrap()),
            created_at: clock().now(),
        },
        channel: ChannelName::parse("first").unwrap(),
        attempt: 2,
    }
}

#[track_caller]
fn sent(outcome: SendOutcome) -> String {
    match outcome {
        SendOutcome::Sent { detail } => detail,
        other => panic!("not sent: {other:?}"),
    }
}

#[track_caller]
fn rejected(outcome: SendOutcome) -> String {
    match outcome {
        SendOutcome::Rejected { detail } => detail,
        other => panic!("not rejected: {other:?}"),
    }
}

#[track_caller]
fn retried(outcome: SendOutcome) -> (Option<u64>, String) {
    match outcome {
        SendOutcome::Retry { after, detail } => (after.map(|wait| wait.as_secs()), detail),
        other => panic!("not to be tried again: {other:?}"),
    }
}

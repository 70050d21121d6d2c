//! Trying the channels of contacts.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use guard_app::ports::{Clock, Message, Random, SendOutcome, random_tail};
use guard_domain::{
    ContactName, Escalation, EscalationId, EscalationReason, Severity, TenantId, suggest,
};
use guard_notify::notifier;

use crate::config::Settings;
use crate::system::{SystemClock, SystemRandom};

/// Sends a test message over each channel of a contact, and says what came of it.
pub(crate) fn test(settings: &Settings, name: &str) -> anyhow::Result<ExitCode> {
    let known = settings.contacts.iter().map(ContactName::as_str);
    let Some(contact) = settings
        .contacts
        .iter()
        .find(|contact| contact.as_str() == name)
    else {
        let hint = suggest::hint(suggest::nearest(name, known.clone()));
        let known: Vec<_> = known.collect();
        bail!(
            "there is no contact `{}`, the known ones are {}{hint}",
            suggest::quote(name),
            known.join(", ")
        );
    };
    let channels = settings
        .channels
        .get(contact)
        .map_or(&[][..], Vec::as_slice);
    if channels.is_empty() {
        bail!(
            "contact `{contact}` has no channels; give it some as `[[contacts.{contact}.channels]]`"
        );
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::start());
    let mut failed = 0;
    for (channel, settings) in channels {
        let message = Message {
            tenant: TenantId::default_tenant(),
            escalation: escalation(contact, clock.as_ref(), &SystemRandom),
            channel: channel.name.clone(),
            attempt: 1,
        };
        let outcome = runtime.block_on(notifier(settings, &clock)?.send(&message));
        let (word, detail) = match outcome {
            SendOutcome::Sent { detail } => ("sent", detail),
            SendOutcome::Retry { detail, .. } | SendOutcome::Rejected { detail } => {
                failed += 1;
                ("failed", detail)
            }
        };
        println!(
            "{} ({}): {word}: {detail}",
            channel.name, channel.channel_type
        );
    }
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// An escalation that is on no record.
fn escalation(contact: &ContactName, clock: &dyn Clock, random: &dyn Random) -> Escalation {
    let now = clock.now();
    Escalation {
        id: EscalationId::new(now, random_tail(random)),
        reason: EscalationReason::Test,
        contact: contact.clone(),
        severity: Severity::Low,
        message: format!("This is a test of the channels of contact {contact}: nothing happened"),
        event_id: None,
        execution_id: None,
        rule_id: None,
        created_at: now,
    }
}

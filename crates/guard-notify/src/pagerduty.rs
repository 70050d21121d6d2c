//! PagerDuty's Events API v2.

use std::sync::Arc;

use async_trait::async_trait;
use guard_app::ports::{Clock, Message, Notifier, SendOutcome};
use guard_domain::{ChannelType, Severity, timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use crate::http::Caller;
use crate::secret_url::SecretUrl;
use crate::text::{facts, one_line};

/// Where events are sent if nobody says. Accounts of the EU service region have an address of their own.
pub const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";

/// The longest summary, in characters (PagerDuty, "Events API v2: PD-CEF").
const MAX_SUMMARY: usize = 1024;
/// How much of a message goes into the details: an event has 512 KiB at most.
const MAX_MESSAGE: usize = 16 * 1024;

/// Triggers incidents. What repeats an escalation joins its incident.
pub struct PagerDuty {
    caller: Caller,
    routing_key: SecretString,
}

impl PagerDuty {
    /// A channel that triggers incidents of the integration with this key.
    ///
    /// # Errors
    /// The HTTP client refuses its settings.
    pub fn new(
        url: SecretUrl,
        routing_key: SecretString,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let caller = Caller::new("PagerDuty", url, clock)?;
        Ok(Self {
            caller,
            routing_key,
        })
    }

    fn body(&self, message: &Message) -> Value {
        let escalation = &message.escalation;
        let mut details: serde_json::Map<String, Value> = facts(message)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        let text: String = escalation.message.chars().take(MAX_MESSAGE).collect();
        details.insert("message".to_owned(), text.into());
        json!({
            "routing_key": self.routing_key.expose_secret(),
            "event_action": "trigger",
            "dedup_key": format!("neural-guard/{}", message.topic()),
            "client": "Neural Guard",
            "payload": {
                "summary": one_line(&escalation.message, MAX_SUMMARY),
                "source": "neural-guard",
                "severity": severity(escalation.severity),
                "timestamp": timestamp::format(escalation.created_at),
                "component": escalation.rule_id,
                "group": message.tenant,
                "class": escalation.reason,
                "custom_details": details,
            },
        })
    }
}

/// PagerDuty's word.
const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "info",
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        400 => "PagerDuty refuses the event; check the channel's routing_key",
        _ => "PagerDuty refuses the request; check the channel's url and routing_key",
    }
}

#[async_trait]
impl Notifier for PagerDuty {
    fn channel_type(&self) -> ChannelType {
        ChannelType::PagerDuty
    }

    async fn send(&self, message: &Message) -> SendOutcome {
        let request = self.caller.post(self.body(message).to_string());
        self.caller
            .send(request, |status| status == 202, advice)
            .await
    }
}

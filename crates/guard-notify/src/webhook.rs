//! Signed webhooks.

use std::sync::Arc;

use async_trait::async_trait;
use guard_app::ports::{Clock, Message, Notifier, SendOutcome};
use guard_app::sign_webhook;
use guard_domain::{ChannelType, timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::http::Caller;
use crate::secret_url::SecretUrl;

/// Posts escalations as JSON, signed by Standard Webhooks: `webhook-id` is the same for every attempt.
pub struct Webhook {
    caller: Caller,
    secret: SecretString,
}

impl Webhook {
    /// A channel that posts to an address and signs with a secret.
    ///
    /// # Errors
    /// The HTTP client refuses its settings.
    pub fn new(
        url: SecretUrl,
        secret: SecretString,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, reqwest::Error> {
        let caller = Caller::new("the webhook", url, clock)?;
        Ok(Self { caller, secret })
    }
}

/// The body: the same for every attempt.
fn body(message: &Message) -> String {
    let escalation = &message.escalation;
    json!({
        "type": "escalation.raised",
        "timestamp": timestamp::format(escalation.created_at),
        "data": {
            "id": escalation.id,
            "tenant": message.tenant,
            "reason": escalation.reason,
            "contact": escalation.contact,
            "severity": escalation.severity,
            "message": escalation.message,
            "event_id": escalation.event_id,
            "execution_id": escalation.execution_id,
            "rule_id": escalation.rule_id,
            "created_at": timestamp::format(escalation.created_at),
        },
    })
    .to_string()
}

fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => "the receiver refuses the signature; give both sides the same secret",
        404 | 410 => "nothing takes messages there; correct the channel's url",
        _ => "the receiver refuses the message; look at its log",
    }
}

#[async_trait]
impl Notifier for Webhook {
    fn channel_type(&self) -> ChannelType {
        ChannelType::Webhook
    }

    async fn send(&self, message: &Message) -> SendOutcome {
        let (id, body) = (message.id(), body(message));
        let at = self.caller.clock.now().timestamp();
        let signature = sign_webhook(self.secret.expose_secret(), &id, at, &body);
        let request = self
            .caller
            .post(body)
            .header("webhook-id", id)
            .header("webhook-timestamp", at)
            .header("webhook-signature", signature);
        let taken = |status| (200..=299).contains(&status);
        self.caller.send(request, taken, advice).await
    }
}

//! Slack's incoming webhooks, and what is compatible with them.

use std::sync::Arc;

use async_trait::async_trait;
use guard_app::ports::{Clock, Message, Notifier, SendOutcome};
use guard_domain::{ChannelType, Severity};
use serde_json::{Value, json};

use crate::http::Caller;
use crate::secret_url::SecretUrl;
use crate::text::{bounded, facts};

/// The longest text of a section, in characters (Slack, "Block Kit: section block").
const MAX_SECTION: usize = 3000;
/// The longest headline that is made of a message, in characters.
const MAX_HEADLINE: usize = 300;

/// Posts escalations to a channel of Slack. What is critical calls everybody in it, what is high everybody who is there.
pub struct Slack {
    caller: Caller,
}

impl Slack {
    /// A channel that posts to an incoming webhook.
    ///
    /// # Errors
    /// The HTTP client refuses its settings.
    pub fn new(url: SecretUrl, clock: Arc<dyn Clock>) -> Result<Self, reqwest::Error> {
        let caller = Caller::new("Slack", url, clock)?;
        Ok(Self { caller })
    }
}

/// A text in which nothing is a command: `&`, `<` and `>` are escaped, as Slack asks for.
fn escaped(text: &str, most: usize) -> String {
    bounded(text, most, |c| match c {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        c => c.to_string(),
    })
}

const fn call(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "<!channel> ",
        Severity::High => "<!here> ",
        Severity::Medium | Severity::Low => "",
    }
}

fn body(message: &Message) -> Value {
    let escalation = &message.escalation;
    let severity = escalation.severity;
    let label = severity.as_str().to_uppercase();
    let headline = escaped(&escalation.message, MAX_HEADLINE);
    // Beside the text there are at most 30 characters.
    let text = escaped(&escalation.message, MAX_SECTION - 30);
    let facts: Vec<_> = facts(message)
        .into_iter()
        .map(|(name, value)| format!("{name}: {}", escaped(&value, 200)))
        .collect();
    json!({
        "text": format!("{}[{label}] {headline}", call(severity)),
        "blocks": [
            {"type": "section", "text": {"type": "mrkdwn", "text": format!("{}*[{label}]* {text}", call(severity))}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": facts.join(" · ")}]},
        ],
    })
}

fn advice(status: u16) -> &'static str {
    match status {
        403 | 404 | 410 => {
            "the webhook or its channel is gone, or may not post; make a new webhook and set the channel's url to it"
        }
        _ => "Slack refuses the message; check the channel's url",
    }
}

#[async_trait]
impl Notifier for Slack {
    fn channel_type(&self) -> ChannelType {
        ChannelType::Slack
    }

    async fn send(&self, message: &Message) -> SendOutcome {
        let request = self.caller.post(body(message).to_string());
        let taken = |status| (200..=299).contains(&status);
        self.caller.send(request, taken, advice).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_text_is_a_command() {
        assert_eq!(
            escaped("<!channel> a & b", 100),
            "&lt;!channel&gt; a &amp; b"
        );
        assert_eq!(escaped("ab<", 5), "ab…", "an entity is not cut in two");
    }
}

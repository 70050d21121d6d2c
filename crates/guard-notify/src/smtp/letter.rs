//! The mail about an escalation.

use chrono::{DateTime, Utc};
use guard_app::ports::Message;
use guard_domain::{Severity, timestamp};
use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};

use super::SmtpSettings;
use crate::text::{facts, one_line};

/// How much of the message goes into the subject, in characters.
const MAX_SUBJECT: usize = 150;

/// Writes the mail. Its `Message-ID` is the same for every attempt. What comes from an event is encoded, and cannot begin
/// a header.
pub(super) fn write(
    message: &Message,
    settings: &SmtpSettings,
    now: DateTime<Utc>,
) -> Result<lettre::Message, lettre::error::Error> {
    let escalation = &message.escalation;
    let label = escalation.severity.as_str().to_uppercase();
    let (priority, importance) = urgency(escalation.severity);
    let mut builder = lettre::Message::builder()
        .from(settings.from.clone())
        .subject(format!(
            "[{label}] {}",
            one_line(&escalation.message, MAX_SUBJECT)
        ))
        .date(now.into())
        .message_id(Some(format!(
            "<{}@{}>",
            message.id(),
            settings.from.email.domain()
        )))
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .raw_header(header("X-Priority", priority))
        .raw_header(header("Importance", importance))
        // RFC 3834: whoever is on holiday need not say so.
        .raw_header(header("Auto-Submitted", "auto-generated"));
    for mailbox in settings.to.iter() {
        builder = builder.to(mailbox.clone());
    }
    let mut body = format!("{}\n\n", escalation.message);
    for (name, value) in facts(message) {
        body.push_str(&format!("{name}: {value}\n"));
    }
    body.push_str(&format!(
        "raised: {}\n",
        timestamp::format(escalation.created_at)
    ));
    builder.body(body)
}

/// `X-Priority` and `Importance`, as mail programs read them.
const fn urgency(severity: Severity) -> (&'static str, &'static str) {
    match severity {
        Severity::Critical => ("1 (Highest)", "high"),
        Severity::High => ("2 (High)", "high"),
        Severity::Medium => ("3 (Normal)", "normal"),
        Severity::Low => ("5 (Lowest)", "low"),
    }
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

//! The events that are posted.

use std::time::SystemTime;

use super::{Fate, Receipt};

/// What an event is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// A rule that rests for an hour after acting on a value.
    Lock,
    /// A rule that rests for a minute.
    Brief,
    /// A rule that acts on every event.
    Work,
    /// A rule that acts from the third match within five seconds on.
    Burst,
    /// A rule that does nothing.
    Rest,
    /// No rule.
    None,
}

impl Use {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Brief => "brief",
            Self::Work => "work",
            Self::Burst => "burst",
            Self::Rest => "rest",
            Self::None => "none",
        }
    }

    const fn event_type(self) -> &'static str {
        match self {
            Self::Lock | Self::Brief => "security_threat",
            Self::Work => "backup_failed",
            Self::Burst => "anomaly_detected",
            Self::Rest => "health_check_failed",
            Self::None => "user_offboarding",
        }
    }
}

/// An event, and what came of every time it was posted.
pub(crate) struct Sent {
    pub(crate) key: Option<String>,
    /// Kept while it may be posted again.
    pub(crate) body: String,
    pub(crate) fates: Vec<Fate>,
}

impl Sent {
    pub(crate) fn is_answered(&self) -> bool {
        self.receipts().next().is_some()
    }

    pub(crate) fn receipts(&self) -> impl Iterator<Item = &Receipt> {
        self.fates.iter().filter_map(|fate| match fate {
            Fate::Answered(receipt) => Some(receipt),
            _ => None,
        })
    }
}

/// The text of an event of now. `number` finds it on record; with a `key` it carries its own id.
pub(super) fn body(
    number: usize,
    what: Use,
    value: &str,
    severity: &str,
    id: Option<&str>,
) -> String {
    let now: chrono::DateTime<chrono::Utc> = SystemTime::now().into();
    let id = id.map_or(String::new(), |id| format!(r#""id":"{id}","#));
    format!(
        r#"{{{id}"event_type":"{}","severity":"{severity}","source":"sentinel","timestamp":"{}","context":{{"number":{number},"use":"{}","v":"{value}"}}}}"#,
        what.event_type(),
        now.format("%Y-%m-%dT%H:%M:%S%.6f"),
        what.as_str(),
    )
}

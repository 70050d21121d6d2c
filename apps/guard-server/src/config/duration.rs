//! Lengths of time.

use std::time::Duration;

/// The longest time that a setting may be.
const LONGEST: Duration = Duration::from_secs(3653 * 24 * 3600);

/// Reads a length of time such as `15m`.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let parsed = humantime::parse_duration(text).ok();
    parsed.filter(|length| *length <= LONGEST).ok_or_else(|| {
        format!("`{text}` is not a length of time such as 500ms, 15m, 1h, or 0, up to 10 years")
    })
}

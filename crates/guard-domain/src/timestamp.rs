//! Moments as senders write them.

use chrono::{DateTime, NaiveDateTime, Utc};

/// Reads an RFC 3339 timestamp; one without an offset is UTC, with or without a fraction of a second.
///
/// Python's `datetime.utcnow().isoformat()` writes no offset, and no fraction when the microseconds happen to be zero.
/// Returns `None` for anything else.
#[must_use]
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.to_utc());
    }
    ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"]
        .iter()
        .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
        .filter(|_| text.len() >= "2026-01-01T00:00:00".len())
        .map(|naive| naive.and_utc())
}

/// Writes a moment as RFC 3339 in UTC with microseconds: `2026-11-20T03:01:00.123456Z`.
#[must_use]
pub fn format(moment: DateTime<Utc>) -> String {
    moment.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(parse(text).map(format).as_deref(), expected, "{text}");
    }

    #[test]
    fn offsets_are_honoured_and_their_absence_means_utc() {
        check(
            "2026-11-20T03:01:00.123456",
            Some("2026-11-20T03:01:00.123456Z"),
        );
        check("2026-11-20T03:01:00", Some("2026-11-20T03:01:00.000000Z"));
        check("2026-11-20T03:01:00Z", Some("2026-11-20T03:01:00.000000Z"));
        check(
            "2026-11-20T03:01:00.5+02:00",
            Some("2026-11-20T01:01:00.500000Z"),
        );
        check("2026-11-20 03:01:00", Some("2026-11-20T03:01:00.000000Z"));
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [
            "",
            "now",
            "2026-11-20",
            "1763607660",
            "2026-13-01T00:00:00",
            "2026-11-20T03:01",
        ] {
            check(bad, None);
        }
    }
}

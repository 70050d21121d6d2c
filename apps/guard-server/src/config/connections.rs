//! How many connections there may be, and how slow they.

use std::time::Duration;

use super::reader::Reader;

/// The most connections at once.
const MAX_CONNECTIONS: usize = 1_000_000;

/// The bounds of connections.
#[derive(Debug, Clone)]
#[expect(
    missing_docs,
    reason = "the fields are the keys, which `KEYS` describes"
)]
pub struct ConnectionSettings {
    pub max_connections: usize,
    pub max_connections_per_address: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub idle_timeout: Duration,
    pub write_timeout: Duration,
}

impl Reader<'_> {
    /// Reads the bounds of connections.
    pub(super) fn connections(&mut self) -> Option<ConnectionSettings> {
        let max_connections = self.connection_count("server.max_connections", 1);
        let max_connections_per_address =
            self.connection_count("server.max_connections_per_address", 0);
        let header_timeout = self.bound("server.header_timeout");
        let body_timeout = self.bound("server.body_timeout");
        let idle_timeout = self.bound("server.idle_timeout");
        let write_timeout = self.bound("server.write_timeout");
        Some(ConnectionSettings {
            max_connections: max_connections?,
            max_connections_per_address: max_connections_per_address?,
            header_timeout: header_timeout?,
            body_timeout: body_timeout?,
            idle_timeout: idle_timeout?,
            write_timeout: write_timeout?,
        })
    }

    fn connection_count(&mut self, name: &str, least: usize) -> Option<usize> {
        self.optional(name, |text| {
            let number = text.parse().ok();
            number
                .filter(|number| (least..=MAX_CONNECTIONS).contains(number))
                .ok_or_else(|| {
                    format!("`{text}` is not a whole number from {least} to {MAX_CONNECTIONS}")
                })
        })
    }

    fn bound(&mut self, name: &str) -> Option<Duration> {
        let duration = self.duration(name)?;
        if duration.is_zero() {
            self.refuse(name, "this cannot be 0");
        }
        Some(duration)
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Origin, Resolved, Settings};

    #[test]
    fn bounds_are_bounded_and_one_address_may_have_no_limit() {
        let with = |name: &str, value: &str| {
            let mut resolved = Resolved::defaults();
            resolved.set(name, value, Origin::Default);
            Settings::of(&resolved).map_err(|error| error.to_string())
        };
        let settings = with("server.max_connections_per_address", "0").unwrap();
        assert_eq!(settings.connections.max_connections_per_address, 0);
        for (name, value) in [
            ("server.max_connections", "0"),
            ("server.max_connections", "1000001"),
            ("server.max_connections_per_address", "-1"),
            ("server.header_timeout", "0"),
            ("server.body_timeout", "0"),
            ("server.idle_timeout", "0"),
            ("server.write_timeout", "soon"),
        ] {
            let error = with(name, value).unwrap_err();
            assert!(error.contains(&format!("`{name}`")), "{error}");
        }
    }
}

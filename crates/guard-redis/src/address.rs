//! Where Redis is.

use std::fmt;

use redis::Client;

/// The address of a Redis server: `redis://user:password@host:port/database`, or `rediss://` for TLS.
#[derive(Clone)]
pub struct RedisAddress(pub(crate) Client);

impl RedisAddress {
    /// Reads an address.
    ///
    /// # Errors
    /// What is wrong with it, without what it holds.
    pub fn parse(text: &str) -> Result<Self, String> {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        if !matches!(scheme, Some("redis" | "rediss")) {
            return Err(
                "this is not an address such as redis://host:6379 or rediss://user:password@host/1"
                    .to_owned(),
            );
        }
        Client::open(text)
            .map(Self)
            .map_err(|_| "this address of a Redis server is malformed".to_owned())
    }
}

/// Without user and password.
impl fmt::Display for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.get_connection_info().addr().fmt(f)
    }
}

impl fmt::Debug for RedisAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisAddress({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_without_secrets() {
        let address = RedisAddress::parse("redis://guard:s3cret@cache:6380/2").unwrap();
        assert_eq!(
            format!("{address} {address:?}"),
            "cache:6380 RedisAddress(cache:6380)"
        );
        assert!(RedisAddress::parse("rediss://cache").is_ok());
        for wrong in [
            "cache:6379",
            "http://s3cret@cache",
            "redis://s3cret@cache:port",
            "",
        ] {
            let error = RedisAddress::parse(wrong).unwrap_err();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}

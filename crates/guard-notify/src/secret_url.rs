//! Addresses that are secrets: whoever knows them can send.

use std::fmt;

use thiserror::Error;
use url::Url;

/// Why an address cannot be used. It does not say the address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum UrlError {
    /// It is no address, or of another kind.
    #[error("this is not an address that begins with {0}")]
    Kind(&'static str),
    /// A part of it is not wanted.
    #[error("an address of a mail server has no {0}")]
    Superfluous(&'static str),
}

/// An address of which only scheme, host and port are ever shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// Reads an address that begins with `http://` or `https://`.
    ///
    /// # Errors
    /// [`UrlError`]
    pub fn parse_http(text: &str) -> Result<Self, UrlError> {
        Self::parse(text, &["http", "https"]).ok_or(UrlError::Kind("https:// or http://"))
    }

    /// Reads the address of a mail server: `smtps://user:password@host:port` or `smtp://…`.
    ///
    /// # Errors
    /// [`UrlError`]
    pub fn parse_smtp(text: &str) -> Result<Self, UrlError> {
        let url =
            Self::parse(text, &["smtp", "smtps"]).ok_or(UrlError::Kind("smtps:// or smtp://"))?;
        if url.0.path().len() > 1 {
            return Err(UrlError::Superfluous("path"));
        }
        if url.0.query().is_some() || url.0.fragment().is_some() {
            return Err(UrlError::Superfluous("query"));
        }
        Ok(url)
    }

    fn parse(text: &str, schemes: &[&str]) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let fits = schemes.contains(&url.scheme()) && url.host_str().is_some_and(|h| !h.is_empty());
        fits.then_some(Self(url))
    }

    /// The whole address. It must not be shown.
    #[must_use]
    pub const fn expose(&self) -> &Url {
        &self.0
    }
}

/// Everything but scheme, host and port is masked.
impl fmt::Display for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0;
        let host = url.host_str().unwrap_or_default();
        let user = if url.username().is_empty() && url.password().is_none() {
            ""
        } else {
            "****@"
        };
        write!(f, "{}://{user}{host}", url.scheme())?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        if url.path().len() > 1 || url.query().is_some() {
            f.write_str("/****")?;
        }
        Ok(())
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_scheme_host_and_port_are_shown() {
        let shown = |text| SecretUrl::parse_http(text).unwrap().to_string();
        assert_eq!(
            shown("https://hooks.slack.com/services/T0/B0/x"),
            "https://hooks.slack.com/****"
        );
        assert_eq!(
            shown("http://u:p@127.0.0.1:8080/?token=x"),
            "http://****@127.0.0.1:8080/****"
        );
        assert_eq!(shown("http://example.com"), "http://example.com");
        let smtp = SecretUrl::parse_smtp("smtps://u:p@mail.example.com:465").unwrap();
        assert_eq!(format!("{smtp:?}"), "smtps://****@mail.example.com:465");
    }

    #[test]
    fn what_is_no_address_is_refused_without_saying_it() {
        for wrong in ["s3cret", "ftp://s3cret.example.com", "https://", "smtp://h"] {
            let error = SecretUrl::parse_http(wrong).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
        let smtp = |text| SecretUrl::parse_smtp(text).unwrap_err().to_string();
        assert_eq!(
            smtp("smtp://h/path"),
            "an address of a mail server has no path"
        );
        assert_eq!(
            smtp("smtp://h?tls=none"),
            "an address of a mail server has no query"
        );
        assert_eq!(
            smtp("https://h"),
            "this is not an address that begins with smtps:// or smtp://"
        );
    }
}

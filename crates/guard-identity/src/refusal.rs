//! Why a token is not accepted.

use std::time::Duration;

use guard_app::ports::StorageError;

/// Why a token is not accepted; who sent it hears no more than that.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// It is none of ours: too long, or of no form that is known here.
    Unknown,
    /// There is no such key, or not any more.
    UnknownKey,
    /// There is such a key, and its secret is another one.
    WrongSecret,
    /// It has the form of a JWT, and is not signed by the key that is configured, or cannot be read.
    Jwt,
    /// It is a JWT whose time is over or has not come.
    JwtTime,
    /// It is a JWT of somebody else, or for somebody else.
    JwtClaims,
    /// Too many secrets were tried at one key: come back after this.
    TooMany(Duration),
    /// It could not be checked.
    Unavailable(StorageError),
}

impl Refusal {
    /// The reason as a label of a metric.
    pub(crate) const fn reason(&self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::UnknownKey => "unknown_key",
            Self::WrongSecret => "wrong_secret",
            Self::Jwt => "jwt",
            Self::JwtTime => "jwt_time",
            Self::JwtClaims => "jwt_claims",
            Self::TooMany(_) => "too_many",
            Self::Unavailable(_) => "unavailable",
        }
    }
}

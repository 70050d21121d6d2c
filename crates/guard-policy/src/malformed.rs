//! Events that cannot be evaluated.

use std::fmt;

use thiserror::Error;

/// How deep an event may nest: containers within containers, the event itself included.
pub(crate) const MAX_DEPTH: usize = 64;
/// The largest event, in bytes.
pub(crate) const MAX_EVENT_BYTES: usize = 16 * 1024 * 1024;

/// An event whose bytes cannot be evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the event is malformed at byte {offset}: {kind}")]
pub struct MalformedEvent {
    pub(crate) kind: MalformedKind,
    pub(crate) offset: usize,
}

/// What is wrong with the bytes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MalformedKind {
    /// They are not the text of one JSON value (RFC 8259).
    Syntax,
    /// They are not UTF-8.
    Utf8,
    /// A string holds half of a surrogate pair, which stands for no character.
    LoneSurrogate,
    /// The value is not an object.
    NotAnObject,
    /// It nests deeper than 64 levels, the event itself included.
    TooDeep,
    /// There are more than 16 MiB of them.
    TooLarge,
}

impl MalformedEvent {
    pub(crate) const fn new(kind: MalformedKind, offset: usize) -> Self {
        Self { kind, offset }
    }

    /// What is wrong.
    #[must_use]
    pub const fn kind(&self) -> MalformedKind {
        self.kind
    }

    /// Where, in bytes from the beginning of the event. An event that ends too early is malformed at its length.
    #[must_use]
    pub const fn offset(&self) -> usize {
        self.offset
    }
}

impl fmt::Display for MalformedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax => f.write_str("this is not JSON"),
            Self::Utf8 => f.write_str("this is not UTF-8"),
            Self::LoneSurrogate => f.write_str("half of a surrogate pair"),
            Self::NotAnObject => f.write_str("an event is a JSON object"),
            Self::TooDeep => write!(f, "nested deeper than {MAX_DEPTH} levels"),
            Self::TooLarge => write!(f, "an event has at most {MAX_EVENT_BYTES} bytes"),
        }
    }
}

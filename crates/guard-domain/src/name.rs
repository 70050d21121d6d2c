//! Names: bounded strings that are safe in URLs, logs and labels.

use std::fmt;

use thiserror::Error;

/// The longest slug, in characters.
pub const MAX_SLUG: usize = 63;
/// The longest event source, in characters.
pub const MAX_SOURCE: usize = 128;

/// A name that breaks the rule of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Not a slug.
    #[error("`{0}` is not a slug: 1 to 63 of a-z, 0-9 and `-`, beginning with a letter or digit")]
    NotASlug(String),
    /// A source that is empty, too long or holds a NUL.
    #[error("a source has 1 to 128 characters and no NUL, this one has {0}")]
    BadSource(String),
}

fn is_slug(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    (1..=MAX_SLUG).contains(&text.len())
        && text.bytes().all(|b| word(b) || b == b'-')
        && text.bytes().next().is_some_and(word)
}

macro_rules! slug {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// Reads a slug: 1 to 63 of `a-z`, `0-9` and `-`, beginning with a letter or digit.
            ///
            /// # Errors
            /// [`NameError::NotASlug`] with the text that was given.
            pub fn parse(text: &str) -> Result<Self, NameError> {
                if is_slug(text) {
                    Ok(Self(text.into()))
                } else {
                    Err(NameError::NotASlug(text.to_owned()))
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

slug!(
    /// The id of a rule, unique within a tenant.
    RuleId
);
slug!(
    /// The name of a playbook: the last segment of its webhook's URL. Nothing but a slug ever reaches a URL.
    PlaybookName
);
slug!(
    /// A tenant: the owner of events, rules and everything that follows from them.
    TenantId
);
slug!(
    /// The name of someone to escalate to, as configured.
    ContactName
);
slug!(
    /// The name of a channel, unique within its contact.
    ChannelName
);

impl TenantId {
    /// The tenant of whoever names none.
    #[must_use]
    pub fn default_tenant() -> Self {
        Self("default".into())
    }
}

impl ContactName {
    /// The contact that always exists.
    #[must_use]
    pub fn default_contact() -> Self {
        Self("default".into())
    }
}

/// Where an event comes from, as its sender calls it: 1 to 128 characters, no NUL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source(Box<str>);

impl Source {
    /// Reads a source.
    ///
    /// # Errors
    /// [`NameError::BadSource`] when it is empty, longer than 128 characters or holds a NUL.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let length = text.chars().count();
        if text.contains('\0') {
            return Err(NameError::BadSource("a NUL".to_owned()));
        }
        if !(1..=MAX_SOURCE).contains(&length) {
            return Err(NameError::BadSource(format!("{length} characters")));
        }
        Ok(Self(text.into()))
    }

    /// The source as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_slugs_become_playbook_names() {
        for good in ["a", "0", "backup-recovery", &"x".repeat(63)] {
            assert_eq!(PlaybookName::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-a",
            "A",
            "a/b",
            "../x",
            "a b",
            "ä",
            "a_b",
            "a%2f",
            &"x".repeat(64),
        ] {
            assert!(PlaybookName::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_source_is_counted_in_characters() {
        assert!(Source::parse(&"ä".repeat(128)).is_ok());
        assert!(Source::parse(&"ä".repeat(129)).is_err());
        assert!(Source::parse("").is_err());
        assert!(Source::parse("a\0b").is_err());
    }
}

//! Closed sets of words: an enum whose values are the exact words of the contract.

use thiserror::Error;

/// A word that is not in the closed set it was looked up in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown {kind} `{word}`, expected one of {expected}{}", crate::suggest::hint(.nearest.as_deref()))]
pub struct UnknownWord {
    /// What the word was meant to be, for example `severity`.
    pub kind: &'static str,
    /// The word as given.
    pub word: String,
    /// The valid words, separated by commas.
    pub expected: String,
    /// The valid word that is spelled most like it, if one is near.
    pub nearest: Option<String>,
}

/// Defines an enum of words: `as_str`, `parse`, `ALL`, `Display` and the serde traits.
macro_rules! words {
    (
        $(#[$meta:meta])* $vis:vis enum $name:ident as $kind:literal {
            $( $(#[$vmeta:meta])* $variant:ident => $word:literal ),+ $(,)?
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $( $(#[$vmeta])* $variant ),+ }

        impl $name {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$( Self::$variant ),+];

            /// The word that stands for this value in JSON, in rules and in the database.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word ),+ }
            }

            /// Reads a word, exactly as spelled.
            ///
            /// # Errors
            /// [`UnknownWord`](crate::UnknownWord), naming the valid words and the nearest one.
            pub fn parse(word: &str) -> Result<Self, crate::UnknownWord> {
                match word {
                    $( $word => Ok(Self::$variant), )+
                    _ => Err(crate::UnknownWord {
                        kind: $kind,
                        word: crate::suggest::quote(word),
                        expected: [$( $word ),+].join(", "),
                        nearest: crate::suggest::nearest(word, [$( $word ),+]).map(str::to_owned),
                    }),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                Self::parse(&word).map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use words;

//! Values as an author writes them.

use std::fmt;

/// The text of a JSON number (RFC 8259), exactly as written: no digit and no exponent is lost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NumberText(Box<str>);

impl NumberText {
    /// Reads the text of a number. Returns `None` for what JSON would not take as one.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let begins = text.starts_with(|c: char| c == '-' || c.is_ascii_digit());
        let number = begins && serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
        (number && text.trim_end() == text).then(|| Self(text.into()))
    }

    /// The number as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NumberText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A value in a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Literal {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as written.
    Number(NumberText),
    /// A string.
    String(String),
    /// A list.
    List(Vec<Literal>),
    /// A map, in the author's order; keys are unique.
    Map(Vec<(String, Literal)>),
}

/// Writes the value as JSON.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Number(text) => f.write_str(text.as_str()),
            Self::String(text) => f.write_str(&quoted(text)),
            Self::List(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Map(members) => {
                f.write_str("{")?;
                for (i, (key, value)) in members.iter().enumerate() {
                    write!(
                        f,
                        "{}{}:{value}",
                        if i == 0 { "" } else { "," },
                        quoted(key)
                    )?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_numbers_are_numbers() {
        for good in [
            "0",
            "-0",
            "1.50",
            "1e99999",
            "-12.5E+3",
            "123456789012345678901234567890",
        ] {
            assert_eq!(NumberText::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "", "+1", ".5", "1.", "007", "0x1f", "1_000", "NaN", "1 ", "\"1\"", "true",
        ] {
            assert_eq!(NumberText::parse(bad), None, "{bad}");
        }
    }
}

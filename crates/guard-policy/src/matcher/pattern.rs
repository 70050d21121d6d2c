//! Patterns in rules.

use regex::{Regex, RegexBuilder};

use super::compile::MatcherError;

/// The longest pattern, in bytes.
const MAX_PATTERN_BYTES: usize = 4096;
/// The most memory a compiled pattern may take, in bytes.
const MAX_PATTERN_SIZE: usize = 1 << 18;

/// The compiled form of `source`, which stands for the author's `pattern`.
pub(super) fn regex(pattern: &str, source: &str, ignore_case: bool) -> Result<Regex, MatcherError> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(MatcherError::TooCostly {
            found: format!("it has {} bytes", pattern.len()),
            bound: MAX_PATTERN_BYTES.to_string(),
        });
    }
    let built = RegexBuilder::new(source)
        .case_insensitive(ignore_case)
        .size_limit(MAX_PATTERN_SIZE)
        .dfa_size_limit(MAX_PATTERN_SIZE)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => MatcherError::TooCostly {
            found: "compiled it takes more memory".to_owned(),
            bound: format!("{MAX_PATTERN_SIZE} bytes"),
        },
        other => MatcherError::Pattern {
            pattern: pattern.to_owned(),
            detail: other
                .to_string()
                .lines()
                .last()
                .unwrap_or_default()
                .trim()
                .to_owned(),
        },
    })
}

/// The regular expression of a wildcard pattern, which fits the whole text.
pub(super) fn wildcard(pattern: &str) -> Result<String, MatcherError> {
    let mut source = String::from("(?s)^");
    let mut characters = pattern.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' => source.push_str(".*"),
            '?' => source.push('.'),
            '\\' => {
                let literal = characters.next().ok_or_else(|| MatcherError::Pattern {
                    pattern: pattern.to_owned(),
                    detail: "nothing follows the last `\\`".to_owned(),
                })?;
                source.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4])));
            }
            literal => source.push_str(&regex::escape(literal.encode_utf8(&mut [0; 4]))),
        }
    }
    source.push('$');
    Ok(source)
}

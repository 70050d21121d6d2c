//! Patterns in rules.

use guard_domain::{Literal, Operand, Operator, Test};
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
            found: format!("compiled it takes {} bytes", size(source, ignore_case)),
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

/// How many bytes a pattern takes that takes too many, roughly.
fn size(source: &str, ignore_case: bool) -> String {
    let fits = |limit: &usize| {
        let mut builder = RegexBuilder::new(source);
        let builder = builder.case_insensitive(ignore_case).size_limit(*limit);
        builder.build().is_ok()
    };
    let limits = [2, 4, 8, 16].map(|times| MAX_PATTERN_SIZE * times);
    match limits.iter().find(|limit| fits(limit)) {
        Some(limit) => format!("{} to {limit}", limit / 2),
        None => format!("more than {}", MAX_PATTERN_SIZE * 16),
    }
}

/// What is to be said of a pattern that takes more than a quarter of the memory it may take.
pub(crate) fn is_costly(test: &Test) -> Option<String> {
    let Operand::Value(Literal::String(pattern)) = &test.operand else {
        return None;
    };
    let source = match test.operator {
        Operator::Wildcard => wildcard(pattern).ok()?,
        _ => pattern.clone(),
    };
    let quarter = MAX_PATTERN_SIZE / 4;
    let built = RegexBuilder::new(&source)
        .case_insensitive(test.ignore_case)
        .size_limit(quarter)
        .build();
    matches!(built, Err(regex::Error::CompiledTooBig(_))).then(|| {
        format!(
            "the pattern takes more than {quarter} bytes of the {MAX_PATTERN_SIZE} that it may take; shorter repetitions take less"
        )
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

//! The type of a scalar: what an unquoted word means.

use guard_domain::{Literal, NumberText};

use super::node::{Node, NodeValue, Place};

/// The value of a node: plain `true`, `false`, `null` and JSON numbers are what they say, everything else is a string.
pub(crate) fn literal(node: &Node) -> Result<Literal, (Place, String)> {
    match &node.value {
        NodeValue::Scalar { text, plain: false } => Ok(Literal::String(text.clone())),
        NodeValue::Scalar { text, plain: true } => {
            plain(text).map_err(|detail| (node.place, detail))
        }
        NodeValue::List(items) => items
            .iter()
            .map(literal)
            .collect::<Result<_, _>>()
            .map(Literal::List),
        NodeValue::Map(members) => members
            .iter()
            .map(|member| Ok((member.key.clone(), literal(&member.value)?)))
            .collect::<Result<_, _>>()
            .map(Literal::Map),
    }
}

fn plain(text: &str) -> Result<Literal, String> {
    match text {
        "" | "~" | "null" => return Ok(Literal::Null),
        "true" => return Ok(Literal::Bool(true)),
        "false" => return Ok(Literal::Bool(false)),
        "Null" | "NULL" | "True" | "TRUE" | "False" | "FALSE" => {
            return Err(format!(
                "`{text}` is spelled in lower case; or quote the string"
            ));
        }
        _ => {}
    }
    if let Some(number) = NumberText::parse(text) {
        return Ok(Literal::Number(number));
    }
    if is_ambiguous(text) {
        return Err(format!(
            "`{text}` could be a number or a string: write the number as JSON does, or quote the string"
        ));
    }
    Ok(Literal::String(text.to_owned()))
}

/// A spelling that YAML reads as a number and JSON does not: `+1`, `.5`, `1.`, `007`, `0x1f`, `0o17`, `.inf`, `.nan`.
fn is_ambiguous(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let special = matches!(unsigned.to_ascii_lowercase().as_str(), ".inf" | ".nan");
    let radix = |prefix: &str, base: u32| {
        unsigned
            .strip_prefix(prefix)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(base)))
    };
    let numeric = unsigned.chars().any(|c| c.is_ascii_digit()) && unsigned.parse::<f64>().is_ok();
    special || radix("0x", 16) || radix("0o", 8) || numeric
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(plain(text).unwrap().to_string(), expected, "{text}");
    }

    #[test]
    fn unquoted_words_are_what_they_look_like() {
        check("no", r#""no""#);
        check("on", r#""on""#);
        check("true", "true");
        check("~", "null");
        check("1.50", "1.50");
        check(
            "123456789012345678901234567890",
            "123456789012345678901234567890",
        );
        check("10.0.0.0/8", r#""10.0.0.0/8""#);
        check("2026-11-20", r#""2026-11-20""#);
        check("1.2.3", r#""1.2.3""#);
        check("inf", r#""inf""#);
    }

    #[test]
    fn what_yaml_and_json_read_differently_is_refused() {
        for text in [
            "TRUE", "Null", "+1", ".5", "1.", "007", "0x1f", "0o17", ".inf", "-.INF", ".nan",
        ] {
            assert!(plain(text).is_err(), "{text}");
        }
    }
}

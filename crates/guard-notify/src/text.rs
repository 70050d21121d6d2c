//! Texts that fit where they go.

use guard_app::ports::Message;

/// The beginning of a text, on one line: at most so many characters.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    bounded(text, most, |c| if c.is_control() { ' ' } else { c }.into())
}

/// The beginning of a text, each character replaced: at most so many characters in all, and no replacement cut in two. A
/// cut is shown by `…`.
pub(crate) fn bounded(text: &str, most: usize, replace: impl Fn(char) -> String) -> String {
    let (mut bounded, mut length, mut cut) = (String::new(), 0, 0);
    for c in text.chars() {
        if length < most {
            cut = bounded.len();
        }
        let replaced = replace(c);
        length += replaced.chars().count();
        bounded.push_str(&replaced);
        if length > most {
            bounded.truncate(cut);
            bounded.push('…');
            break;
        }
    }
    bounded
}

/// What the escalation is about, beside its message: names and values.
pub(crate) fn facts(message: &Message) -> Vec<(&'static str, String)> {
    let escalation = &message.escalation;
    let text = |id: Option<String>| id.unwrap_or_default();
    let mut facts = vec![
        ("severity", escalation.severity.to_string()),
        ("reason", escalation.reason.to_string()),
        (
            "rule",
            text(escalation.rule_id.as_ref().map(ToString::to_string)),
        ),
        ("tenant", message.tenant.to_string()),
        ("contact", escalation.contact.to_string()),
        ("event", text(escalation.event_id.map(|id| id.to_string()))),
        (
            "execution",
            text(escalation.execution_id.map(|id| id.to_string())),
        ),
        ("escalation", escalation.id.to_string()),
    ];
    facts.retain(|(_, value)| !value.is_empty());
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_bounded_in_characters_and_on_one_line() {
        assert_eq!(one_line("a\nb\u{7f}", 4), "a b ");
        assert_eq!(one_line("äöüß", 4), "äöüß");
        assert_eq!(one_line("äöüßx", 4), "äöü…");
        assert_eq!(one_line("", 4), "");
        let doubled = |text, most| bounded(text, most, |c| format!("{c}{c}"));
        assert_eq!(doubled("ab", 4), "aabb");
        assert_eq!(doubled("abc", 4), "aa…");
        assert_eq!(doubled("abc", 5), "aabb…");
    }
}

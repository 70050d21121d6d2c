//! Templates: `{{ path }}` and nothing more.
//!
//! A string that is one placeholder becomes the event's value, byte for byte; inside a longer string, strings go in as they
//! are, numbers, booleans and null as text, objects and arrays as JSON.

use guard_domain::{FieldPath, FieldPathError, Literal};
use thiserror::Error;

use crate::document::{Document, Value};

/// A compiled template.
#[derive(Debug)]
pub(crate) enum Template {
    /// JSON that is the same for every event.
    Fixed(String),
    /// The event's value.
    Value(FieldPath),
    /// Text with values in it.
    Text(Vec<Segment>),
    List(Vec<Template>),
    Map(Vec<(String, Template)>),
}

#[derive(Debug)]
pub(crate) enum Segment {
    Text(String),
    Value(FieldPath),
}

/// Why a template cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum TemplateError {
    #[error("`{{{{` is not closed by `}}}}` in `{0}`")]
    Unclosed(String),
    #[error("`}}}}` closes no `{{{{` in `{0}`")]
    Unopened(String),
    #[error(transparent)]
    Path(#[from] FieldPathError),
}

/// The largest text that a template may become, in bytes.
const MAX_RENDERED: usize = 256 * 1024;
/// The longest message that a template may become, in characters; what is beyond is cut off.
const MAX_MESSAGE: usize = 4000;

/// Why a template cannot be filled in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum RenderError {
    /// The event has no value at this path.
    #[error("the event has no `{0}`")]
    Missing(FieldPath),
    /// It becomes too large.
    #[error("filled in it has more than {MAX_RENDERED} bytes")]
    TooLarge,
}

impl Template {
    pub(crate) fn compile(literal: &Literal) -> Result<Self, TemplateError> {
        Ok(match literal {
            Literal::String(text) => return Self::compile_text(text),
            Literal::List(items) => {
                Self::List(items.iter().map(Self::compile).collect::<Result<_, _>>()?)
            }
            Literal::Map(members) => {
                let compile = |(key, value): &(String, Literal)| {
                    Ok::<_, TemplateError>((key.clone(), Self::compile(value)?))
                };
                Self::Map(members.iter().map(compile).collect::<Result<_, _>>()?)
            }
            fixed => Self::Fixed(fixed.to_string()),
        })
    }

    fn compile_text(text: &str) -> Result<Self, TemplateError> {
        let mut segments = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (path, after) = after
                .split_once("}}")
                .ok_or_else(|| TemplateError::Unclosed(text.to_owned()))?;
            if before.contains("}}") {
                return Err(TemplateError::Unopened(text.to_owned()));
            }
            if !before.is_empty() {
                segments.push(Segment::Text(before.to_owned()));
            }
            segments.push(Segment::Value(FieldPath::parse(path.trim())?));
            rest = after;
        }
        if rest.contains("}}") {
            return Err(TemplateError::Unopened(text.to_owned()));
        }
        if segments.is_empty() {
            return Ok(Self::Fixed(quoted(text)));
        }
        if !rest.is_empty() {
            segments.push(Segment::Text(rest.to_owned()));
        }
        match segments.as_slice() {
            [Segment::Value(path)] => Ok(Self::Value(path.clone())),
            _ => Ok(Self::Text(segments)),
        }
    }

    /// The JSON text of the template filled in from an event.
    pub(crate) fn render(&self, event: &Document<'_>) -> Result<String, RenderError> {
        let mut out = String::new();
        self.render_into(event, &mut out)?;
        if out.len() > MAX_RENDERED {
            Err(RenderError::TooLarge)
        } else {
            Ok(out)
        }
    }

    /// The plain text of a template that is a string, filled in from an event.
    pub(crate) fn render_text(&self, event: &Document<'_>) -> Result<String, RenderError> {
        let json = self.render(event)?;
        let text: String = serde_json::from_str(&json).unwrap_or(json);
        // A message goes to logs, pagers and people: what controls a terminal or ends a text stays out.
        let visible = |c: char| {
            if c.is_control() && c != '\n' && c != '\t' {
                '\u{fffd}'
            } else {
                c
            }
        };
        Ok(text.chars().take(MAX_MESSAGE).map(visible).collect())
    }

    fn render_into(&self, event: &Document<'_>, out: &mut String) -> Result<(), RenderError> {
        if out.len() > MAX_RENDERED {
            return Err(RenderError::TooLarge);
        }
        match self {
            Self::Fixed(json) => out.push_str(json),
            Self::Value(path) => out.push_str(find(event, path)?.raw),
            Self::Text(segments) => out.push_str(&quoted(&fill(segments, event)?)),
            Self::List(items) => {
                out.push('[');
                for (i, item) in items.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    item.render_into(event, out)?;
                }
                out.push(']');
            }
            Self::Map(members) => {
                out.push('{');
                for (i, (key, value)) in members.iter().enumerate() {
                    out.push_str(if i == 0 { "" } else { "," });
                    out.push_str(&quoted(key));
                    out.push(':');
                    value.render_into(event, out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

fn fill(segments: &[Segment], event: &Document<'_>) -> Result<String, RenderError> {
    let mut text = String::new();
    for segment in segments {
        match segment {
            Segment::Text(fixed) => text.push_str(fixed),
            Segment::Value(path) => {
                let found = find(event, path)?;
                match &found.value {
                    Value::String(value) => text.push_str(value),
                    _ => text.push_str(found.raw),
                }
            }
        }
    }
    Ok(text)
}

fn find<'d, 'a>(
    event: &'d Document<'a>,
    path: &FieldPath,
) -> Result<&'d Document<'a>, RenderError> {
    event
        .find(path)
        .ok_or_else(|| RenderError::Missing(path.clone()))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = r#"{"event_type":"backup_failed","context":{"big":1.500e400,"s":"a \"b\" \u00e9",
        "o":{"k": [1, 2]},"n":null,"t":true}}"#;

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let event = Document::parse(EVENT).unwrap();
        let template = Template::compile(&Literal::String(template.to_owned())).unwrap();
        let found = template
            .render(&event)
            .unwrap_or_else(|missing| missing.to_string());
        assert_eq!(found, expected);
    }

    #[test]
    fn a_lone_placeholder_becomes_the_value_as_sent() {
        check("{{ context.big }}", "1.500e400");
        check("{{context.s}}", r#""a \"b\" \u00e9""#);
        check("{{ context.o }}", r#"{"k": [1, 2]}"#);
        check("{{ context.n }}", "null");
    }

    #[test]
    fn inside_a_longer_string_values_become_text() {
        check(
            "<{{ context.s }}|{{ context.big }}|{{ context.t }}>",
            r#""<a \"b\" é|1.500e400|true>""#,
        );
        check(
            "{{ event_type }}: {{ context.o }}",
            r#""backup_failed: {\"k\": [1, 2]}""#,
        );
        check("plain } {", r#""plain } {""#);
    }

    #[test]
    fn a_missing_value_fails_the_rendering() {
        check("{{ context.nope }}", "the event has no `context.nope`");
        check(
            "a {{ context.o.k[2] }}",
            "the event has no `context.o.k[2]`",
        );
    }

    #[test]
    fn what_is_rendered_is_bounded_and_messages_are_clean() {
        let big = "x".repeat(60_000);
        let text = format!(r#"{{"context":{{"big":"{big}","bad":"a\u0000\u001bb"}}}}"#);
        let event = Document::parse(&text).unwrap();
        let template = |text: &str| Template::compile(&Literal::String(text.to_owned())).unwrap();
        let five = "{{ context.big }} ".repeat(5);
        assert_eq!(template(&five).render(&event), Err(RenderError::TooLarge));
        assert_eq!(
            template("{{ context.big }}!")
                .render_text(&event)
                .unwrap()
                .len(),
            4000
        );
        let bad = template("<{{ context.bad }}>").render_text(&event).unwrap();
        assert_eq!(bad, "<a\u{fffd}\u{fffd}b>");
    }

    #[test]
    fn wrong_templates_are_refused() {
        for wrong in [
            "{{ context.a",
            "{{}}",
            "{{ a b }}",
            "{{ user.name }}",
            "{ context.a }}",
            "{{ context.x | upper }}",
            "{{ context.a } and {{ context.b }}",
        ] {
            assert!(
                Template::compile(&Literal::String(wrong.to_owned())).is_err(),
                "{wrong}"
            );
        }
    }
}

//! YAML text to nodes. Anchors, aliases, tags and several documents are refused: a rule should read as what it is.

use std::collections::HashSet;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

use super::node::{MAX_DEPTH, Member, Node, NodeValue, Place};

type Failure = (Place, String);

pub(crate) fn parse(text: &str) -> Result<Node, Failure> {
    // A carriage return alone ends a line in YAML.
    let lines = text.split(['\n', '\r']);
    let last = lines.clone().next_back().unwrap_or_default();
    let events = Events {
        parser: Parser::new_from_str(text),
        end: Place {
            line: lines.count(),
            column: last.chars().count() + 1,
        },
    };
    parse_document(events)
}

fn parse_document(mut events: Events<'_>) -> Result<Node, Failure> {
    let mut root = None;
    loop {
        let (event, place) = events.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if root.is_some() => {
                return Err((
                    place,
                    "a rule file has one document, this is a second one".into(),
                ));
            }
            event => root = Some(events.node(event, place, 0)?),
        }
    }
    root.ok_or((
        Place::START,
        "the file is empty; it needs `rules:` with a list".into(),
    ))
}

struct Events<'a> {
    parser: Parser<'a, StrInput<'a>>,
    /// Where the text ends: the parser places what is missing there on the line after it.
    end: Place,
}

impl<'a> Events<'a> {
    fn place(&self, marker: &Marker) -> Place {
        if marker.line() > self.end.line {
            return self.end;
        }
        Place {
            line: marker.line(),
            column: marker.col() + 1,
        }
    }

    fn scan_failure(&self, error: &ScanError) -> Failure {
        let place = self.place(error.marker());
        (place, format!("this is not YAML: {}", error.info()))
    }

    fn next(&mut self) -> Result<(Event<'a>, Place), Failure> {
        let next: Option<Result<(Event<'a>, Span), ScanError>> = self.parser.next_event();
        match next {
            None => Ok((Event::StreamEnd, Place::START)),
            Some(Ok((event, span))) => Ok((event, self.place(&span.start))),
            Some(Err(error)) => Err(self.scan_failure(&error)),
        }
    }

    fn node(&mut self, event: Event<'a>, place: Place, depth: usize) -> Result<Node, Failure> {
        if depth > MAX_DEPTH {
            return Err((place, format!("nested deeper than {MAX_DEPTH} levels")));
        }
        let refused = |what| Err((place, format!("{what} are not supported in rule files")));
        let value = match event {
            Event::Alias(_) => return refused("YAML aliases"),
            Event::Scalar(_, _, anchor, tag) if anchor > 0 || tag.is_some() => {
                return refused("YAML anchors and tags");
            }
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag)
                if anchor > 0 || tag.is_some() =>
            {
                return refused("YAML anchors and tags");
            }
            Event::Scalar(text, style, _, _) => NodeValue::Scalar {
                text: text.into_owned(),
                plain: style == ScalarStyle::Plain,
            },
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            _ => return Err((place, "a value is expected here".into())),
        };
        Ok(Node { place, value })
    }

    fn list(&mut self, depth: usize) -> Result<NodeValue, Failure> {
        let mut items = Vec::new();
        loop {
            let (event, place) = self.next()?;
            if matches!(event, Event::SequenceEnd) {
                return Ok(NodeValue::List(items));
            }
            items.push(self.node(event, place, depth + 1)?);
        }
    }

    fn map(&mut self, depth: usize) -> Result<NodeValue, Failure> {
        let mut members: Vec<Member> = Vec::new();
        let mut keys = HashSet::new();
        loop {
            let (event, place) = self.next()?;
            let key = match event {
                Event::MappingEnd => return Ok(NodeValue::Map(members)),
                Event::Scalar(text, _, 0, None) => text.into_owned(),
                _ => return Err((place, "a key is plain text".into())),
            };
            if !keys.insert(key.clone()) {
                return Err((place, format!("key `{key}` is given twice")));
            }
            let (event, value_place) = self.next()?;
            let value = self.node(event, value_place, depth + 1)?;
            members.push(Member { key, place, value });
        }
    }
}

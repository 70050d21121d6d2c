//! Random events, some of them malformed.

use super::source::{ADDRESSES, NUMBERS, Source, TEXTS, quoted};

/// The bytes of an event.
pub(super) fn event(source: &mut Source) -> Vec<u8> {
    let members = root(source);
    let space = source.one(&["", "", " ", "\r\n\t"]);
    let event = format!("{space}{{{members}}}{space}").into_bytes();
    if source.percent(4) {
        damaged(event, source)
    } else {
        event
    }
}

fn root(source: &mut Source) -> String {
    let mut members = Vec::new();
    let event_type = source.one(&[
        r#""t1""#,
        r#""t1""#,
        r#""\u0074\u0031""#,
        r#""t2""#,
        r#""t3""#,
        r#""t9""#,
        "5",
        r#"["t1"]"#,
    ]);
    let severity = source.one(&[
        r#""low""#,
        r#""medium""#,
        r#""high""#,
        r#""critical""#,
        r#""High""#,
        "null",
        r#"["high"]"#,
    ]);
    members.push(member("event_type", event_type, source));
    members.push(member("severity", severity, source));
    members.push(member("source", r#""a""#, source));
    let context = if source.percent(3) {
        value(0, source)
    } else {
        context(source)
    };
    members.push(member("context", &context, source));
    if source.percent(20) {
        let at = source.below(members.len() + 1);
        let repeated = source.below(members.len());
        members.insert(at, members[repeated].clone());
    }
    if source.percent(10) {
        let earlier = context_member(source);
        members.insert(0, format!(r#""context":{{{earlier}}}"#));
    }
    if source.percent(5) {
        members.remove(source.below(members.len()));
    }
    members.join(source.one(&[",", ", ", " ,\n"]))
}

fn member(key: &str, value: &str, source: &mut Source) -> String {
    let key = quoted(key, source);
    let colon = source.one(&[":", ": ", " :\t"]);
    format!("{key}{colon}{value}")
}

fn context(source: &mut Source) -> String {
    let members = source.list(3, 12, context_member);
    format!("{{{members}}}")
}

fn context_member(source: &mut Source) -> String {
    let keys = [
        "a",
        "a",
        "b",
        "b",
        "c",
        "n",
        "n",
        "ip",
        "ips",
        "tags",
        "tags",
        "o",
        "o",
        "a.b",
        "rare1",
        "rare2",
        "rare3",
        "unknown",
        "a key that no rule asks for",
    ];
    let key = source.one(&keys);
    let value = match key {
        "n" if source.percent(70) => source.one(&NUMBERS).to_owned(),
        "ip" if source.percent(80) => quoted(source.one(&ADDRESSES), source),
        "tags" if source.percent(80) => array(1, source),
        "ips" => {
            let items = source.list(0, 3, |source| {
                let address = source.one(&ADDRESSES);
                quoted(address, source)
            });
            format!("[{items}]")
        }
        "o" | "rare3" if source.percent(80) => object(2, source),
        "a" | "b" if source.percent(50) => quoted(source.one(&TEXTS), source),
        _ => value(2, source),
    };
    member(key, &value, source)
}

fn object(depth: usize, source: &mut Source) -> String {
    let members = source.list(0, 4, |source| {
        let key = source.one(&["a", "b", "tags", "x", "a"]);
        let value = if key == "tags" {
            array(depth - 1, source)
        } else {
            value(depth - 1, source)
        };
        member(key, &value, source)
    });
    format!("{{{members}}}")
}

fn array(depth: usize, source: &mut Source) -> String {
    // Often all elements are of one kind, as they are in practice.
    let kind = source.below(5);
    let items = source.list(0, 4, |source| match kind {
        0 => source.one(&NUMBERS).to_owned(),
        1 | 2 => quoted(source.one(&TEXTS), source),
        3 => quoted(source.one(&ADDRESSES), source),
        _ => value(depth, source),
    });
    format!("[{items}]")
}

fn value(depth: usize, source: &mut Source) -> String {
    match source.below(if depth == 0 { 12 } else { 16 }) {
        0 => "null".to_owned(),
        1 => "true".to_owned(),
        2 => "false".to_owned(),
        3..=5 => source.one(&NUMBERS).to_owned(),
        6 | 7 => quoted(source.one(&ADDRESSES), source),
        8..=11 => quoted(source.one(&TEXTS), source),
        12 | 13 => array(depth - 1, source),
        14 => object(depth, source),
        // At the bound of nesting, and beyond it.
        _ if source.percent(90) => "{}".to_owned(),
        _ => {
            let levels = source.one(&[3, 59, 60, 61, 62, 63, 64, 130]);
            let (open, close) = source.one(&[("[", "]"), (r#"{"a":"#, "}")]);
            format!("{}1{}", open.repeat(levels), close.repeat(levels))
        }
    }
}

/// An event with something wrong, or at least changed.
fn damaged(mut event: Vec<u8>, source: &mut Source) -> Vec<u8> {
    let at = source.below(event.len());
    let parts: [&[u8]; 14] = [
        b"\\ud800",
        b"\\ude00",
        b"\\ud83d\\ud83d",
        b"\"",
        b"\\",
        b"}",
        b"]",
        b",",
        b"\x01",
        b"\xff",
        b"\xc3\xa9",
        b"01",
        b"\\x",
        b" ",
    ];
    match source.below(4) {
        0 => event.truncate(at),
        1 => _ = event.remove(at),
        2 => event[at] = source.one(b"\"\\{}[],:0-e.\x00\x80t "),
        _ => _ = event.splice(at..at, source.one(&parts).iter().copied()),
    }
    event
}

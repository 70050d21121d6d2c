//! Requests whose end is told in two ways, and heads that are too large: what one server takes for one request and another
//! for two lets a request pass unseen (RFC 9112, section 11.2).

use super::place::{Place, goes_on};
use super::raw::exchange;
use super::server::{API_KEY, Server, event_now};

/// What a smuggler wants to be taken for a request of its own.
const SMUGGLED: &str = "GET /health/live HTTP/1.1\r\nhost: guard\r\n\r\n";

fn head(fields: &str) -> String {
    format!(
        "POST /events HTTP/1.1\r\nhost: guard\r\nauthorization: Bearer {API_KEY}\r\ncontent-type: application/json\r\n{fields}\r\n"
    )
}

fn chunked(body: &str) -> String {
    format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// That a request is refused, that what follows it is not taken for another one, and that the connection is closed.
#[track_caller]
fn refused(name: &str, answers: &super::raw::Answers, expected: &[u16]) {
    let statuses = answers.statuses();
    assert_eq!(statuses.len(), 1, "{name}: {answers:?}");
    assert!(expected.contains(&statuses[0]), "{name}: {answers:?}");
    assert!(answers.closed, "{name}: {answers:?}");
}

async fn try_each(server: &Server, forms: &[(&str, String)], expected: &[u16]) {
    for (name, form) in forms {
        let answers = exchange(server, form.as_bytes()).await;
        println!("{name}: {:?}", answers.statuses());
        refused(name, &answers, expected);
        goes_on(server).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_whose_length_is_told_in_two_ways_is_refused_or_the_last_of_its_connection() {
    let place = Place::sqlite();
    let server = place.start(&[]);
    let event = event_now("anomaly_detected", "{}");
    let length = event.len();
    let hidden = format!("{event}{SMUGGLED}");
    let forms = [
        (
            "two lengths",
            head(&format!(
                "content-length: {length}\r\ncontent-length: {}\r\n",
                hidden.len()
            )) + &hidden,
        ),
        (
            "two lengths in one",
            head(&format!("content-length: {length}, {}\r\n", hidden.len())) + &hidden,
        ),
        (
            "a signed length",
            head(&format!("content-length: +{length}\r\n")) + &hidden,
        ),
        (
            "a negative length",
            head("content-length: -1\r\n") + &hidden,
        ),
        (
            "a length that overflows",
            head("content-length: 18446744073709551617\r\n") + &hidden,
        ),
        (
            "a length in hexadecimal",
            head(&format!("content-length: 0x{length:x}\r\n")) + &hidden,
        ),
        (
            "an unknown coding",
            head("transfer-encoding: xchunked\r\n") + &chunked(&event) + SMUGGLED,
        ),
        (
            "chunked is not the last coding",
            head("transfer-encoding: chunked, identity\r\n") + &chunked(&event) + SMUGGLED,
        ),
        (
            "a blank before the colon",
            head("transfer-encoding : chunked\r\n") + &chunked(&event) + SMUGGLED,
        ),
        (
            "a folded field",
            head("transfer-encoding:\r\n chunked\r\n") + &chunked(&event) + SMUGGLED,
        ),
        (
            "a NUL in a name",
            head("transfer-enc\0oding: chunked\r\n") + &chunked(&event) + SMUGGLED,
        ),
        ("a NUL in a value", head("x-a: b\0c\r\n") + SMUGGLED),
        (
            "a carriage return in a value",
            head("x-a: b\rtransfer-encoding: chunked\r\n") + SMUGGLED,
        ),
        ("no name", head(": chunked\r\n") + SMUGGLED),
        (
            "HTTP/1.0 in chunks",
            head("transfer-encoding: chunked\r\n").replace("HTTP/1.1", "HTTP/1.0")
                + &chunked(&event)
                + SMUGGLED,
        ),
        (
            "a chunk without a size",
            head("transfer-encoding: chunked\r\n") + "\r\n" + &event + "\r\n0\r\n\r\n" + SMUGGLED,
        ),
        (
            "a chunk of too large a size",
            head("transfer-encoding: chunked\r\n") + "fffffffffffffffff\r\n" + &event + SMUGGLED,
        ),
        (
            "a chunk with a signed size",
            head("transfer-encoding: chunked\r\n")
                + &format!("+{length:x}\r\n{event}\r\n0\r\n\r\n{SMUGGLED}"),
        ),
        (
            "a bare line feed after a size",
            head("transfer-encoding: chunked\r\n")
                + &format!("{length:x}\n{event}\r\n0\r\n\r\n{SMUGGLED}"),
        ),
        (
            "a bare line feed after a chunk",
            head("transfer-encoding: chunked\r\n")
                + &format!("{length:x}\r\n{event}\n0\r\n\r\n{SMUGGLED}"),
        ),
    ];
    try_each(&server, &forms, &[400]).await;

    // Both a length and chunks: the chunks count and nothing that follows does (RFC 9112, section 6.3).
    for fields in [
        "content-length: 4\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
        "Transfer-Encoding: CHUNKED\r\ncontent-length: 99999\r\n",
    ] {
        let answers = exchange(
            &server,
            (head(fields) + &chunked(&event) + SMUGGLED).as_bytes(),
        )
        .await;
        refused(fields, &answers, &[200, 400]);
        goes_on(&server).await;
    }
}

/// A line feed alone ends a line of a head (RFC 9112, section 2.2 allows it): it must not end a request early or late.
#[tokio::test(flavor = "multi_thread")]
async fn bare_line_feeds_do_not_move_the_end_of_a_request() {
    let place = Place::sqlite();
    let server = place.start(&[]);
    let event = event_now("anomaly_detected", "{}");
    let bare = head(&format!("content-length: {}\r\n", event.len())).replace("\r\n", "\n");
    let answers = exchange(&server, format!("{bare}{event}{SMUGGLED}").as_bytes()).await;
    // What follows a whole request on a connection is the next one, of the same client.
    assert_eq!(answers.statuses(), [200, 200], "{answers:?}");
    let hidden = head(&format!(
        "content-length: {}\r\nx-a: b\n\nGET /health/live HTTP/1.1\r\n",
        event.len()
    ));
    let answers = exchange(&server, format!("{hidden}{event}").as_bytes()).await;
    let statuses = answers.statuses();
    assert_eq!(
        statuses[0], 400,
        "the text after the empty line is the body: {answers:?}"
    );
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_large_or_no_heads_are_refused() {
    let place = Place::sqlite();
    let server = place.start(&[]);
    let get =
        |path: &str, fields: &str| format!("GET {path} HTTP/1.1\r\nhost: guard\r\n{fields}\r\n");
    let long = |length| "x".repeat(length);
    let many: String = (0..500)
        .map(|number| format!("x-{number}: y\r\n"))
        .collect();
    let forms = [
        (
            "a line of 1 MiB",
            get("/health/live", &format!("x-a: {}\r\n", long(1 << 20))),
        ),
        ("500 fields", get("/health/live", &many)),
        (
            "a path of 100 KiB",
            get(&format!("/{}", long(100 << 10)), ""),
        ),
        (
            "a name of 100 KiB",
            get("/health/live", &format!("{}: y\r\n", long(100 << 10))),
        ),
        ("a NUL in the path", get("/health\0/live", "")),
        ("no version", "GET /health/live\r\n\r\n".to_owned()),
        (
            "another version",
            "GET /health/live HTTP/9.9\r\n\r\n".to_owned(),
        ),
        (
            "no HTTP",
            "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n\r\n".to_owned(),
        ),
        (
            "a method of letters that there are not",
            "G{}T / HTTP/1.1\r\nhost: guard\r\n\r\n".to_owned(),
        ),
    ];
    try_each(&server, &forms, &[400, 413, 414, 431]).await;

    // A token of 8 KiB and more is looked at no further; a head that fits is answered in the house's form.
    let large = get(
        "/v1/rules",
        &format!(
            "authorization: Bearer {}\r\nconnection: close\r\n",
            long(200 << 10)
        ),
    );
    refused(
        "a large token",
        &exchange(&server, large.as_bytes()).await,
        &[401, 431],
    );
    goes_on(&server).await;
}

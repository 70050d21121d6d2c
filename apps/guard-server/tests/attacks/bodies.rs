//! Bodies, queries and paths that are too large, too deep or not what they say.

use std::time::{Duration, Instant};

use reqwest::header::CONTENT_TYPE;
use reqwest::{Method, Response};
use serde_json::Value;

use super::place::{Place, goes_on, memory, on_both_databases};
use super::raw::exchange;
use super::server::{ADMIN_KEY, API_KEY, Server, event_now};

/// How long the server may think about any of these, in the slow build of the tests.
const LONGEST: Duration = Duration::from_secs(10);

on_both_databases!(
    hostile_values_are_refused_or_kept_as_they_are,
    a_batch_of_a_thousand_is_answered_one_by_one
);

async fn send(server: &Server, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Response {
    let mut request = server.client.request(method, server.url(path));
    if !kind.is_empty() {
        request = request.header(CONTENT_TYPE, kind);
    }
    let begun = Instant::now();
    let answer = request.bearer_auth(ADMIN_KEY).body(body).send().await;
    assert!(begun.elapsed() < LONGEST, "{path}: {:?}", begun.elapsed());
    answer.unwrap_or_else(|error| panic!("{path}: {error:?}"))
}

/// That an answer is a problem of one of these statuses, in the house's form.
async fn problem(name: &str, answer: Response, expected: &[u16]) {
    let status = answer.status().as_u16();
    let kind = answer.headers().get(CONTENT_TYPE).cloned();
    let text = answer.text().await.unwrap();
    assert!(expected.contains(&status), "{name}: {status} {text:.300}");
    assert_eq!(
        kind.unwrap(),
        "application/problem+json",
        "{name}: {text:.300}"
    );
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body["status"], status, "{name}");
    // What is said about it is not as large as what was sent.
    assert!(text.len() < 16 * 1024, "{name}: {} bytes", text.len());
}

fn nested(depth: usize) -> String {
    format!(r#"{{"a":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
}

async fn hostile_values_are_refused_or_kept_as_they_are(place: &Place) {
    let server = place.start(&[]);
    let event = event_now("anomaly_detected", "{}");
    let with = |from: &str, to: &str| {
        assert!(event.contains(from));
        event.replacen(from, to, 1).into_bytes()
    };
    let source = r#""source":"sentinel""#;
    let twice = format!("{source},{source}");
    let escaped = format!(r#"{source},"\u0073ource":"other""#);
    for (name, body, expected) in [
        (
            "depth 33",
            event_now("anomaly_detected", &nested(32)).into_bytes(),
            422,
        ),
        (
            "depth 60,000",
            event_now("anomaly_detected", &nested(30_000)).into_bytes(),
            422,
        ),
        ("nothing but depth", vec![b'['; 120_000], 400),
        ("a field twice", with(source, &twice), 422),
        (
            "a field twice, once in escapes",
            with(source, &escaped),
            422,
        ),
        ("a NUL in the source", with("sentinel", r"a\u0000b"), 422),
        ("a raw NUL", with("sentinel", "a\0b"), 400),
        (
            "a NUL in the type",
            with("anomaly_detected", r"a\u0000b"),
            422,
        ),
        (
            "a NUL in the id",
            with(source, &format!(r#"{source},"id":"a\u0000b""#)),
            422,
        ),
        ("half a surrogate pair", with("sentinel", r"\ud800"), 400),
        (
            "half a surrogate pair as a key",
            with("{}", r#"{"\udc00":1}"#),
            400,
        ),
        (
            "invalid UTF-8",
            [&event.as_bytes()[..9], b"\xff\xfe", &event.as_bytes()[9..]].concat(),
            400,
        ),
        (
            "UTF-8 of a surrogate",
            [
                &event.as_bytes()[..9],
                b"\xed\xa0\x80",
                &event.as_bytes()[9..],
            ]
            .concat(),
            400,
        ),
        (
            "a byte order mark",
            [b"\xef\xbb\xbf", event.as_bytes()].concat(),
            400,
        ),
        (
            "UTF-16",
            event.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            400,
        ),
        (
            "two events",
            [event.as_bytes(), event.as_bytes()].concat(),
            400,
        ),
        ("not a number", with("{}", r#"{"a":NaN}"#), 400),
        ("nothing", Vec::new(), 400),
    ] {
        let answer = send(&server, Method::POST, "/events", "application/json", body).await;
        problem(name, answer, &[expected]).await;
    }
    // Text that is hostile only to others is kept as it is, whatever the database.
    let kept = r#"{"nul":"\u0000","sql":"'; DROP TABLE events; --","n":1e99999,"k":1,"k":2,"__proto__":{"a":"\u202e"}}"#;
    let body = event_now("anomaly_detected", kept).into_bytes();
    let answer = send(&server, Method::POST, "/events", "application/json", body).await;
    assert_eq!(answer.status(), 200);
    let answer: Value = answer.json().await.unwrap();
    let path = format!("/v1/events/{}", answer["event_id"].as_str().unwrap());
    let answer = send(&server, Method::GET, &path, "", Vec::new()).await;
    assert!(answer.text().await.unwrap().contains(kept));

    for (method, path, body, expected) in [
        (Method::GET, "/v1/events?source=%00", "", 422),
        (Method::GET, "/v1/events?source=a&source=b", "", 422),
        (Method::GET, "/v1/events?event_type=%00", "", 422),
        (
            Method::GET,
            "/v1/events?limit=99999999999999999999",
            "",
            422,
        ),
        (Method::GET, "/v1/events?limit=-1", "", 422),
        (Method::GET, "/v1/events?cursor=%00%ff", "", 422),
        (
            Method::GET,
            "/v1/events?since=%2B262142-12-31T23:59:59Z",
            "",
            422,
        ),
        (Method::GET, "/v1/events/%00", "", 404),
        (Method::GET, "/v1/events/%ff%fe", "", 404),
        (Method::GET, "/v1/events/..%2f..%2fetc%2fpasswd", "", 404),
        (Method::GET, "/v1/rules/%00", "", 404),
        (Method::GET, "/v1/rules?cursor=%00", "", 422),
        (Method::GET, "/v1/executions?playbook=%00", "", 422),
        (Method::GET, "/v1/audit?after=%00", "", 422),
        (Method::GET, "/v1/audit?rule_id=';--", "", 422),
        (Method::GET, "/v1/keys/%00", "", 404),
        (Method::GET, "/v1/keys?cursor=%00", "", 422),
        (Method::GET, "/v1/keys?tenant=%00", "", 422),
        (Method::GET, "/docs/..%2f..%2fetc%2fpasswd", "", 404),
        (Method::POST, "/v1/keys/%00/revoke", "", 404),
        (
            Method::POST,
            "/v1/keys",
            r#"{"label":"a\u0000","scopes":["admin"]}"#,
            422,
        ),
        (
            Method::POST,
            "/v1/keys",
            r#"{"label":"a","label":"b","scopes":["admin"]}"#,
            422,
        ),
        (
            Method::POST,
            "/v1/pause",
            r#"{"scope":"rule:\u0000","reason":"a"}"#,
            422,
        ),
        (
            Method::POST,
            "/v1/pause",
            r#"{"scope":"all","reason":"\u0000"}"#,
            422,
        ),
        (Method::POST, "/v1/playbooks/%00/rehearse", "", 404),
        (Method::POST, "/v1/playbooks/..%2f..%2fx/rehearse", "", 404),
        (Method::TRACE, "/events", "", 405),
        (Method::DELETE, "/v1/events", "", 405),
    ] {
        let kind = if body.is_empty() {
            ""
        } else {
            "application/json"
        };
        let answer = send(&server, method, path, kind, body.into()).await;
        problem(path, answer, &[expected]).await;
    }
    goes_on(&server).await;
}

async fn a_batch_of_a_thousand_is_answered_one_by_one(place: &Place) {
    let server = place.start(&[]);
    let before = memory(&server);
    let post = async |kind: &str, body: String| {
        send(
            &server,
            Method::POST,
            "/v1/events/batch",
            kind,
            body.into_bytes(),
        )
        .await
    };
    let event = event_now("anomaly_detected", "{}");
    let broken = [
        &event,
        "{}",
        "[]",
        "null",
        "1",
        r#"{"severity":1,"x":2}"#,
        r#""\u0000""#,
        r#"{"\ud800":1}"#,
    ];
    let items: Vec<&str> = (0..1000)
        .map(|place| broken[place % broken.len()])
        .collect();
    for (kind, body) in [
        ("application/json", format!("[{}]", items.join(","))),
        ("application/x-ndjson", items.join("\n")),
    ] {
        let answer: Value = post(kind, body).await.json().await.unwrap();
        let answers = answer["items"].as_array().unwrap();
        assert_eq!(answers.len(), 1000);
        for (place, item) in answers.iter().enumerate() {
            let expected: &[u64] = if place % broken.len() == 0 {
                &[200]
            } else {
                &[400, 422]
            };
            let status = item["status"].as_u64().unwrap();
            assert!(expected.contains(&status), "{place}: {item}");
        }
    }
    let one_more = format!("[{}]", vec![event.as_str(); 1001].join(","));
    problem(
        "1,001 events",
        post("application/json", one_more).await,
        &[413],
    )
    .await;
    let tiny = format!("[{}1]", "1,".repeat(2_000_000));
    problem(
        "2,000,001 numbers",
        post("application/json", tiny).await,
        &[413],
    )
    .await;
    let lines = "{}\n".repeat(1_300_000);
    problem(
        "1,300,000 lines",
        post("application/x-ndjson", lines).await,
        &[413],
    )
    .await;
    problem(
        "no array",
        post("application/json", event.clone()).await,
        &[400],
    )
    .await;
    problem(
        "depth",
        post("application/json", "[".repeat(4_000_000)).await,
        &[400],
    )
    .await;
    let deep = format!("{}{}", "[".repeat(2_000_000), "]".repeat(2_000_000));
    let answer: Value = post("application/json", deep).await.json().await.unwrap();
    assert_eq!(answer["items"][0]["status"], 413, "{answer:.300}");
    let large = event_now(
        "anomaly_detected",
        &format!(r#"{{"a":"{}"}}"#, "x".repeat(132_000)),
    );
    let answer: Value = post("application/json", format!("[{large},{event}]"))
        .await
        .json()
        .await
        .unwrap();
    assert_eq!(
        (&answer["items"][0]["status"], &answer["items"][1]["status"]),
        (&413.into(), &200.into())
    );
    let grown = memory(&server).saturating_sub(before);
    println!("{} MiB more", grown >> 20);
    assert!(grown < 256 * 1024 * 1024, "{grown} bytes");
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_beyond_the_bounds_are_refused_and_never_kept() {
    let place = Place::sqlite();
    let server = place.start(&[]);
    let before = memory(&server);
    let head = |path: &str, fields: &str| {
        format!(
            "POST {path} HTTP/1.1\r\nhost: guard\r\nauthorization: Bearer {API_KEY}\r\ncontent-type: application/json\r\n{fields}\r\n"
        )
    };
    // A length that nobody will send is refused before anything of it has come.
    for path in ["/events", "/v1/events/batch"] {
        let begun = Instant::now();
        let answers = exchange(
            &server,
            head(path, "content-length: 10000000000\r\n").as_bytes(),
        )
        .await;
        assert_eq!(answers.statuses(), [413], "{answers:?}");
        assert!(
            answers.closed && begun.elapsed() < Duration::from_secs(4),
            "{answers:?}"
        );
    }
    // Chunks without end are read as far as the bound.
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let endless = head("/events", "transfer-encoding: chunked\r\n") + &chunk.repeat(100);
    let answers = exchange(&server, endless.as_bytes()).await;
    assert!(answers.closed, "{answers:?}");
    assert!(
        answers.statuses().iter().all(|status| *status == 413),
        "{answers:?}"
    );
    // So are many at once. Whoever is still sending when it is refused may see no more than the end of the connection.
    let many = (0..64).map(|_| async {
        let request = server.client.post(server.url("/events"));
        let request = request.bearer_auth(API_KEY).body(vec![b' '; 4 << 20]);
        request.send().await.map(|answer| answer.status().as_u16())
    });
    for answer in futures::future::join_all(many).await {
        assert!(matches!(answer, Ok(413) | Err(_)), "{answer:?}");
    }
    let grown = memory(&server).saturating_sub(before);
    println!("{} MiB more", grown >> 20);
    assert!(grown < 64 * 1024 * 1024, "{grown} bytes");
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_from_outside_cannot_bring_the_server_down() {
    let place = Place::sqlite();
    let server = place.start(&[]);
    let event = event_now("anomaly_detected", "{}");
    let rule = |condition: &str| {
        format!(
            r#"[{{"id":"a","event_type":"anomaly_detected","conditions":{condition},"action":"ignore"}}]"#
        )
    };
    let deep =
        |open: &str, close: &str, times: usize| open.repeat(times) + close.repeat(times).as_str();
    let conditions = |count: usize| {
        let one = r#"{"field":"context.a","op":"eq","value":1}"#;
        format!("[{}]", vec![one; count].join(","))
    };
    let all = |depth: usize| {
        format!(
            "[{}{}{}]",
            r#"{"all":["#.repeat(depth),
            r#"{"field":"context.a","op":"eq","value":1}"#,
            "]}".repeat(depth)
        )
    };
    let regex = |pattern: &str| {
        rule(&format!(
            r#"[{{"field":"context.a","op":"regex","value":"{pattern}"}}]"#
        ))
    };
    for (name, rules) in [
        ("arrays in arrays", deep("[", "]", 100_000)),
        (
            "objects in objects",
            deep(r#"{"a":"#, "}", 50_000).replacen(":}", ":1}", 1),
        ),
        ("groups in groups", rule(&all(40_000))),
        (
            "a pattern that doubles",
            regex(&"(a{1,50}){1,50}".repeat(3)),
        ),
        ("a pattern of 1 MiB", regex(&"a".repeat(1 << 20))),
        ("groups in a pattern", regex(&deep("(", ")", 100_000))),
        ("a rule without end", rule(&conditions(60_000))),
        (
            "a path of 200 KiB",
            rule(&format!(
                r#"[{{"field":"context{}","op":"eq","value":1}}]"#,
                ".a".repeat(100_000)
            )),
        ),
        (
            "a number of 1 MiB",
            rule(&format!(
                r#"[{{"field":"context.a","op":"gt","value":{}}}]"#,
                "9".repeat(1 << 20)
            )),
        ),
        (
            "a rule twice",
            format!("[{0},{0}]", rule("[]").trim_matches(['[', ']'])),
        ),
    ] {
        let body = format!(r#"{{"event":{event},"rules":{rules}}}"#).into_bytes();
        let begun = Instant::now();
        let answer = send(
            &server,
            Method::POST,
            "/v1/evaluate",
            "application/json",
            body,
        )
        .await;
        println!("{name}: {} after {:.1?}", answer.status(), begun.elapsed());
        // What is long and harmless may be evaluated.
        if !(name.ends_with("iB") && answer.status() == 200) {
            problem(name, answer, &[400, 413, 422]).await;
        }
    }
    goes_on(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_json_is_not_read_as_json() {
    let place = Place::sqlite();
    let server = place.start(&[]);
    let event = event_now("anomaly_detected", "{}").into_bytes();
    for kind in [
        "text/plain",
        "text/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/x-ndjson",
        "json",
        ";",
        "\u{e4}",
    ] {
        let answer = send(&server, Method::POST, "/events", kind, event.clone()).await;
        problem(kind, answer, &[415]).await;
    }
    for path in ["/v1/evaluate", "/v1/pause", "/v1/keys", "/v1/events/batch"] {
        let answer = send(&server, Method::POST, path, "text/plain", event.clone()).await;
        problem(path, answer, &[415]).await;
    }
    // A body in a coding that is not undone here is not what it says it is.
    let request = server
        .client
        .post(server.url("/events"))
        .bearer_auth(ADMIN_KEY);
    let request = request
        .header(CONTENT_TYPE, "application/json")
        .header("content-encoding", "gzip");
    let zipped =
        b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xab\xae\x05\x00\x43\xbf\xa6\xa3\x02\x00\x00\x00";
    problem(
        "gzip",
        request.body(zipped.to_vec()).send().await.unwrap(),
        &[400, 415],
    )
    .await;
    goes_on(&server).await;
}

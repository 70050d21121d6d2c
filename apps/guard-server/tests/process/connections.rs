//! What connections may and may not do: slow, idle, many, and of HTTP/2.

use std::time::{Duration, Instant};

use reqwest::{Client, Version};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::n8n::FakeN8n;
use super::server::{API_KEY, Server, event_now};

/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

async fn connect(server: &Server) -> TcpStream {
    let address = server.address.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// What comes until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut rest)).await;
    _ = read.expect("the connection is still open");
    String::from_utf8_lossy(&rest).into_owned()
}

/// Waits until a connection was closed for a reason.
async fn closed(server: &Server, reason: &str) {
    let line = format!("neural_guard_connections_closed_total{{reason=\"{reason}\"}} ");
    let mut refused = 0;
    for _ in 0..100 {
        // Where places are few, the server may not know yet that one is free again: it refuses this one too, and counts it.
        match server.client.get(server.url("/metrics")).send().await {
            Ok(metrics) => {
                let metrics = metrics.text().await.unwrap();
                let count = metrics.lines().find_map(|found| found.strip_prefix(&line));
                if count.is_some_and(|count| count.parse::<u32>().unwrap() > refused) {
                    return;
                }
            }
            Err(_) => refused += 1,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("no {line}")
}

fn http2() -> Client {
    Client::builder()
        .http2_prior_knowledge()
        .timeout(Duration::from_secs(20))
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_body_that_does_not_come_is_told_and_its_connection_closed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        folder.path(),
        &[("NEURAL_GUARD__SERVER__BODY_TIMEOUT", "300ms")],
    );
    let mut slow = connect(&server).await;
    let head = format!(
        "POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_KEY}\r\nContent-Length: 100\r\n\r\n{{"
    );
    slow.write_all(head.as_bytes()).await.unwrap();
    let answer = rest(&mut slow).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("\r\nconnection: close\r\n"), "{answer}");
    assert!(answer.contains("/problems/timeout"), "{answer}");
}

#[tokio::test]
async fn an_idle_connection_is_closed_later_than_slow_headers() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        folder.path(),
        &[
            ("NEURAL_GUARD__SERVER__HEADER_TIMEOUT", "200ms"),
            ("NEURAL_GUARD__SERVER__IDLE_TIMEOUT", "1s"),
        ],
    );
    let request = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut idle = connect(&server).await;
    idle.write_all(request).await.unwrap();
    let begun = Instant::now();
    assert!(rest(&mut idle).await.starts_with("HTTP/1.1 200 "));
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "it was cut while idle"
    );

    let mut slow = connect(&server).await;
    slow.write_all(request).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    slow.write_all(b"GET /health/live HTTP/1.1\r\n")
        .await
        .unwrap();
    let answers = rest(&mut slow).await;
    assert_eq!(answers.matches("HTTP/1.1 200 ").count(), 1, "{answers}");
    closed(&server, "slow_headers").await;
}

#[tokio::test]
async fn who_does_not_read_the_answer_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        folder.path(),
        &[("NEURAL_GUARD__SERVER__WRITE_TIMEOUT", "300ms")],
    );
    let mut deaf = connect(&server).await;
    // More than the buffers of the system take.
    let requests = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(500);
    deaf.write_all(requests.as_bytes()).await.unwrap();
    closed(&server, "unread").await;
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        folder.path(),
        &[("NEURAL_GUARD__SERVER__MAX_CONNECTIONS_PER_ADDRESS", "2")],
    );
    let request = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut first = connect(&server).await;
    let mut buffer = [0; 12];
    first.write_all(request).await.unwrap();
    first.read_exact(&mut buffer).await.unwrap();
    let _second = connect(&server).await;
    let mut third = connect(&server).await;
    _ = third.write_all(request).await;
    assert_eq!(rest(&mut third).await, "");
    drop(first);
    closed(&server, "too_many").await;
}

#[tokio::test]
async fn http_2_is_spoken_with_who_begins_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let client = http2();
    let requests = (0..20).map(|_| {
        let request = client.post(server.url("/events")).bearer_auth(API_KEY);
        let request = request.header("content-type", "application/json");
        request.body(event_now("anomaly_detected", "{}")).send()
    });
    for answer in futures::future::join_all(requests).await {
        let answer = answer.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.version()),
            (200, Version::HTTP_2)
        );
        assert!(!answer.headers().contains_key("connection"));
    }
}

#[tokio::test]
async fn http_2_that_asks_nothing_is_closed_as_slow_headers_are() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        folder.path(),
        &[("NEURAL_GUARD__SERVER__HEADER_TIMEOUT", "300ms")],
    );
    for begun in [&PREFACE[..5], PREFACE] {
        let mut silent = connect(&server).await;
        silent.write_all(begun).await.unwrap();
        rest(&mut silent).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_who_waits_on_http_2() {
    let folder = tempfile::tempdir().unwrap();
    let n8n = FakeN8n::start(Duration::from_secs(2)).await;
    let server = Server::start(
        folder.path(),
        &[
            ("N8N_BASE_URL", n8n.url.as_str()),
            ("NEURAL_GUARD__EXECUTOR__ACK_WAIT", "15s"),
        ],
    );
    let request = http2()
        .post(server.url("/events"))
        .bearer_auth(API_KEY)
        .header("content-type", "application/json")
        .body(event_now("backup_failed", r#"{"backup_file":"a"}"#));
    let waiting = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.signal("TERM");
    let answer: serde_json::Value = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["decision"], "playbook_queued");
    assert_eq!(server.ended().await, Some(0));
}

/// The types of frames of HTTP/2 (RFC 9113, 6).
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;

/// A frame, without flags but for those of headers that are a whole request.
fn frame(frame_type: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let flags = if frame_type == HEADERS { 0x05 } else { 0 };
    let length = u8::try_from(payload.len()).unwrap();
    let head = [0, 0, length, frame_type, flags, 0, 0, 0, stream];
    [&head, payload].concat()
}

/// `GET` of a path, by the static table of HPACK (RFC 7541, A).
fn get(stream: u8, path: &str) -> Vec<u8> {
    let length = u8::try_from(path.len()).unwrap();
    let fields = [&[0x82, 0x86, 0x41, 1, b'x', 0x04, length], path.as_bytes()];
    frame(HEADERS, stream, &fields.concat())
}

/// The types of the frames that come until one of a type has come.
async fn frames_until(connection: &mut TcpStream, last: u8) -> Vec<u8> {
    let mut types = Vec::new();
    while types.last() != Some(&last) {
        let mut head = [0; 9];
        connection.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        connection.read_exact(&mut payload).await.unwrap();
        types.push(head[3]);
    }
    types
}

#[tokio::test]
async fn a_connection_of_http_2_is_sent_away_when_it_is_idle_and_when_the_server_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        folder.path(),
        &[
            ("NEURAL_GUARD__SERVER__IDLE_TIMEOUT", "1s"),
            ("NEURAL_GUARD__SERVER__STOP_DELAY", "10s"),
        ],
    );
    let mut idle = connect(&server).await;
    let begin = [PREFACE, &frame(SETTINGS, 0, &[])].concat();
    idle.write_all(&begin).await.unwrap();
    idle.write_all(&get(1, "/")).await.unwrap();
    frames_until(&mut idle, HEADERS).await;
    let begun = Instant::now();
    frames_until(&mut idle, GOAWAY).await;
    let idle_for = begun.elapsed().as_millis();
    assert!((900..5000).contains(&idle_for), "{idle_for} ms");

    let mut kept = connect(&server).await;
    kept.write_all(&begin).await.unwrap();
    kept.write_all(&get(1, "/")).await.unwrap();
    frames_until(&mut kept, HEADERS).await;
    server.signal("TERM");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    kept.write_all(&get(3, "/")).await.unwrap();
    // That no further request is taken may be said before the answer is.
    let types = frames_until(&mut kept, GOAWAY).await;
    if !types.contains(&HEADERS) {
        frames_until(&mut kept, HEADERS).await;
    }
    assert!(
        begun.elapsed() < Duration::from_millis(900),
        "it is not the idleness"
    );
}

#[tokio::test]
async fn an_answer_on_http_2_that_may_not_be_sent_holds_no_connection() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        folder.path(),
        &[
            ("NEURAL_GUARD__SERVER__IDLE_TIMEOUT", "300ms"),
            ("NEURAL_GUARD__SERVER__WRITE_TIMEOUT", "300ms"),
        ],
    );
    // SETTINGS_INITIAL_WINDOW_SIZE of 0: no byte of a body may be sent.
    let no_window = frame(SETTINGS, 0, &[0, 4, 0, 0, 0, 0]);
    for path in ["/nowhere", "/openapi.json"] {
        let mut deaf = connect(&server).await;
        let request = [PREFACE, &no_window, &get(1, path)].concat();
        deaf.write_all(&request).await.unwrap();
        frames_until(&mut deaf, GOAWAY).await;
        rest(&mut deaf).await;
    }
}

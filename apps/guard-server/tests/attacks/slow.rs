//! Senders that take their time, so that connections and memory run out.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinSet;

use super::place::{Place, goes_on, honest, memory};
use super::raw::connect;
use super::server::Server;

/// How long headers may take in these tests, and by how much a busy machine may be late.
const HEADER_TIMEOUT: Duration = Duration::from_secs(3);
const LATE: Duration = Duration::from_secs(4);

/// Sends a request's head a byte at a time; gives how long it took until the server had enough of it.
async fn drip(server: &Server, pause: Duration) -> Duration {
    let mut stream = connect(server).await;
    let begun = Instant::now();
    let (mut reader, mut writer) = stream.split();
    let write = async {
        let head = b"POST /events HTTP/1.1\r\nhost: guard\r\nx-padding: ";
        for byte in head.iter().chain(std::iter::repeat(&b'x')) {
            if writer.write_all(&[*byte]).await.is_err() {
                break;
            }
            tokio::time::sleep(pause).await;
        }
    };
    let read = async {
        let mut answer = Vec::new();
        // An answer, the end of the connection and its reset are all an end.
        let _ = reader.read_to_end(&mut answer).await;
    };
    tokio::select! {
        () = write => {}
        () = read => {}
    }
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_headers_are_cut_off_while_others_are_served() {
    let place = Place::sqlite();
    let timeout = format!("{}s", HEADER_TIMEOUT.as_secs());
    let server =
        std::sync::Arc::new(place.start(&[("NEURAL_GUARD__SERVER__HEADER_TIMEOUT", &timeout)]));
    goes_on(&server).await;
    let before = memory(&server);
    let mut slow = JoinSet::new();
    for _ in 0..400 {
        let server = server.clone();
        slow.spawn(async move { drip(&server, Duration::from_millis(100)).await });
    }
    let mut served = 0;
    while !slow.is_empty() {
        let begun = Instant::now();
        assert_eq!(honest(&server).await, 200);
        assert!(
            begun.elapsed() < Duration::from_secs(2),
            "{:?}",
            begun.elapsed()
        );
        served += 1;
        tokio::time::sleep(Duration::from_millis(50)).await;
        while let Some(cut_off) = slow.try_join_next() {
            let after = cut_off.unwrap();
            assert!(
                after < HEADER_TIMEOUT + LATE,
                "cut off only after {after:?}"
            );
            assert!(
                after >= HEADER_TIMEOUT / 2,
                "cut off after {after:?} already"
            );
        }
    }
    assert!(served > 10, "{served} honest events meanwhile");
    let grown = memory(&server).saturating_sub(before);
    println!("{served} honest events meanwhile, {} MiB more", grown >> 20);
    assert!(grown < 64 * 1024 * 1024, "{grown} bytes");
    goes_on(&server).await;
}

/// When slow senders hold every place, an honest one gets in as they are cut off.
#[tokio::test(flavor = "multi_thread")]
async fn slow_headers_cannot_hold_every_place_for_long() {
    let place = Place::sqlite();
    let timeout = format!("{}s", HEADER_TIMEOUT.as_secs());
    let server = std::sync::Arc::new(place.start(&[
        ("NEURAL_GUARD__SERVER__HEADER_TIMEOUT", &timeout),
        ("NEURAL_GUARD__SERVER__MAX_CONNECTIONS", "32"),
    ]));
    let mut slow = JoinSet::new();
    for _ in 0..60 {
        let server = server.clone();
        slow.spawn(async move { drip(&server, Duration::from_millis(50)).await });
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let begun = Instant::now();
    assert_eq!(honest(&server).await, 200);
    // 60 slow ones before it are two rounds of 32.
    assert!(
        begun.elapsed() < 2 * HEADER_TIMEOUT + LATE,
        "{:?}",
        begun.elapsed()
    );
    slow.join_all().await;
    goes_on(&server).await;
}

/// A connection that says nothing at all is cut off too, a new one as well as one that was in use.
#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_are_cut_off() {
    let place = Place::sqlite();
    let timeout = format!("{}s", HEADER_TIMEOUT.as_secs());
    let server = place.start(&[
        ("NEURAL_GUARD__SERVER__HEADER_TIMEOUT", &timeout),
        ("NEURAL_GUARD__SERVER__IDLE_TIMEOUT", &timeout),
    ]);
    for first in [
        &b""[..],
        b"GET /health/live HTTP/1.1\r\nhost: guard\r\n\r\n",
    ] {
        let mut stream = connect(&server).await;
        stream.write_all(first).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        let read = tokio::time::timeout(HEADER_TIMEOUT + LATE, read).await;
        read.expect("the server closes the connection").unwrap();
        assert_eq!(answer.is_empty(), first.is_empty());
    }
    goes_on(&server).await;
}

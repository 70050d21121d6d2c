//! Guessing keys.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use reqwest::header::{AUTHORIZATION, HeaderValue};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::place::{Place, goes_on, memory, metric, on_both_databases};
use super::server::{ADMIN_KEY, Server};

/// How many wrong keys are tried, and how many at once.
const GUESSES: usize = 10_000;
const AT_ONCE: usize = 32;
/// What all of it may cost: the build of the tests is a slow one, the machine may be busy.
const LONGEST: Duration = Duration::from_secs(120);
const MOST_MEMORY: u64 = 96 * 1024 * 1024;
/// The longest that somebody with a right key may wait meanwhile.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

on_both_databases!(ten_thousand_wrong_keys_open_nothing_and_keep_nobody_out);

async fn ten_thousand_wrong_keys_open_nothing_and_keep_nobody_out(place: &Place) {
    let server = Arc::new(place.start(&[]));
    let generated = generated_key(&server).await;
    let chosen = chosen_key(place);
    // The secret that somebody chose is hashed once before: who comes first while others guess at it can be answered 429.
    assert_eq!(ask(&server, &bearer(&chosen)).await, (200, false));
    let hashes = metric(&server, "neural_guard_key_hashes_total").await;
    assert!(hashes >= 1.0, "the hashes are counted");
    let (before, begun) = (memory(&server), Instant::now());

    let over = CancellationToken::new();
    let right = [generated.clone(), chosen.clone(), ADMIN_KEY.to_owned()];
    let passing = tokio::spawn(pass(server.clone(), right.clone(), over.clone()));
    let mut guessing = JoinSet::new();
    for worker in 0..AT_ONCE {
        let (server, generated, chosen) = (server.clone(), generated.clone(), chosen.clone());
        guessing.spawn(async move {
            let mut refused = BTreeMap::new();
            for number in (worker..GUESSES).step_by(AT_ONCE) {
                let wrong = wrong_key(number, &generated, &chosen);
                let (status, told_when) = ask(&server, &wrong).await;
                assert!(matches!(status, 401 | 429), "{status} for {wrong:?}");
                assert_eq!(told_when, status == 429, "429 says when to come again");
                *refused.entry(status).or_insert(0) += 1;
            }
            refused
        });
    }
    let mut refused = BTreeMap::<u16, usize>::new();
    for part in guessing.join_all().await {
        for (status, count) in part {
            *refused.entry(status).or_default() += count;
        }
    }
    let took = begun.elapsed();
    over.cancel();
    let passed = passing.await.unwrap();
    let grown = memory(&server).saturating_sub(before);
    let hashed = metric(&server, "neural_guard_key_hashes_total").await - hashes;
    println!(
        "{refused:?} in {took:.1?}, {hashed} hashes, {} MiB more, {passed} right keys passed meanwhile",
        grown >> 20
    );

    assert_eq!(refused.values().sum::<usize>(), GUESSES);
    assert!(
        refused[&429] > refused[&401],
        "failures are limited: {refused:?}"
    );
    assert!(took < LONGEST, "{took:?}");
    assert!(grown < MOST_MEMORY, "{grown} bytes");
    // Ten guesses at one key are free, and then one every six seconds.
    let free = 10.0 + took.as_secs_f64() / 6.0 + 1.0;
    assert!(hashed <= free, "{hashed} hashes in {took:?}");
    assert!(passed >= right.len(), "right keys were tried meanwhile");
    for key in &right {
        assert_eq!(ask(&server, &bearer(key)).await, (200, false), "afterwards");
    }
    goes_on(&server).await;
}

/// Presents right keys until it is over; gives how many passed, which is all of them.
async fn pass(server: Arc<Server>, right: [String; 3], over: CancellationToken) -> usize {
    let mut passed = 0;
    while !over.is_cancelled() {
        for key in &right {
            let begun = Instant::now();
            assert_eq!(ask(&server, &bearer(key)).await, (200, false), "meanwhile");
            assert!(begun.elapsed() < LONGEST_WAIT, "{:?}", begun.elapsed());
            passed += 1;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    passed
}

/// The status, and whether it says when to come again.
async fn ask(server: &Server, authorization: &HeaderValue) -> (u16, bool) {
    let request = server.client.get(server.url("/v1/rules?limit=1"));
    let request = request.header(AUTHORIZATION, authorization);
    let answer = request.send().await.expect("an answer");
    let told_when = answer.headers().contains_key("retry-after");
    (answer.status().as_u16(), told_when)
}

fn bearer(key: &str) -> HeaderValue {
    HeaderValue::from_str(&format!("Bearer {key}")).unwrap()
}

/// A wrong key of each kind in turn.
fn wrong_key(number: usize, generated: &str, chosen: &str) -> HeaderValue {
    let id = |key: &str| key.split('_').nth(1).unwrap().to_owned();
    let text = match number % 8 {
        0 => format!("Bearer ng_{number:016x}_c29tZWJvZHkncyBndWVzcyBhdCBhIHNlY3JldC4uLi4"),
        1 => format!("Bearer ng_{}_correct-horse-{number}", id(chosen)),
        2 => format!("Bearer ng_{}_{number:043}", id(generated)),
        3 => format!("Bearer guess-number-{number}"),
        4 => format!("Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.{number}"),
        5 => format!("Bearer ng_{number}_{}", "x".repeat(9 * 1024)),
        6 => [
            "",
            "Bearer",
            "Bearer ",
            "Basic YTpi",
            "Bearer ng_",
            "ng_a_b",
        ][number / 8 % 6]
            .to_owned(),
        _ => {
            let bytes = [b"Bearer ng_\xff\xfe_", number.to_string().as_bytes()].concat();
            return HeaderValue::from_bytes(&bytes).unwrap();
        }
    };
    HeaderValue::from_str(&text).unwrap()
}

async fn generated_key(server: &Server) -> String {
    let request = server
        .client
        .post(server.url("/v1/keys"))
        .bearer_auth(ADMIN_KEY);
    let body = json!({"label": "a dashboard", "scopes": ["rules:read"]});
    let answer = request.json(&body).send().await.unwrap();
    assert_eq!(answer.status(), 201);
    let made: Value = answer.json().await.unwrap();
    made["key"].as_str().unwrap().to_owned()
}

fn chosen_key(place: &Place) -> String {
    let create = [
        "keys",
        "create",
        "--label",
        "a person",
        "--scope",
        "rules:read",
    ];
    let mut child = place
        .command(&[&create[..], &["--secret-stdin"]].concat())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"correct-horse-battery\n").unwrap();
    drop(stdin);
    let made = child.wait_with_output().unwrap();
    let key = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert!(key.ends_with("_correct-horse-battery"), "{key}");
    key
}

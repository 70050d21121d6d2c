//! Starting, stopping, reloading.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::n8n::FakeN8n;
use super::server::{ADMIN_KEY, API_KEY, Server, event_now, guard_server, run};

#[tokio::test]
async fn the_client_of_the_founding_document_is_answered_and_n8n_gets_what_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    let n8n = FakeN8n::start(Duration::ZERO).await;
    let server = Server::start(
        folder.path(),
        &[
            ("N8N_BASE_URL", n8n.url.as_str()),
            ("N8N_WEBHOOK_TOKEN", "n8n-secret"),
        ],
    );
    let context = r#"{"backup_file":"a.sql.gz","error":"Connection timeout","retry_count":0}"#;
    let answer = server
        .client
        .post(server.url("/events"))
        .bearer_auth(API_KEY)
        .header("content-type", "application/json")
        .body(event_now("backup_failed", context))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), 200);
    let answer: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(answer["status"], "processed");
    assert_eq!(answer["decision"], "playbook_triggered");
    let seen = n8n.seen.lock().unwrap();
    let (playbook, headers, body) = &seen.bodies[0];
    assert_eq!(playbook, "backup-recovery");
    assert_eq!(headers["authorization"], "Bearer n8n-secret");
    assert_eq!(
        headers["idempotency-key"],
        answer["execution_id"].as_str().unwrap()
    );
    assert_eq!(body["backup_file"], "a.sql.gz");
    assert_eq!(body["neural_guard"]["event"]["id"], answer["event_id"]);
    assert!(
        body["neural_guard"]["callback_url"]
            .as_str()
            .unwrap()
            .starts_with(&server.address)
    );
}

#[test]
fn without_keys_the_first_start_prints_one_and_the_second_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let first = Server::start_with(folder.path(), &[]);
    assert_eq!(first.greeting.len(), 1);
    let key = first.greeting[0]
        .strip_prefix("admin key, shown this once: ")
        .unwrap()
        .to_owned();
    assert!(key.starts_with("ng_"));
    drop(first);
    let second = Server::start_with(folder.path(), &[]);
    assert_eq!(second.greeting, Vec::<String>::new());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let status = runtime.block_on(async {
        second
            .client
            .get(second.url("/v1/rules"))
            .bearer_auth(key)
            .send()
            .await
            .unwrap()
            .status()
    });
    assert_eq!(status, 200);
}

#[test]
fn a_second_server_on_the_same_file_says_so_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Server::start(folder.path(), &[]);
    let mut second = guard_server(folder.path());
    second
        .env("NEURAL_GUARD__SERVER__LISTEN", "127.0.0.1:0")
        .env("NEURAL_GUARD__DATA_DIR", folder.path().join("data"));
    let (code, _, error) = run(&mut second);
    assert_eq!(code, 1);
    assert!(error.contains("is in use by another server"), "{error}");
}

#[tokio::test]
async fn hangup_publishes_the_rules_and_wrong_ones_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let rules = folder.path().join("rules.yaml");
    let one = "rules: [{ id: one, event_type: '*', action: ignore }]";
    std::fs::write(&rules, one).unwrap();
    let server = Server::start(
        folder.path(),
        &[("NEURAL_GUARD__RULES__PATH", "rules.yaml")],
    );
    let wait_for = async |revision: u64| {
        for _ in 0..100 {
            let live = server.get("/v1/rules").await;
            if live["revision"] == revision {
                return live["items"][0]["id"].as_str().unwrap().to_owned();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("revision {revision} does not come")
    };
    assert_eq!(wait_for(1).await, "one");
    std::fs::write(
        &rules,
        "rules: [{ id: two, event_type: '*', action: ignore }]",
    )
    .unwrap();
    server.signal("HUP");
    assert_eq!(wait_for(2).await, "two");
    std::fs::write(&rules, "rules: [{ id: wrong }]").unwrap();
    server.signal("HUP");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(wait_for(2).await, "two");
    std::fs::write(&rules, one).unwrap();
    server.signal("HUP");
    assert_eq!(wait_for(3).await, "one", "going back is a new revision");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_answers_who_waits_and_ends_cleanly() {
    let folder = tempfile::tempdir().unwrap();
    let n8n = FakeN8n::start(Duration::from_secs(2)).await;
    let server = Server::start(
        folder.path(),
        &[
            ("N8N_BASE_URL", n8n.url.as_str()),
            ("NEURAL_GUARD__EXECUTOR__ACK_WAIT", "15s"),
        ],
    );
    let request = server
        .client
        .post(server.url("/events"))
        .bearer_auth(API_KEY)
        .header("content-type", "application/json")
        .body(event_now("backup_failed", r#"{"backup_file":"a"}"#));
    let begun = Instant::now();
    let waiting = tokio::spawn(request.send());
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.signal("TERM");
    let answer: serde_json::Value = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(answer["decision"], "playbook_queued");
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "nobody is kept waiting"
    );
    assert_eq!(server.ended().await, Some(0));
    assert_eq!(
        n8n.seen.lock().unwrap().bodies.len(),
        1,
        "the delivery under way was let end"
    );
}

#[tokio::test]
async fn slow_headers_are_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(
        folder.path(),
        &[("NEURAL_GUARD__SERVER__HEADER_TIMEOUT", "300ms")],
    );
    let address = server.address.strip_prefix("http://").unwrap();
    let mut slow = tokio::net::TcpStream::connect(address).await.unwrap();
    slow.write_all(b"POST /events HTTP/1.1\r\nHost: x\r\n")
        .await
        .unwrap();
    let mut rest = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(5), slow.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "the connection is still open");
    let mut silent = tokio::net::TcpStream::connect(address).await.unwrap();
    let read = tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "a silent connection is still open");
}

#[tokio::test]
async fn metrics_have_a_listener_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let server = Server::start(
        folder.path(),
        &[("NEURAL_GUARD__METRICS__LISTEN", free.as_str())],
    );
    let metrics = server
        .client
        .get(format!("http://{free}/metrics"))
        .send()
        .await
        .unwrap();
    assert!(
        metrics
            .text()
            .await
            .unwrap()
            .contains("neural_guard_active_rules")
    );
    let rest = server
        .client
        .get(format!("http://{free}/v1/rules"))
        .bearer_auth(ADMIN_KEY)
        .send()
        .await
        .unwrap();
    assert_eq!(rest.status(), 404);
}

//! A power cut loses nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use guard_testkit::TestDatabase;
use serde_json::Value;

use super::n8n::FakeN8n;
use super::server::{API_KEY, Server, event_now};

const RULES: &str = "rules:
  - { id: lock, event_type: security_threat, cooldown_by: [context.n], cooldown_minutes: 60, action: { trigger_playbook: { name: lock } } }
  - { id: rest, event_type: '*', action: ignore }
";

/// Posts events until the server is gone, and keeps what was answered.
async fn load(
    server: &Server,
    worker: usize,
    round: usize,
    answered: Arc<Mutex<HashMap<String, Value>>>,
) {
    for n in 0.. {
        let kind = if n % 4 == 0 {
            "security_threat"
        } else {
            "user_offboarding"
        };
        let body = event_now(kind, &format!(r#"{{"n":"{round}-{worker}-{n}"}}"#));
        let request = server
            .client
            .post(server.url("/events"))
            .bearer_auth(API_KEY)
            .header("content-type", "application/json")
            .body(body);
        let Ok(response) = request.send().await else {
            return;
        };
        assert_eq!(response.status(), 200);
        let Ok(answer) = response.json::<Value>().await else {
            return;
        };
        answered
            .lock()
            .unwrap()
            .insert(answer["event_id"].as_str().unwrap().to_owned(), answer);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answered_event_survives_and_every_queued_playbook_is_delivered() {
    survive(None).await;
}

/// One instance is killed again and again beside another that goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_answered_event_survives_beside_another_instance_on_postgres() {
    let database = TestDatabase::create().await;
    survive(Some(&database)).await;
}

async fn survive(postgres: Option<&TestDatabase>) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    let n8n = FakeN8n::start(Duration::from_millis(30)).await;
    // The shortest lease there can be, so that what a killed server held is taken over soon.
    let url = postgres.map(TestDatabase::url);
    let mut environment = vec![
        ("N8N_BASE_URL", n8n.url.as_str()),
        ("NEURAL_GUARD__RULES__PATH", "rules.yaml"),
        ("NEURAL_GUARD__EXECUTOR__ACK_WAIT", "0"),
        ("NEURAL_GUARD__N8N__TIMEOUT", "1s"),
        ("NEURAL_GUARD__EXECUTOR__LEASE", "11500ms"),
    ];
    environment.extend(url.as_deref().map(|url| ("DATABASE_URL", url)));
    let answered = Arc::new(Mutex::new(HashMap::new()));
    let other = postgres.map(|_| Server::start(folder.path(), &environment));
    for round in 0..3 {
        let server = Server::start(folder.path(), &environment);
        let pid = server.pid();
        let killer = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(400 + 150 * round as u64)).await;
            std::process::Command::new("kill")
                .args(["-9", &pid.to_string()])
                .status()
                .unwrap();
        });
        let workers = (0..4).map(|worker| load(&server, worker, round, answered.clone()));
        let other = other.as_ref().map(|other| {
            let beside = load(other, 4, round, answered.clone());
            tokio::time::timeout(Duration::from_millis(900), beside)
        });
        let workers = futures::future::join_all(workers);
        futures::future::join(workers, futures::future::join_all(other)).await;
        killer.await.unwrap();
        server.kill();
    }
    let answered = answered.lock().unwrap().clone();
    assert!(
        answered.len() > 50,
        "only {} events were answered",
        answered.len()
    );

    let server = Server::start(folder.path(), &environment);
    let events: HashMap<String, Value> = server
        .all("/v1/events")
        .await
        .into_iter()
        .map(|event| (event["event"]["id"].as_str().unwrap().to_owned(), event))
        .collect();
    for (id, answer) in &answered {
        let event = events
            .get(id)
            .unwrap_or_else(|| panic!("{id} was answered and is gone"));
        let decision = event["decision"]["decision"].as_str().unwrap();
        let expected = answer["decision"]
            .as_str()
            .unwrap()
            .replace("queued", "triggered");
        assert_eq!(decision, expected);
        assert_eq!(event["execution"]["id"], answer["execution_id"]);
    }
    // One execution for each decision, and all of them reach n8n.
    let triggered = events
        .values()
        .filter(|event| event["decision"]["decision"] == "playbook_triggered");
    let triggered: Vec<_> = triggered
        .map(|event| event["execution"]["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(triggered.len() > 10);
    for _ in 0..300 {
        let open = server.all("/v1/executions").await;
        if open
            .iter()
            .all(|execution| execution["state"] == "acknowledged")
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let executions = server.all("/v1/executions").await;
    assert_eq!(executions.len(), triggered.len());
    let seen = n8n.seen.lock().unwrap();
    for execution in &executions {
        assert_eq!(execution["state"], "acknowledged", "{execution}");
        assert!(
            seen.deliveries
                .contains_key(execution["id"].as_str().unwrap())
        );
    }
}

#[tokio::test]
async fn the_audit_chain_holds_over_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let post = async |server: &Server| {
        let body = event_now("user_offboarding", "{}");
        let request = server
            .client
            .post(server.url("/events"))
            .bearer_auth(API_KEY)
            .body(body);
        let response = request
            .header("content-type", "application/json")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
    };
    for _ in 0..2 {
        let server = Server::start(folder.path(), &[]);
        post(&server).await;
        post(&server).await;
        server.kill();
    }
    let server = Server::start(folder.path(), &[]);
    let audit = server.get("/v1/audit?after=&limit=100").await;
    let records = audit["items"].as_array().unwrap();
    let places: Vec<_> = records
        .iter()
        .map(|record| {
            (
                record["chain"].as_str().unwrap(),
                record["link"].as_u64().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        places.len(),
        5,
        "one publication and four decisions: {records:?}"
    );
    assert!(
        places
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 || pair[0].1 + 1 == pair[1].1)
    );
}

#[tokio::test]
async fn a_full_disk_answers_503_loses_nothing_and_recovers_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_limited(folder.path());
    let big = format!(r#"{{"big":"{}"}}"#, "x".repeat(60_000));
    let post = async || {
        let request = server
            .client
            .post(server.url("/events"))
            .bearer_auth(API_KEY);
        let request = request.header("content-type", "application/json");
        let response = request
            .body(event_now("user_offboarding", &big))
            .send()
            .await
            .unwrap();
        (
            response.status().as_u16(),
            response.json::<Value>().await.unwrap(),
        )
    };
    let mut answered = vec![post().await];
    let wal = std::fs::metadata(folder.path().join("data/neural-guard.db-wal"))
        .unwrap()
        .len();
    server.limit_files(Some(wal + 150_000));
    let refused = loop {
        match post().await {
            (200, answer) => answered.push((200, answer)),
            refused => break refused,
        }
        assert!(answered.len() < 20, "the limit has no effect");
    };
    assert_eq!(refused.0, 503, "{refused:?}");
    assert_eq!(
        refused.1["type"], "/problems/database-unavailable",
        "nothing was recorded, and it is known"
    );
    assert_eq!(post().await.0, 503);
    server.limit_files(None);
    answered.push(post().await);
    assert_eq!(answered.last().unwrap().0, 200, "as soon as there is room");
    let events = server.all("/v1/events").await;
    assert_eq!(events.len(), answered.len());
}

//! Several servers behind a real PgBouncer in transaction mode.

use std::collections::HashMap;
use std::time::Duration;

use guard_testkit::TestDatabase;
use guard_testkit::pgbouncer::PgBouncer;
use serde_json::{Value, json};

use super::n8n::FakeN8n;
use super::receiver::{Receiver, SECRET};
use super::server::{API_KEY, Server, event_now};

const RULES: &str = "rules:
  - { id: lock, event_type: security_threat, cooldown_by: [context.n], cooldown_minutes: 60, action: { trigger_playbook: { name: lock } } }
  - id: storm
    event_type: health_check_failed
    window: { count: 5, within: 10m }
    action: { log: { level: info } }
";

/// How many executions are in a state.
async fn count(server: &Server, state: &str) -> usize {
    let executions = server.all("/v1/executions").await;
    executions
        .iter()
        .filter(|execution| execution["state"] == state)
        .count()
}

async fn decide(server: &Server, event_type: &str, context: &str) -> Value {
    let request = server
        .client
        .post(server.url("/events"))
        .bearer_auth(API_KEY);
    let request = request.header("content-type", "application/json");
    let response = request
        .body(event_now(event_type, context))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    response.json().await.unwrap()
}

/// What n8n's workflow says about an execution.
async fn call_back(server: &Server, body: &Value, what: &str, says: Value) -> u16 {
    let callback = body["neural_guard"]["callback_url"].as_str().unwrap();
    let path = callback.split_once("/v1/").unwrap().1;
    let request = server
        .client
        .post(server.url(&format!("/v1/{path}/{what}")));
    let token = body["neural_guard"]["callback_token"].as_str().unwrap();
    let response = request.bearer_auth(token).json(&says).send().await.unwrap();
    response.status().as_u16()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_act_as_one_behind_a_pooler_in_transaction_mode() {
    let database = TestDatabase::create().await;
    let direct = database.url();
    // Fewer connections than one instance would take.
    let pooler = PgBouncer::start(&direct, 3).unwrap_or_else(|why| panic!("{why}"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    let n8n = FakeN8n::start(Duration::ZERO).await;
    let log = folder.path().join("log");
    let environment = [
        ("DATABASE_URL", pooler.url()),
        ("NEURAL_GUARD__DATABASE__MIGRATE_URL", direct.as_str()),
        ("N8N_BASE_URL", n8n.url.as_str()),
        ("NEURAL_GUARD__RULES__PATH", "rules.yaml"),
        ("NEURAL_GUARD__EXECUTOR__ACK_WAIT", "0"),
    ];
    let servers = [
        Server::start_logged(folder.path(), &environment, &log),
        Server::start_logged(folder.path(), &environment, &log),
    ];

    // Every value comes in four times, on both at the same moment.
    let mut asked = Vec::new();
    for n in 0..20 {
        for server in servers.iter().chain(&servers) {
            asked.push(async move {
                let context = format!(r#"{{"n":{n}}}"#);
                decide(server, "security_threat", &context).await
            });
        }
    }
    let answers = futures::future::join_all(asked).await;
    let mut decisions: HashMap<&str, usize> = HashMap::new();
    for answer in &answers {
        *decisions
            .entry(answer["decision"].as_str().unwrap())
            .or_default() += 1;
    }
    assert_eq!(
        decisions,
        HashMap::from([("playbook_queued", 20), ("suppressed", 60)])
    );
    let storm = (0..6).map(|n| decide(&servers[n % 2], "health_check_failed", "{}"));
    let mut logged = 0;
    for answer in futures::future::join_all(storm).await {
        logged += usize::from(answer["decision"] == "logged");
    }
    assert_eq!(logged, 2, "the window counts over both");

    for _ in 0..200 {
        if count(&servers[0], "acknowledged").await == 20 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let bodies = n8n.seen.lock().unwrap().bodies.clone();
    assert_eq!(bodies.len(), 20, "every execution is claimed once");
    for (n, (_, _, body)) in bodies.iter().enumerate() {
        let [one, two] = [&servers[n % 2], &servers[(n + 1) % 2]];
        let run = json!({"n8n_execution_id": n.to_string()});
        let (first, second) = tokio::join!(
            call_back(one, body, "start", run),
            call_back(two, body, "start", json!({"n8n_execution_id": "other"}))
        );
        assert_eq!(first.min(second), 200, "one run acts");
        assert_eq!(first.max(second), 409, "and the other does not");
        let result = json!({"status": "succeeded", "message": "done", "data": {}});
        assert_eq!(call_back(two, body, "result", result).await, 200);
    }
    assert_eq!(count(&servers[1], "succeeded").await, 20);
    let partitions: i64 =
        sqlx::query_scalar("SELECT count(*) FROM pg_inherits WHERE inhparent = 'events'::regclass")
            .fetch_one(&mut database.connect().await)
            .await
            .unwrap();
    assert!(partitions > 14, "{partitions} days of events");
    for server in servers {
        server.signal("TERM");
        assert_eq!(server.ended().await, Some(0));
    }
    let log = std::fs::read_to_string(&log).unwrap();
    assert_eq!(log, "", "nothing is warned of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escalation_is_sent_once_by_instances_behind_a_pooler() {
    let database = TestDatabase::create().await;
    let direct = database.url();
    let pooler = PgBouncer::start(&direct, 3).unwrap_or_else(|why| panic!("{why}"));
    let folder = tempfile::tempdir().unwrap();
    let rules =
        "rules: [{ id: page, event_type: '*', action: { escalate: { to: default, message: x } } }]";
    std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let receiver = Receiver::start().await;
    let hook = receiver.url();
    let environment = [
        ("DATABASE_URL", pooler.url()),
        ("NEURAL_GUARD__DATABASE__MIGRATE_URL", direct.as_str()),
        ("NEURAL_GUARD__RULES__PATH", "rules.yaml"),
        (
            "NEURAL_GUARD__CONTACTS__DEFAULT__CHANNELS__0__TYPE",
            "webhook",
        ),
        (
            "NEURAL_GUARD__CONTACTS__DEFAULT__CHANNELS__0__URL",
            hook.as_str(),
        ),
        (
            "NEURAL_GUARD__CONTACTS__DEFAULT__CHANNELS__0__SECRET",
            SECRET,
        ),
    ];
    let servers = [(); 2].map(|()| Server::start(folder.path(), &environment));
    let asked = (0..10).map(|n| decide(&servers[n % 2], "health_check_failed", "{}"));
    futures::future::join_all(asked).await;
    let states = async || {
        let mut states: HashMap<String, usize> = HashMap::new();
        for escalation in servers[0].all("/v1/escalations").await {
            let state = escalation["notifications"][0]["state"].as_str().unwrap();
            *states.entry(state.to_owned()).or_default() += 1;
        }
        states
    };
    let expected = HashMap::from([("sent".to_owned(), 1), ("repeated".to_owned(), 9)]);
    for _ in 0..100 {
        if states().await == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(states().await, expected);
    assert_eq!(receiver.messages().len(), 1);
}

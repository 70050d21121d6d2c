//! PostgreSQL goes away, and comes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guard_testkit::postgres_server::{self, Durability};
use sqlx::Connection;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::n8n::FakeN8n;
use super::server::{API_KEY, Server, event_now};

const RULES: &str = "rules:
  - { id: lock, event_type: security_threat, cooldown_by: [context.n], cooldown_minutes: 60, action: { trigger_playbook: { name: lock } } }
  - { id: rest, event_type: '*', action: ignore }
";
/// `database.timeout` of these tests.
const TIMEOUT: Duration = Duration::from_secs(2);
/// What a refusal may take beyond it, on a machine that is busy.
const SLACK: Duration = Duration::from_millis(500);
/// How soon everything goes on.
const BACK: Duration = Duration::from_secs(2);

/// A request, from when it was sent to when it was answered.
#[derive(Debug)]
struct Asked {
    sent: Instant,
    took: Duration,
    status: u16,
}

async fn ask(request: reqwest::RequestBuilder) -> Asked {
    let sent = Instant::now();
    let status = request.send().await.expect("an answer").status().as_u16();
    let took = sent.elapsed();
    Asked { sent, took, status }
}

fn post(server: &Server, event_type: &str, context: &str) -> reqwest::RequestBuilder {
    server
        .client
        .post(server.url("/events"))
        .bearer_auth(API_KEY)
        .header("content-type", "application/json")
        .body(event_now(event_type, context))
}

fn ready(server: &Server) -> reqwest::RequestBuilder {
    server.client.get(server.url("/health/ready"))
}

/// Asks again and again, without waiting for the answers, for so long.
async fn ask_for(time: Duration, request: impl Fn() -> reqwest::RequestBuilder) -> Vec<Asked> {
    let mut asked = tokio::task::JoinSet::new();
    let begun = Instant::now();
    while begun.elapsed() < time {
        asked.spawn(ask(request()));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    asked.join_all().await
}

/// What a guard does while its database is away, and afterwards. `url` is where it finds PostgreSQL.
async fn check<S>(url: &str, mut state: S, go: impl Fn(&mut S), come: impl Fn(&mut S)) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    let n8n = FakeN8n::start(Duration::from_millis(300)).await;
    let server = Server::start(
        folder.path(),
        &[
            ("DATABASE_URL", url),
            ("N8N_BASE_URL", n8n.url.as_str()),
            ("NEURAL_GUARD__DATABASE__TIMEOUT", "2s"),
            ("NEURAL_GUARD__RULES__PATH", "rules.yaml"),
            ("NEURAL_GUARD__EXECUTOR__ACK_WAIT", "0"),
            ("NEURAL_GUARD__EXECUTOR__LEASE", "11500ms"),
            ("NEURAL_GUARD__N8N__TIMEOUT", "1s"),
            ("NEURAL_GUARD__N8N__MAX_IN_FLIGHT", "1"),
        ],
    );
    let pid = server.pid();
    for n in 0..6 {
        let context = format!(r#"{{"n":{n}}}"#);
        let answer = ask(post(&server, "security_threat", &context)).await;
        assert_eq!(answer.status, 200);
    }
    assert_eq!(ask(ready(&server)).await.status, 200);

    go(&mut state);
    for round in 0..3 {
        let (events, health) = tokio::join!(
            ask_for(Duration::from_millis(500), || post(
                &server,
                "user_offboarding",
                "{}"
            )),
            ask(ready(&server))
        );
        for asked in events.iter().chain([&health]) {
            assert_eq!(asked.status, 503, "round {round}: {asked:?}");
            assert!(asked.took < TIMEOUT + SLACK, "round {round}: {asked:?}");
        }
        let slowest = events.iter().map(|asked| asked.took).max();
        println!(
            "503 after {slowest:?} at most, unready after {:?}",
            health.took
        );
    }

    come(&mut state);
    goes_on(&server).await;
    assert_eq!(server.pid(), pid);
    for _ in 0..300 {
        let executions = server.all("/v1/executions").await;
        let waits = executions
            .iter()
            .filter(|execution| execution["state"] != "acknowledged");
        if waits.count() == 0 {
            assert_eq!(executions.len(), 6);
            assert_eq!(n8n.seen.lock().unwrap().deliveries.len(), 6);
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("not everything is delivered");
}

/// The database is there: from now on at the latest after [`BACK`] everything is well.
async fn goes_on(server: &Server) {
    let back = Instant::now();
    let (events, health) = tokio::join!(
        ask_for(BACK * 2, || post(server, "user_offboarding", "{}")),
        ask_for(BACK * 2, || ready(server))
    );
    for (what, asked) in [("events", events), ("health", health)] {
        let refused = asked.iter().filter(|asked| asked.status != 200);
        let last = refused.map(|asked| asked.sent - back).max();
        let first = asked.iter().filter(|asked| asked.status == 200);
        let first = first.map(|asked| asked.sent + asked.took - back).min();
        println!("{what}: back after {first:?}, last refused one sent after {last:?}");
        assert!(first.is_some_and(|first| first < BACK), "{what}: {first:?}");
        assert!(last.is_none_or(|last| last < BACK), "{what}: {last:?}");
    }
}

/// The connections die, and nobody says so: what is sent on them is not answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_died_in_silence_are_replaced_in_time() {
    let postgres = start();
    let network = Network::before(postgres.url()).await;
    let folder = tempfile::tempdir().unwrap();
    // With the timeout that a server has if nobody says otherwise.
    let server = Server::start(folder.path(), &[("DATABASE_URL", network.url.as_str())]);
    // As many connections as there can be.
    futures::future::join_all((0..40).map(|_| ask(ready(&server)))).await;
    network.open.send_replace(false);
    tokio::time::sleep(Duration::from_millis(50)).await;
    network.open.send_replace(true);
    goes_on(&server).await;
}

/// A connection dies in the midst of a transaction, and the server does not hear of it either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_of_a_connection_that_died_in_silence_are_freed() {
    let postgres = start();
    let network = Network::before(postgres.url()).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    let n8n = FakeN8n::start(Duration::ZERO).await;
    let server = Server::start(
        folder.path(),
        &[
            ("DATABASE_URL", network.url.as_str()),
            ("N8N_BASE_URL", n8n.url.as_str()),
            ("NEURAL_GUARD__DATABASE__TIMEOUT", "2s"),
            ("NEURAL_GUARD__RULES__PATH", "rules.yaml"),
            ("NEURAL_GUARD__EXECUTOR__ACK_WAIT", "0"),
        ],
    );
    // Recording an attempt takes its time once the execution is locked.
    let mut direct = sqlx::PgConnection::connect(postgres.url()).await.unwrap();
    sqlx::raw_sql(
        "CREATE FUNCTION slow() RETURNS TRIGGER LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(0.5); RETURN NEW; END $$;
         CREATE TRIGGER slow BEFORE UPDATE ON execution_attempts FOR EACH ROW EXECUTE FUNCTION slow()",
    )
    .execute(&mut direct)
    .await
    .unwrap();
    let answer = ask(post(&server, "security_threat", r#"{"n":1}"#)).await;
    assert_eq!(answer.status, 200);
    let recording = "SELECT count(*) FROM pg_stat_activity
         WHERE state = 'active' AND query LIKE '%UPDATE execution_attempts%' AND pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(recording)
        .fetch_one(&mut direct)
        .await
        .unwrap()
        == 0
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    network.open.send_replace(false);
    tokio::time::sleep(Duration::from_millis(50)).await;
    network.open.send_replace(true);
    let back = Instant::now();
    loop {
        let executions = server.all("/v1/executions").await;
        if executions[0]["state"] == "acknowledged" {
            break;
        }
        let waits = back.elapsed();
        assert!(waits < TIMEOUT * 5, "it is locked after {waits:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("recorded after {:?}", back.elapsed());
    let deliveries = n8n.seen.lock().unwrap().bodies.len();
    assert_eq!(deliveries, 1, "before the lease has ended");
}

fn start() -> postgres_server::Server {
    postgres_server::Server::start(Durability::None).unwrap_or_else(|why| panic!("{why}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_database_is_503_in_time_and_comes_back() {
    let postgres = start();
    let url = postgres.url().to_owned();
    check(
        &url,
        postgres,
        |it| it.stop().unwrap(),
        |it| it.start_again().unwrap(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frozen_database_is_503_in_time_and_comes_back() {
    let postgres = start();
    let url = postgres.url().to_owned();
    check(
        &url,
        postgres,
        |it| it.freeze().unwrap(),
        |it| it.thaw().unwrap(),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unreachable_database_is_503_in_time_and_comes_back() {
    let postgres = start();
    let network = Network::before(postgres.url()).await;
    let url = network.url.clone();
    let go = |it: &mut Network| _ = it.open.send_replace(false);
    let come = |it: &mut Network| _ = it.open.send_replace(true);
    check(&url, network, go, come).await;
}

/// The way to a server, on which everything can get lost: nothing is accepted, nothing is passed on, nothing is closed. The
/// connections of before stay dead afterwards, as behind a router that forgot them.
struct Network {
    url: String,
    open: Arc<watch::Sender<bool>>,
}

impl Network {
    /// The way to the server of a URL.
    async fn before(url: &str) -> Self {
        let (user, rest) = url.rsplit_once('@').unwrap();
        let (target, database) = rest.split_once('/').unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("{user}@{}/{database}", listener.local_addr().unwrap());
        let target = target.to_owned();
        let open = Arc::new(watch::Sender::new(true));
        let mut gate = open.subscribe();
        tokio::spawn(async move {
            loop {
                gate.wait_for(|open| *open).await.unwrap();
                let (near, _) = listener.accept().await.unwrap();
                gate.wait_for(|open| *open).await.unwrap();
                let far = TcpStream::connect(&target).await.unwrap();
                tokio::spawn(pass(near, far, gate.clone()));
            }
        });
        Self { url, open }
    }
}

async fn pass(mut near: TcpStream, mut far: TcpStream, mut gate: watch::Receiver<bool>) {
    tokio::select! {
        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
        _ = gate.wait_for(|open| !*open) => {}
    }
    std::future::pending::<()>().await;
}

//! Servers are restarted one after the other behind a load balancer, and no client sees it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use guard_testkit::TestDatabase;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::n8n::FakeN8n;
use super::server::{API_KEY, Server, event_now};

const RULES: &str = "rules:
  - { id: lock, event_type: security_threat, cooldown_by: [context.n], cooldown_minutes: 60, action: { trigger_playbook: { name: lock } } }
  - { id: rest, event_type: '*', action: ignore }
";
/// How often the balancer asks.
const PROBE: Duration = Duration::from_millis(50);

/// A balancer that passes connections on to the servers that say they are ready, in turn.
#[derive(Default)]
struct Balancer {
    /// `host:port`, and whether it is ready.
    servers: Mutex<Vec<(String, bool)>>,
    turn: Mutex<usize>,
}

impl Balancer {
    async fn start(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let this = self.clone();
        tokio::spawn(async move { this.probe().await });
        let this = self.clone();
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let Some(server) = this.next() else { continue };
                tokio::spawn(async move {
                    let Ok(mut far) = TcpStream::connect(server).await else {
                        return;
                    };
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
                });
            }
        });
        address
    }

    fn next(&self) -> Option<String> {
        let servers = self.servers.lock().unwrap();
        let ready: Vec<_> = servers.iter().filter(|(_, ready)| *ready).collect();
        let mut turn = self.turn.lock().unwrap();
        *turn += 1;
        Some(ready.get(*turn % ready.len().max(1))?.0.clone())
    }

    async fn probe(&self) {
        let client = reqwest::Client::builder().pool_max_idle_per_host(0);
        let client = client.timeout(Duration::from_secs(5)).build().unwrap();
        loop {
            let known = self.servers.lock().unwrap().clone();
            for (address, _) in known {
                let asked = client.get(format!("http://{address}/health/ready"));
                let ready = asked.send().await.is_ok_and(|it| it.status() == 200);
                let mut servers = self.servers.lock().unwrap();
                if let Some(server) = servers.iter_mut().find(|(it, _)| *it == address) {
                    server.1 = ready;
                }
            }
            tokio::time::sleep(PROBE).await;
        }
    }

    /// Sends what comes to another server in the place of this one, as soon as that is ready.
    async fn replace(&self, place: usize, server: &Server) {
        let address = server.address.strip_prefix("http://").unwrap().to_owned();
        let entry = (address, false);
        {
            let mut servers = self.servers.lock().unwrap();
            if place < servers.len() {
                servers[place] = entry;
            } else {
                servers.push(entry);
            }
        }
        for _ in 0..200 {
            if self.servers.lock().unwrap()[place].1 {
                return;
            }
            tokio::time::sleep(PROBE).await;
        }
        panic!("it does not become ready");
    }
}

/// A plain client that keeps its connection, tries nothing twice, and pauses between two requests.
struct Client {
    balancer: String,
    kept: Option<BufReader<TcpStream>>,
}

impl Client {
    async fn post(&mut self, body: &str) -> std::io::Result<String> {
        let mut stream = match self.kept.take() {
            Some(stream) => stream,
            None => BufReader::new(TcpStream::connect(&self.balancer).await?),
        };
        let request = format!(
            "POST /events HTTP/1.1\r\nHost: guard\r\nAuthorization: Bearer {API_KEY}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await?;
        let (mut status, mut length, mut closes) = (String::new(), 0, false);
        if stream.read_line(&mut status).await? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).await?;
            match line.trim().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("connection", value)) => closes = value == "close",
                Some(_) => {}
                None => break,
            }
        }
        stream.read_exact(&mut vec![0; length]).await?;
        if !closes {
            self.kept = Some(stream);
        }
        Ok(status)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_is_seen_by_no_client() {
    let database = TestDatabase::create().await;
    let url = database.url();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("rules.yaml"), RULES).unwrap();
    let n8n = FakeN8n::start(Duration::from_millis(200)).await;
    let environment = [
        ("DATABASE_URL", url.as_str()),
        ("N8N_BASE_URL", n8n.url.as_str()),
        ("NEURAL_GUARD__RULES__PATH", "rules.yaml"),
        ("NEURAL_GUARD__SERVER__STOP_DELAY", "700ms"),
    ];
    let balancer = Arc::new(Balancer::default());
    let address = balancer.start().await;
    let mut servers = Vec::new();
    for place in 0..2 {
        let server = Server::start(folder.path(), &environment);
        balancer.replace(place, &server).await;
        servers.push(server);
    }

    let over = tokio_util::sync::CancellationToken::new();
    let mut load = tokio::task::JoinSet::new();
    for worker in 0..8 {
        let (over, balancer) = (over.clone(), address.clone());
        load.spawn(async move {
            let kept = None;
            let mut client = Client { balancer, kept };
            let (mut answered, mut errors) = (0, Vec::new());
            while !over.is_cancelled() {
                let kind = ["security_threat", "user_offboarding"][answered % 2];
                let context = format!(r#"{{"n":"{worker}-{answered}"}}"#);
                match client.post(&event_now(kind, &context)).await {
                    Ok(status) if status.contains(" 200 ") => answered += 1,
                    other => errors.push(format!("{other:?}")),
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            (answered, errors)
        });
    }
    for round in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let old = servers.remove(0);
        old.signal("TERM");
        assert_eq!(old.ended().await, Some(0));
        let new = Server::start(folder.path(), &environment);
        balancer.replace(round % 2, &new).await;
        servers.push(new);
    }
    over.cancel();
    let mut answered = 0;
    for (count, errors) in load.join_all().await {
        assert_eq!(errors, Vec::<String>::new());
        answered += count;
    }
    assert!(answered > 200, "only {answered} events were answered");
    let recorded = servers[0].all("/v1/events").await;
    assert_eq!(recorded.len(), answered, "each one once");
}

//! No secret is in anything that the server writes or answers, whatever happens and however much is logged.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use guard_server::config::{KEYS, Settings, load};
use guard_testkit::TestDatabase;
use jsonwebtoken::{EncodingKey, Header, encode};
use reqwest::{Client, Method};
use serde_json::{Value, json};

use super::n8n::FakeN8n;
use super::server::{ADMIN_KEY, API_KEY, Server, event_now, guard_server, run};
use super::tls;

/// What every secret of these tests has in it.
const MARK: &str = "PlAnTeDsEcReT";
/// The same in Base64, behind a text of any length.
const ENCODED: [&str; 3] = ["UGxBblRlRHNFY1JlV", "BsQW5UZURzRWNSZV", "QbEFuVGVEc0VjUmVU"];

const RULES: &str = "rules:
  - { id: recover, event_type: backup_failed, action: { trigger_playbook: { name: backup-recovery, params: {} } } }
  - { id: page, event_type: health_check_failed, action: { escalate: { to: oncall, message: down } } }
";

/// Channels over which nobody is reached.
const CONTACTS: &str = r#"
[[contacts.oncall.channels]]
type = "slack"
url = "http://127.0.0.1:1/services/PlAnTeDsEcReT-slack"
[[contacts.oncall.channels]]
type = "pagerduty"
url = "http://127.0.0.1:1/PlAnTeDsEcReT-pagerduty-url"
routing_key = "PlAnTeDsEcReT-pagerduty-key"
[[contacts.oncall.channels]]
type = "smtp"
url = "smtps://guard:PlAnTeDsEcReT-smtp@127.0.0.1:1"
from = "guard@example.com"
to = ["oncall@example.com"]
[[contacts.oncall.channels]]
type = "webhook"
url = "http://127.0.0.1:1/hook?PlAnTeDsEcReT-webhook-url"
secret = "PlAnTeDsEcReT-webhook-secret"
"#;

/// A value for every secret key, some of which have a form of their own.
fn planted() -> BTreeMap<&'static str, String> {
    let secret = |name: &str| match name {
        "database.migrate_url" => {
            "postgres://guard:PlAnTeDsEcReT-migrate@127.0.0.1:1/guard".to_owned()
        }
        "redis.url" => "redis://guard:PlAnTeDsEcReT-redis@127.0.0.1:1/0".to_owned(),
        other => format!("{MARK}-{other}-0123456789-0123456789"),
    };
    let secrets = KEYS.iter().filter(|key| key.secret);
    secrets.map(|key| (key.name, secret(key.name))).collect()
}

fn variable(name: &str) -> String {
    format!("NEURAL_GUARD__{}", name.replace('.', "__").to_uppercase())
}

/// That no secret is in a text: neither one of these tests nor one that the server has made.
#[track_caller]
fn assert_clean(what: &str, text: &str, made: &[String]) {
    let marks = ENCODED.into_iter().chain([MARK]);
    for secret in marks.chain(made.iter().map(String::as_str)) {
        if let Some(at) = text.find(secret) {
            let line = text[..at].rfind('\n').map_or(0, |end| end + 1);
            let line = text[line..].lines().next().unwrap_or_default();
            let line: String = line.chars().take(2000).collect();
            panic!("`{secret}` is in {what}:\n{line}");
        }
    }
}

/// Who asks a server, and keeps what it answers.
struct Asker {
    client: Client,
    address: String,
    answers: String,
}

impl Asker {
    async fn send(
        &mut self,
        method: Method,
        path: &str,
        token: &str,
        body: String,
    ) -> (u16, Value) {
        let (status, head, body) = self.unkept(method, path, token, body).await;
        self.answers.push_str(&format!("{head}\n{body}\n"));
        (status, serde_json::from_str(&body).unwrap_or_default())
    }

    /// As [`Asker::send`], of an answer that is to have a secret in it.
    async fn unkept(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: String,
    ) -> (u16, String, String) {
        let request = self
            .client
            .request(method, format!("{}{path}", self.address));
        let request = request
            .bearer_auth(token)
            .header("content-type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        let status = answer.status().as_u16();
        let head = format!("{path}: {status} {:?}", answer.headers());
        (status, head, answer.text().await.unwrap())
    }

    async fn get(&mut self, path: &str, token: &str) -> (u16, Value) {
        self.send(Method::GET, path, token, String::new()).await
    }

    async fn post(&mut self, path: &str, token: &str, body: String) -> (u16, Value) {
        self.send(Method::POST, path, token, body).await
    }

    /// Whatever can be read.
    async fn read_everything(&mut self, token: &str) {
        let document = serde_json::to_value(guard_http::openapi()).unwrap();
        for (path, operations) in document["paths"].as_object().unwrap() {
            if operations.get("get").is_some() && !path.contains('{') {
                self.get(path, token).await;
            }
        }
        self.get("/nowhere", token).await;
    }
}

fn write_files(folder: &Path) {
    std::fs::write(folder.join("rules.yaml"), RULES).unwrap();
    let config = format!("[rules]\npath = \"rules.yaml\"\n{CONTACTS}");
    std::fs::write(folder.join("neural-guard.toml"), config).unwrap();
}

/// The names of what `check-config` masks; it shows no secret.
fn masked(folder: &Path, environment: &[(String, String)]) -> BTreeSet<String> {
    let mut command = guard_server(folder);
    let (code, out, error) = run(command
        .envs(environment.iter().cloned())
        .arg("check-config"));
    assert_eq!(code, 0, "{error}");
    assert_clean("check-config", &(out.clone() + &error), &[]);
    let masked = out.lines().filter(|line| line.contains("********"));
    masked
        .map(|line| line.split(' ').next().unwrap().to_owned())
        .collect()
}

fn jwt(secret: &str, scope: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    // The year 2100.
    let claims = json!({"sub": "alice", "exp": 4_102_444_800_u64, "scope": scope});
    encode(&Header::default(), &claims, &key).unwrap()
}

/// The last part of a token: what makes it one.
fn last_part(token: &str) -> String {
    token.rsplit(['.', '_']).next().unwrap().to_owned()
}

/// Makes a key with a secret of one's own; the command prints it, and says nothing else.
fn make_key(folder: &Path, secret: &str) -> String {
    let mut command = guard_server(folder);
    command
        .env("NEURAL_GUARD__DATA_DIR", folder.join("data"))
        .env("RUST_LOG", "trace");
    command.args([
        "keys",
        "create",
        "--label",
        "chosen",
        "--scope",
        "rules:read",
        "--secret-stdin",
    ]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(secret.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    assert_clean("the errors of `keys create`", &errors, &[]);
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_secret_is_written_or_answered() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = tls::write_pair(folder.path());
    write_files(folder.path());
    let n8n = FakeN8n::start(Duration::ZERO).await;
    let mut secrets = planted();
    // Of PostgreSQL only: see below.
    secrets.remove("database.migrate_url");
    let plain = [
        ("N8N_BASE_URL", n8n.url.as_str()),
        ("NEURAL_GUARD__SERVER__TLS__CERTIFICATE", "cert.pem"),
        ("NEURAL_GUARD__SERVER__TLS__KEY", "key.pem"),
        ("RUST_LOG", "trace"),
    ];
    let mut environment: Vec<(String, String)> = secrets
        .iter()
        .map(|(name, value)| (variable(name), value.clone()))
        .collect();
    environment.extend(plain.map(|(name, value)| (name.to_owned(), value.to_owned())));
    let channels = [
        "0.url",
        "1.routing_key",
        "1.url",
        "2.url",
        "3.secret",
        "3.url",
    ];
    let mut expected: BTreeSet<String> = secrets.keys().map(|name| (*name).to_owned()).collect();
    expected.extend(channels.map(|key| format!("contacts.oncall.channels.{key}")));
    assert_eq!(
        masked(folder.path(), &environment),
        expected,
        "what is masked is planted"
    );

    let log = folder.path().join("log");
    let pairs: Vec<_> = environment
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let server = Server::start_logged(folder.path(), &pairs, &log);
    let mut asker = Asker {
        client: tls::client(&certificate),
        address: server.address.clone(),
        answers: server.greeting.join("\n"),
    };
    let (api_key, admin) = (&secrets["auth.api_key"], &secrets["auth.admin_key"]);
    let mut made = Vec::new();

    // Events, right and wrong.
    for event_type in ["backup_failed", "health_check_failed"] {
        let (status, answer) = asker
            .post("/events", api_key, event_now(event_type, "{}"))
            .await;
        assert_eq!(status, 200, "{answer}");
    }
    for wrong in ["{".to_owned(), event_now("no_such_type", "{}")] {
        asker.post("/events", api_key, wrong).await;
    }

    // Callbacks, right and wrong.
    let callback = n8n.seen.lock().unwrap().bodies[0].2["neural_guard"].clone();
    let token = callback["callback_token"].as_str().unwrap();
    made.push(last_part(token));
    let execution = callback["execution_id"].as_str().unwrap();
    let path = |act: &str| format!("/v1/executions/{execution}/{act}");
    let started = json!({"n8n_execution_id": "1"}).to_string();
    let succeeded = json!({"status": "succeeded", "message": "done", "data": {}}).to_string();
    let wrong = format!("{MARK}{token}");
    assert_eq!(
        asker.post(&path("start"), &wrong, started.clone()).await.0,
        401
    );
    assert_eq!(asker.post(&path("start"), token, started).await.0, 200);
    assert_eq!(asker.post(&path("result"), token, succeeded).await.0, 200);

    // Keys that are made here, chosen, signed and made up.
    let order = json!({"label": "made", "scopes": ["rules:read"]}).to_string();
    let (status, _, answer) = asker.unkept(Method::POST, "/v1/keys", admin, order).await;
    assert_eq!(status, 201, "{answer}");
    let managed: Value = serde_json::from_str(&answer).unwrap();
    let managed = managed["key"]
        .as_str()
        .unwrap_or_else(|| panic!("{answer}"));
    let chosen = make_key(folder.path(), &format!("{MARK}-chosen-secret"));
    let signed = jwt(&secrets["auth.jwt.secret"], "rules:read");
    for right in [managed, &chosen, &signed] {
        made.push(last_part(right));
        assert_eq!(asker.get("/v1/rules", right).await.0, 200);
    }
    let forged = jwt(MARK, "rules:read");
    made.push(last_part(&forged));
    let made_up = format!("ng_0123456789abcdef_{MARK}");
    for wrong in [
        format!("{MARK}-made-up"),
        format!("{chosen}{MARK}"),
        made_up,
        forged,
    ] {
        assert_eq!(asker.get("/v1/rules", &wrong).await.0, 401, "{wrong}");
    }

    // Every channel is tried in vain.
    let mut tried = Vec::new();
    for _ in 0..200 {
        let (_, list) = asker.get("/v1/escalations", admin).await;
        tried = list["items"][0]["notifications"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        if tried.len() == 4 && tried.iter().all(|one| one["attempts"].as_u64() > Some(0)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let all = tried.iter().all(|one| one["attempts"].as_u64() > Some(0));
    assert!(all && tried.len() == 4, "{tried:?}");

    asker.read_everything(admin).await;
    asker.read_everything(api_key).await;
    asker
        .get(&format!("/v1/executions/{execution}"), admin)
        .await;
    server.signal("HUP");
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));

    for file in ["key.pem", "data/audit-signing-key.pem"] {
        let pem = std::fs::read_to_string(folder.path().join(file)).unwrap();
        let lines = pem.lines().filter(|line| !line.starts_with('-'));
        made.extend(lines.map(str::to_owned));
    }
    let log = std::fs::read_to_string(log).unwrap();
    assert!(log.contains(r#""level":"TRACE""#), "it logs all there is");
    assert_clean("an answer", &asker.answers, &made);
    assert_clean("the log", &log, &made);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_password_of_a_database_is_written() {
    let database = TestDatabase::create().await;
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    // Whether the server asks for a password or not, there is one.
    let url = database.url();
    let separator = if url.contains('?') { '&' } else { '?' };
    let url = format!("{url}{separator}password={MARK}-database");
    let log = folder.path().join("log");
    let environment = [
        ("DATABASE_URL", url.as_str()),
        ("NEURAL_GUARD__DATABASE__MIGRATE_URL", url.as_str()),
        ("N8N_BASE_URL", "http://127.0.0.1:1"),
        ("N8N_WEBHOOK_TOKEN", "PlAnTeDsEcReT-token"),
        ("RUST_LOG", "trace"),
    ];
    let server = Server::start_logged(folder.path(), &environment, &log);
    let mut asker = Asker {
        client: server.client.clone(),
        address: server.address.clone(),
        answers: String::new(),
    };
    let (status, answer) = asker
        .post("/events", API_KEY, event_now("backup_failed", "{}"))
        .await;
    assert_eq!(status, 200, "{answer}");
    asker.read_everything(ADMIN_KEY).await;
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));
    assert_clean("an answer", &asker.answers, &[]);
    assert_clean("the log", &std::fs::read_to_string(log).unwrap(), &[]);
}

/// Runs what ends by itself, and looks at what it says.
#[track_caller]
fn fails_without_a_secret(folder: &Path, arguments: &[&str], environment: &[(String, String)]) {
    let mut command = guard_server(folder);
    command
        .env("NEURAL_GUARD__SERVER__LISTEN", "127.0.0.1:0")
        .env("NEURAL_GUARD__DATABASE__TIMEOUT", "500ms")
        .env("RUST_LOG", "trace")
        .envs(environment.iter().cloned())
        .args(arguments);
    let (code, out, error) = run(&mut command);
    let what = format!("{arguments:?} with {environment:?}");
    assert_ne!(code, 0, "{what}: {out}{error}");
    assert!(!error.is_empty(), "{what} does not say why");
    assert_clean(&what, &(out + &error), &[]);
}

#[test]
fn a_database_that_is_away_is_named_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let url = "postgres://guard:PlAnTeDsEcReT-database@127.0.0.1:1/guard";
    let direct = planted()["database.migrate_url"].clone();
    let mut environment = vec![("DATABASE_URL".to_owned(), url.to_owned())];
    for _ in 0..2 {
        for arguments in [
            &["serve"][..],
            &["migrate"],
            &["keys", "list"],
            &["audit", "verify"],
        ] {
            fails_without_a_secret(folder.path(), arguments, &environment);
        }
        environment.push((variable("database.migrate_url"), direct.clone()));
    }
}

#[test]
fn what_is_wrong_with_a_secret_is_told_without_it() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str, value: &str| vec![(variable(name), value.to_owned())];
    let mut wrong = vec![
        of("database.url", "mysql://guard:PlAnTeDsEcReT@host/guard"),
        of(
            "database.url",
            "postgres://guard:PlAnTeDsEcReT@host:port/guard",
        ),
        of(
            "database.url",
            "postgres://guard:PlAnTeDsEcReT@host/guard?sslmode=PlAnTeD",
        ),
        of("redis.url", "http://guard:PlAnTeDsEcReT@host"),
        of("redis.url", "redis://guard:PlAnTeDsEcReT@host:port"),
        of("auth.jwt.secret", "PlAnTeDsEcReT"),
        of("auth.api_key", "PlAnTeDsEcReT"),
        of("auth.admin_key", "PlAnTeDsEcReT"),
        of("n8n.base_url", "guard:PlAnTeDsEcReT@host:5678"),
        of("n8n.base_url", "ftp://guard:PlAnTeDsEcReT@host"),
        of("n8n.base_url", "http://guard:PlAnTeDsEcReT@n8n.example"),
    ];
    for url in [
        "postgres://guard:PlAnTeDsEcReT@host:port/guard",
        "PlAnTeDsEcReT",
    ] {
        let direct = of("database.migrate_url", url);
        wrong.push([direct, of("database.url", "postgres://guard@host/guard")].concat());
    }
    for (channel_type, key, value) in [
        ("webhook", "URL", "PlAnTeDsEcReT"),
        ("slack", "URL", "ftp://host/PlAnTeDsEcReT"),
        ("smtp", "URL", "smtp://guard:PlAnTeDsEcReT@host:port"),
        ("pagerduty", "URL", "PlAnTeDsEcReT"),
        ("pagerduty", "ROUTING_KEI", "PlAnTeDsEcReT"),
        ("webhook", "TYPE", "slak"),
    ] {
        let name = |key: &str| format!("NEURAL_GUARD__CONTACTS__ONCALL__CHANNELS__0__{key}");
        let secret = (name("SECRET"), "PlAnTeDsEcReT".to_owned());
        let channel_type = (name("TYPE"), channel_type.to_owned());
        wrong.push(vec![secret, channel_type, (name(key), value.to_owned())]);
    }
    for environment in &wrong {
        fails_without_a_secret(folder.path(), &["check-config"], environment);
        fails_without_a_secret(folder.path(), &["serve"], environment);
    }
    for (file, text) in [
        (".env", "N8N_WEBHOOK_TOKEN='PlAnTeDsEcReT\n"),
        ("neural-guard.toml", "[auth]\napi_key = PlAnTeDsEcReT\n"),
        ("neural-guard.toml", "[auth]\napi_kee = \"PlAnTeDsEcReT\"\n"),
        (
            "neural-guard.toml",
            "[auth.api_key]\nkey = \"PlAnTeDsEcReT\"\n",
        ),
    ] {
        let path = folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        fails_without_a_secret(folder.path(), &["check-config"], &[]);
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn settings_are_printed_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path());
    let file = folder.path().join("neural-guard.toml");
    let postgres = "postgres://guard:PlAnTeDsEcReT-database@127.0.0.1:1/guard";
    for database in ["sqlite://guard.db", postgres] {
        let mut secrets = planted();
        secrets.insert("database.url", database.to_owned());
        if database != postgres {
            secrets.remove("database.migrate_url");
        }
        let environment = secrets
            .iter()
            .map(|(name, value)| (variable(name), value.clone()));
        let resolved = load(Some(&file), environment).unwrap();
        let settings = Settings::of(&resolved).unwrap();
        let printed = format!("{resolved:?}{settings:?}{settings:#?}");
        assert!(printed.len() > 1000, "{printed}");
        assert_clean("`Debug`", &printed, &[]);
    }
}

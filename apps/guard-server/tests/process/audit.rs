//! The audit trail, proved and forged.

use std::path::Path;
use std::time::{Duration, Instant, UNIX_EPOCH};

use guard_testkit::TestDatabase;
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

use super::server::{API_KEY, Server, event_now, guard_server, run, since_epoch};

/// A place where a server runs again and again on one database.
struct Place {
    folder: tempfile::TempDir,
    url: String,
}

impl Place {
    fn environment(&self) -> [(&str, &str); 4] {
        [
            ("DATABASE_URL", &self.url),
            ("NEURAL_GUARD__AUDIT__CHECKPOINT_INTERVAL", "100ms"),
            ("NEURAL_GUARD__EXECUTOR__ACK_WAIT", "0"),
            ("NEURAL_GUARD__INSTANCE__ID", "one"),
        ]
    }

    fn start(&self) -> Server {
        Server::start(self.folder.path(), &self.environment())
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// A command about the audit trail where the server is.
    fn audit(&self, arguments: &[&str]) -> (i32, String, String) {
        let mut command = guard_server(self.folder.path());
        run(command
            .arg("audit")
            .args(arguments)
            .env("NEURAL_GUARD__DATA_DIR", self.folder.path().join("data"))
            .envs(self.environment()))
    }

    /// What a verification of the database finds.
    #[track_caller]
    fn verify(&self, code: i32) -> String {
        let (found, out, error) = self.audit(&["verify"]);
        assert_eq!(found, code, "{out}\n{error}");
        out
    }

    /// What somebody does who has the database.
    async fn forge(&self, statement: &str) {
        let done = if self.url.starts_with("sqlite") {
            let path = self.path("data/guard.db");
            let mut connection = SqliteConnection::connect(&path).await.unwrap();
            let statement = sqlx::query(AssertSqlSafe(statement));
            let done = statement.execute(&mut connection).await;
            done.unwrap().rows_affected()
        } else {
            let mut connection = PgConnection::connect(&self.url).await.unwrap();
            let statement = sqlx::query(AssertSqlSafe(statement));
            let done = statement.execute(&mut connection).await;
            done.unwrap().rows_affected()
        };
        assert!(done > 0, "{statement}");
    }

    fn checkpoints(&self) -> usize {
        let kept = std::fs::read_to_string(self.path("data/audit-checkpoints.ndjson"));
        kept.unwrap_or_default().lines().count()
    }
}

async fn send(server: &Server, count: usize) {
    for number in 0..count {
        let event = event_now("user_offboarding", &format!(r#"{{"n":{number}}}"#));
        let response = server
            .client
            .post(server.url("/events"))
            .bearer_auth(API_KEY)
            .header("content-type", "application/json")
            .body(event);
        assert_eq!(response.send().await.unwrap().status(), 200);
    }
}

/// Waits for a checkpoint that is written after now.
async fn signed(place: &Place, before: usize) {
    let begun = Instant::now();
    while place.checkpoints() <= before {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "nothing is signed"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_trail_is_proved(url: String) {
    let folder = tempfile::tempdir().unwrap();
    let place = Place { folder, url };
    let server = place.start();
    send(&server, 5).await;
    signed(&place, 0).await;
    place.verify(0);
    // Of what came after the last checkpoint a power cut leaves as much as was committed.
    send(&server, 3).await;
    server.kill();
    place.verify(0);
    let before = place.checkpoints();
    let server = place.start();
    send(&server, 3).await;
    signed(&place, before).await;
    server.signal("TERM");
    assert_eq!(server.ended().await, Some(0));
    let out = place.verify(0);
    assert!(out.starts_with("0 findings: "), "{out}");
    assert!(out.contains(", 0 links came after it"), "{out}");

    an_auditor_verifies(&place);
    what_is_put_beside_the_links_shows(&place).await;

    place
        .forge("UPDATE audit_log SET message = 'nothing happened' WHERE position = 0 AND link = 2 AND action = 'decision'")
        .await;
    let out = place.verify(1);
    assert!(out.contains("changed_record chain "), "{out}");
    assert!(out.contains(" link 2 position 0 record "), "{out}");
    place
        .forge("DELETE FROM audit_checkpoints WHERE number = (SELECT max(number) FROM audit_checkpoints)")
        .await;
    let out = place.verify(1);
    assert!(out.contains("removed_checkpoint checkpoint "), "{out}");
    place.forge("DELETE FROM audit_links WHERE link = 3").await;
    let out = place.verify(1);
    assert!(out.contains("removed_link chain "), "{out}");
    place
        .forge("UPDATE audit_checkpoints SET signature = 'AAAA' WHERE number = 1")
        .await;
    let out = place.verify(1);
    assert!(out.contains("signature checkpoint 1: "), "{out}");
}

/// A record that no link leads to, because it says of itself that it lies between others: of a link that is there, and of none.
async fn what_is_put_beside_the_links_shows(place: &Place) {
    let later = UNIX_EPOCH + since_epoch() + Duration::from_secs(3600);
    let later = guard_domain::id::v7_floor(later.into());
    let (id, nobody) = match place.url.starts_with("sqlite") {
        true => (
            format!("x'{}'", later.simple()),
            format!("x'{}'", "00".repeat(16)),
        ),
        false => (
            format!("'{later}'::uuid"),
            format!("'{}'::uuid", "0".repeat(32)),
        ),
    };
    for chain in ["chain", &nobody] {
        let put = format!(
            "INSERT INTO audit_log (tenant, audit_id, chain, link, position, action, actor, message, executed_at, hash, inside)
             SELECT tenant, {id}, {chain}, link, 1, action, actor, 'forged', executed_at, hash, true
             FROM audit_log WHERE link = 2 AND position = 0 AND action = 'decision' LIMIT 1"
        );
        place.forge(&put).await;
        let out = place.verify(1);
        assert!(out.contains(" link 2"), "{out}");
        place
            .forge("DELETE FROM audit_log WHERE message = 'forged'")
            .await;
        place.verify(0);
    }
}

/// Has an export, the public key and the checkpoints, and nothing else.
fn an_auditor_verifies(place: &Place) {
    let (code, key, _) = place.audit(&["key"]);
    assert_eq!(code, 0);
    std::fs::write(place.path("key.pem"), &key).unwrap();
    let base64 = key
        .lines()
        .find_map(|line| line.strip_prefix("base64 "))
        .unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let verify = |arguments: &[&str]| {
        let mut command = guard_server(elsewhere.path());
        run(command.args(["audit", "verify"]).args(arguments))
    };
    for arguments in [
        &["export"][..],
        &["export", "--tenant", "default"],
        &["export", "--tenant", "other"],
    ] {
        let file = place.path("export.ndjson");
        let (code, _, error) = place.audit(&[arguments, &["--out", &file]].concat());
        assert_eq!(code, 0, "{error}");
        for key in [base64, &place.path("key.pem")] {
            let kept = place.path("data/audit-checkpoints.ndjson");
            let (code, out, error) = verify(&[&file, "--public-key", key, "--checkpoints", &kept]);
            assert_eq!(code, 0, "{out}{error}");
            assert_eq!(
                out.contains(" 0 records"),
                arguments.ends_with(&["other"]),
                "{out}"
            );
        }
        let text = std::fs::read_to_string(&file).unwrap();
        let forged = text.replacen("\"hash\":\"", "\"hash\":\"0", 1);
        let (forged, _) = forged.split_at(forged.len() - 1);
        std::fs::write(&file, forged).unwrap();
        let (code, out, _) = verify(&[&file, "--public-key", base64]);
        assert_eq!(code, 1, "{out}");
        // Whose signatures count has to be said.
        let (code, _, error) = verify(&[&file]);
        assert_eq!(code, 2, "{error}");
    }
    let (code, out, _) = place.audit(&[
        "export",
        "--format",
        "ocsf",
        "--since",
        "2020-01-01T00:00:00Z",
    ]);
    assert_eq!(code, 0);
    let event: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
    assert_eq!(event["class_uid"], 6003);
    let before = [
        "export",
        "--format",
        "ocsf",
        "--until",
        "2020-01-01T00:00:00Z",
    ];
    let (code, out, _) = place.audit(&before);
    assert_eq!((code, out.as_str()), (0, ""));
    for bound in ["--since", "--until"] {
        let (code, _, error) = place.audit(&["export", bound, "2020-01-01T00:00:00Z"]);
        assert_eq!(code, 2, "a part cannot be verified: {error}");
    }
}

#[tokio::test]
async fn a_trail_is_proved_on_sqlite() {
    a_trail_is_proved("sqlite://guard.db".to_owned()).await;
}

#[tokio::test]
async fn a_trail_is_proved_on_postgres() {
    let database = TestDatabase::create().await;
    a_trail_is_proved(database.url()).await;
}

#[test]
fn the_key_is_made_once_for_nobody_else_to_read() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let key = || run(guard_server(folder.path()).args(["audit", "key"]));
    let (code, first, _) = key();
    assert_eq!(code, 0);
    let made = folder.path().join("data/audit-signing-key.pem");
    let mode = std::fs::metadata(&made).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(key().1, first);
    assert_eq!(
        std::fs::read_dir(folder.path().join("data"))
            .unwrap()
            .count(),
        1
    );
    // One that was named is not made.
    let named = [("NEURAL_GUARD__AUDIT__SIGNING_KEY", "key.pem")];
    let mut command = guard_server(folder.path());
    let (code, _, error) = run(command.args(["audit", "key"]).envs(named));
    assert_eq!((code, error.contains("`key.pem`")), (1, true), "{error}");
    assert!(!Path::new("key.pem").exists());
}

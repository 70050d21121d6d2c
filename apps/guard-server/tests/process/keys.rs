//! Looking after keys from the command line, while a server works on the same database.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use guard_testkit::TestDatabase;
use reqwest::StatusCode;

use super::server::{Server, guard_server, run};

async fn status(server: &Server, key: &str) -> StatusCode {
    let request = server.client.get(server.url("/v1/rules")).bearer_auth(key);
    request.send().await.unwrap().status()
}

/// Makes, uses and revokes a key; `environment` names the database.
async fn a_key_lives(folder: &std::path::Path, environment: &[(&str, &str)]) {
    let server = Server::start(folder, environment);
    let guard = |arguments: &[&str]| {
        let mut command = guard_server(folder);
        command
            .env("NEURAL_GUARD__DATA_DIR", folder.join("data"))
            .envs(environment.iter().copied())
            .args(arguments);
        command
    };
    let create = [
        "keys",
        "create",
        "--label",
        "a dashboard",
        "--expires",
        "90d",
    ];
    let scopes = ["--scope", "rules:read", "--scope", "audit:read"];
    let (code, out, error) = run(&mut guard(&[&create[..], &scopes].concat()));
    assert_eq!(code, 0, "{error}");
    let key = out.trim();
    let id = key.split('_').nth(1).unwrap();
    assert_eq!(status(&server, key).await, 200);

    let (_, out, _) = run(&mut guard(&["keys", "list"]));
    let line = out.lines().find(|line| line.starts_with(id)).unwrap();
    assert!(
        line.contains("valid") && line.ends_with("rules:read audit:read           a dashboard"),
        "{line}"
    );
    assert!(!out.contains(key), "{out}");

    let (code, _, error) = run(&mut guard(&["keys", "revoke", id]));
    assert_eq!(code, 0, "{error}");
    let revoked = Instant::now();
    while status(&server, key).await != 401 {
        assert!(revoked.elapsed() < Duration::from_secs(5), "still accepted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let trail = server.get("/v1/audit").await;
    let acts: Vec<_> = trail["items"].as_array().unwrap().iter().collect();
    let act = |number: usize| {
        (
            acts[number]["action"].clone(),
            acts[number]["actor"].clone(),
        )
    };
    assert_eq!(act(0), ("key_revoked".into(), "system:command-line".into()));
    assert_eq!(act(1), ("key_created".into(), "system:command-line".into()));
}

#[tokio::test]
async fn a_key_is_made_and_revoked_beside_a_server_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    a_key_lives(folder.path(), &[]).await;
}

#[tokio::test]
async fn a_key_is_made_and_revoked_beside_a_server_on_postgres() {
    let (folder, database) = (tempfile::tempdir().unwrap(), TestDatabase::create().await);
    a_key_lives(folder.path(), &[("DATABASE_URL", &database.url())]).await;
}

#[tokio::test]
async fn a_secret_of_ones_own_comes_from_standard_input() {
    let folder = tempfile::tempdir().unwrap();
    let create = |secret: &str| {
        let mut command = guard_server(folder.path());
        let arguments = [
            "keys",
            "create",
            "--label",
            "x",
            "--scope",
            "rules:read",
            "--secret-stdin",
        ];
        let mut child = command
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(secret.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, out, error) = create("correct-horse_battery\n");
    assert_eq!(code, Some(0), "{error}");
    let key = out.trim();
    assert!(
        key.starts_with("ng_") && key.ends_with("_correct-horse_battery"),
        "{out}"
    );
    let (code, _, error) = create("short\n");
    assert_eq!(
        (code, error.contains("has 5 characters")),
        (Some(1), true),
        "{error}"
    );
    let server = Server::start(folder.path(), &[]);
    assert_eq!(status(&server, key).await, 200);
    assert_eq!(status(&server, &format!("{key}x")).await, 401);
}

#[test]
fn wrong_orders_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let guard = |arguments: &[&str]| run(guard_server(folder.path()).arg("keys").args(arguments));
    let (code, _, error) = guard(&["create", "--label", "x", "--scope", "event:write"]);
    assert_eq!(
        (code, error.contains("did you mean `events:write`?")),
        (1, true),
        "{error}"
    );
    let (code, _, error) = guard(&["create", "--label", "x"]);
    assert_eq!((code, error.contains("--scope")), (2, true), "{error}");
    let (code, _, error) = guard(&["revoke", "0123"]);
    assert_eq!(
        (code, error.contains("no key of this id")),
        (1, true),
        "{error}"
    );
}

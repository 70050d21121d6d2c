//! Escalations reach people, whatever is killed.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use super::receiver::{Receiver, SECRET};
use super::server::{API_KEY, Server, event_now, guard_server, run};

const RULES: &str = "rules:
  - { id: page, event_type: health_check_failed, action: { escalate: { to: night-shift, message: '{{ context.n }}' } } }
";

fn write_files(folder: &Path, url: &str) {
    let config = format!(
        "[rules]\npath = \"rules.yaml\"\n[escalation]\nrepeat_after = \"0\"\n\
         [[contacts.night-shift.channels]]\ntype = \"webhook\"\nurl = \"{url}\"\n"
    );
    std::fs::write(folder.join("neural-guard.toml"), config).unwrap();
    std::fs::write(folder.join("rules.yaml"), RULES).unwrap();
}

/// The secret, which is in no file.
const ENVIRONMENT: (&str, &str) = (
    "NEURAL_GUARD__CONTACTS__NIGHT_SHIFT__CHANNELS__0__SECRET",
    SECRET,
);

async fn page(server: &Server, n: usize) {
    let body = event_now("health_check_failed", &format!(r#"{{"n":"{n}"}}"#));
    let request = server
        .client
        .post(server.url("/events"))
        .bearer_auth(API_KEY);
    let request = request.header("content-type", "application/json");
    let answer = request.body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// Waits until every notification is sent; gives them, the newest escalation's first.
async fn all_sent(server: &Server) -> Vec<Value> {
    for _ in 0..600 {
        let escalations = server.all("/v1/escalations").await;
        let all: Vec<Value> = escalations
            .iter()
            .map(|escalation| escalation["notifications"][0].clone())
            .collect();
        if all.iter().all(|one| one["state"] == "sent") {
            return all;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?}", server.all("/v1/escalations").await)
}

fn texts(receiver: &Receiver) -> Vec<String> {
    let messages = receiver.messages().into_iter();
    let mut texts: Vec<_> = messages
        .map(|(_, body)| body["data"]["message"].as_str().unwrap().to_owned())
        .collect();
    texts.sort();
    texts
}

#[tokio::test]
async fn an_escalation_is_sent_once_its_receiver_and_the_server_are_back() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    write_files(folder.path(), &receiver.url());
    let address = receiver.address;
    drop(receiver);
    let server = Server::start(folder.path(), &[ENVIRONMENT]);
    for n in 0..5 {
        page(&server, n).await;
    }
    // Some were tried in vain when the power goes, some were not tried yet.
    tokio::time::sleep(Duration::from_millis(700)).await;
    page(&server, 5).await;
    server.kill();
    let server = Server::start(folder.path(), &[ENVIRONMENT]);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let receiver = Receiver::start_at(address).await;
    let all = all_sent(&server).await;
    assert!(all.iter().any(|one| one["attempts"].as_u64() > Some(1)));
    assert_eq!(texts(&receiver), ["0", "1", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn what_was_being_sent_when_the_power_went_is_sent_again_under_the_same_id() {
    let folder = tempfile::tempdir().unwrap();
    let held = Receiver::start().await;
    held.hold();
    write_files(folder.path(), &held.url());
    let server = Server::start(folder.path(), &[ENVIRONMENT]);
    page(&server, 0).await;
    for _ in 0..100 {
        if held.count() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.kill();
    let (id, _) = held.messages().remove(0);
    let address = held.address;
    drop(held);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let receiver = Receiver::start_at(address).await;
    let server = Server::start(folder.path(), &[ENVIRONMENT]);
    let all = all_sent(&server).await;
    assert_eq!(all[0]["attempts"], 2, "taken over when the lease ended");
    let messages = receiver.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].0, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_channels_of_a_contact_are_tried_from_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start().await;
    write_files(folder.path(), &receiver.url());
    let test = |name: &str| {
        let mut command = guard_server(folder.path());
        command.env(ENVIRONMENT.0, ENVIRONMENT.1);
        run(command.args(["contacts", "test", name]))
    };
    let (code, out, error) = test("night-shift");
    assert_eq!(code, 0, "{out}{error}");
    assert_eq!(out, "webhook (webhook): sent: the webhook answered 200\n");
    let messages = receiver.messages();
    assert_eq!(messages.len(), 1);
    let data = &messages[0].1["data"];
    assert_eq!(
        (&data["reason"], &data["severity"]),
        (&"test".into(), &"low".into())
    );
    assert!(
        !folder.path().join("data").exists(),
        "nothing is made by trying"
    );
    receiver.answer([403]);
    let (code, out, _) = test("night-shift");
    assert_eq!(code, 1);
    let refused =
        "webhook (webhook): failed: the webhook answered 403: the receiver refuses the signature";
    assert!(out.starts_with(refused), "{out}");
    let (code, _, error) = test("nightshift");
    assert_eq!(code, 1);
    let known = "there is no contact `nightshift`, the known ones are default, night-shift; did you mean `night-shift`?";
    assert!(error.contains(known), "{error}");
    let (code, _, error) = test("default");
    assert_eq!(code, 1);
    assert!(error.contains("`[[contacts.default.channels]]`"), "{error}");
    let (code, out, _) = run(guard_server(folder.path()).args(["contacts", "test", "--help"]));
    assert_eq!(code, 0);
    assert!(out.contains("Usage: guard-server contacts test"), "{out}");
}

#[test]
fn a_rule_may_name_a_contact_that_has_a_table_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    write_files(folder.path(), "http://127.0.0.1:9/hook");
    let check = || {
        let mut command = guard_server(folder.path());
        command.env(ENVIRONMENT.0, ENVIRONMENT.1);
        run(command.args(["rules", "check"]))
    };
    let (code, out, error) = check();
    assert_eq!(code, 0, "{out}{error}");
    let rules = RULES.replace("night-shift", "nightshift");
    std::fs::write(folder.path().join("rules.yaml"), rules).unwrap();
    let (code, _, error) = check();
    assert_eq!(code, 1);
    assert!(
        error.contains("`nightshift`") && error.contains("default, night-shift"),
        "{error}"
    );
}

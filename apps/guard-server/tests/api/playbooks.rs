//! Undoing and rehearsing.

use chrono::TimeDelta;
use guard_app::ports::RunStatus;
use secrecy::ExposeSecret;

use super::harness::{ADMIN_KEY, API_KEY, Answer, TestApp};

const RULES: &str = "
rules:
  - id: lockdown
    event_type: security_threat
    min_severity: high
    cooldown_minutes: 10
    cooldown_by: [context.ip]
    action:
      trigger_playbook:
        name: intrusion-lockdown
        params: { ip: '{{ context.ip }}' }
        rollback: intrusion-unlock
  - id: recover
    event_type: backup_failed
    action: { trigger_playbook: { name: backup-recovery } }
";

async fn start() -> TestApp {
    TestApp::with(RULES, &[("executor.ack_wait", "5s")]).await
}

impl TestApp {
    /// An execution of a playbook that did its work; gives its id.
    async fn succeed(&self, event_type: &str, context: &str) -> String {
        let answer = self.event(event_type, "high", context).await.is(200);
        let id = answer.text("execution_id");
        self.report(&id, "succeeded").await;
        id
    }

    /// Lets the workflow of the newest delivery report.
    async fn report(&self, id: &str, status: &str) {
        let deliveries = self.playbooks.deliveries();
        let delivery = deliveries
            .iter()
            .find(|delivery| delivery.execution_id.to_string() == id)
            .unwrap();
        let token = delivery.callback_token.expose_secret();
        let body = format!(r#"{{"status":"{status}","data":{{"ip":"203.0.113.5"}}}}"#);
        let path = format!("/v1/executions/{id}/result");
        self.post(&path, token, body).await.is(200);
    }

    async fn undo(&self, id: &str) -> Answer {
        let path = format!("/v1/executions/{id}/undo");
        self.post(&path, ADMIN_KEY, "").await
    }

    async fn rehearse(&self, playbook: &str, body: &'static str) -> Answer {
        let path = format!("/v1/playbooks/{playbook}/rehearse");
        self.post(&path, ADMIN_KEY, body).await
    }
}

#[tokio::test]
async fn a_lockdown_is_undone_by_its_rollback_playbook() {
    let app = start().await;
    let id = app
        .succeed("security_threat", r#"{"ip":"203.0.113.5"}"#)
        .await;
    let undoing = app.undo(&id).await.is(200);
    assert_eq!(undoing.text("playbook"), "intrusion-unlock");
    assert_eq!(undoing.text("rollback_of"), id);
    let undoing = undoing.text("id");
    app.undo(&id).await.problem(409, "conflict", &undoing);
    app.wait_for_state(&undoing, "acknowledged").await;
    let delivery = app.playbooks.deliveries().pop().unwrap();
    assert_eq!(delivery.params, r#"{"ip":"203.0.113.5"}"#);
    let undoes = delivery.undoes.unwrap();
    assert_eq!(undoes.execution_id.to_string(), id);
    assert_eq!(undoes.data.as_deref(), Some(r#"{"ip":"203.0.113.5"}"#));
    assert_eq!(app.state(&id).await, "succeeded");
    app.report(&undoing, "succeeded").await;
    assert_eq!(app.state(&id).await, "rolled_back");
    app.undo(&id)
        .await
        .problem(409, "conflict", "`rolled_back` cannot be undone");
    app.undo(&undoing)
        .await
        .problem(409, "conflict", "undoes another one");
}

#[tokio::test]
async fn what_cannot_be_undone_is_told_and_why() {
    let app = start().await;
    let id = app.succeed("backup_failed", "{}").await;
    app.undo(&id).await.problem(
        409,
        "conflict",
        "version 1 of the rule `recover` names no `rollback`",
    );
    let running = app
        .event("security_threat", "high", r#"{"ip":"203.0.113.6"}"#)
        .await
        .is(200)
        .text("execution_id");
    app.undo(&running)
        .await
        .problem(409, "conflict", "`acknowledged` cannot be undone");
    app.undo("019a0000-0000-7000-8000-000000000001")
        .await
        .problem(404, "not-found", "no such execution");
    let path = format!("/v1/executions/{id}/undo");
    app.post(&path, API_KEY, "")
        .await
        .problem(403, "forbidden", "executions:write");
}

#[tokio::test]
async fn an_undoing_goes_by_the_version_that_ordered_it() {
    let app = start().await;
    let id = app
        .succeed("security_threat", r#"{"ip":"203.0.113.5"}"#)
        .await;
    let without = RULES.replace("        rollback: intrusion-unlock\n", "");
    guard_testkit::publish_rules(
        app.guard.store.as_ref(),
        &guard_domain::TenantId::default_tenant(),
        &without,
        guard_app::ports::PublishMode::Differs,
    )
    .await;
    assert_eq!(
        app.undo(&id).await.is(200).text("playbook"),
        "intrusion-unlock"
    );
}

#[tokio::test]
async fn a_rehearsal_calls_the_workflow_with_dry_run_and_changes_nothing() {
    let app = start().await;
    let body = r#"{"event":{"event_type":"security_threat","severity":"high","source":"s",
        "timestamp":"2026-11-20T03:00:00","context":{"ip":"203.0.113.5"}}}"#;
    let rehearsal = app.rehearse("intrusion-lockdown", body).await.is(200);
    assert_eq!(rehearsal.body["dry_run"], true);
    assert_eq!(rehearsal.text("rule_id"), "lockdown");
    let id = rehearsal.text("id");
    app.wait_for_state(&id, "acknowledged").await;
    let delivery = app.playbooks.deliveries().pop().unwrap();
    assert!(delivery.dry_run);
    assert_eq!(delivery.params, r#"{"ip":"203.0.113.5"}"#);
    let event = rehearsal.text("event_id");
    let event = app.get(&format!("/v1/events/{event}")).await.is(200);
    assert_eq!(event.body["decision"]["decision"], "dry_run");
    let message = event.body["decision"]["message"].as_str().unwrap();
    assert!(message.contains("ordered by"), "{message}");
    let real = app
        .event("security_threat", "high", r#"{"ip":"203.0.113.5"}"#)
        .await
        .is(200);
    assert_eq!(real.text("decision"), "playbook_triggered");
    app.report(&id, "succeeded").await;
    app.undo(&id)
        .await
        .problem(409, "conflict", "a rehearsal: there is nothing to undo");
}

/// The metrics are those of the process, which may run other tests: a playbook of its own.
#[tokio::test]
async fn results_are_counted_and_rehearsals_are_not() {
    let app = TestApp::with(&RULES.replace("backup-recovery", "counted"), &[]).await;
    let rehearsal = app.rehearse("counted", "").await.is(200).text("id");
    app.wait_for_state(&rehearsal, "acknowledged").await;
    app.report(&rehearsal, "succeeded").await;
    let counted = async |line: &str| app.get("/metrics").await.is(200).text.contains(line);
    let ended = r#"neural_guard_executions_ended_total{playbook="counted",state="succeeded"} 1"#;
    assert!(!counted(r#"_ended_total{playbook="counted""#).await);
    let real = app.event("backup_failed", "high", "{}").await.is(200);
    let real = real.text("execution_id");
    app.wait_for_state(&real, "acknowledged").await;
    app.report(&real, "succeeded").await;
    assert!(counted(ended).await);
    assert!(
        counted(r#"neural_guard_execution_duration_seconds_count{playbook="counted"} 1"#).await
    );
    assert!(counted(r#"neural_guard_resolution_time_seconds_count{playbook="counted"} 1"#).await);
}

#[tokio::test]
async fn a_rehearsal_needs_no_body_and_may_have_params_of_its_own() {
    let app = start().await;
    let plain = app.rehearse("backup-recovery", "").await.is(200);
    assert_eq!(plain.text("rule_id"), "recover");
    let rollback = app
        .rehearse("intrusion-unlock", r#"{"params":{"ip":"203.0.113.9"}}"#)
        .await
        .is(200);
    assert_eq!(rollback.text("rule_id"), "lockdown");
    let deliveries = app.playbooks.wait_for(2).await;
    let params: Vec<_> = deliveries
        .iter()
        .map(|delivery| delivery.params.as_str())
        .collect();
    assert!(params.contains(&"{}") && params.contains(&r#"{"ip":"203.0.113.9"}"#));
}

#[tokio::test]
async fn what_cannot_be_rehearsed_is_told_and_why() {
    let app = start().await;
    app.rehearse("intrusion-lockdwn", "").await.problem(
        404,
        "not-found",
        "did you mean `intrusion-lockdown`?",
    );
    app.rehearse("intrusion-lockdown", "")
        .await
        .problem(422, "validation", "cannot be filled in");
    app.rehearse("intrusion-lockdown", r#"{"rule_id":"recover"}"#)
        .await
        .problem(404, "not-found", "these do: lockdown");
    app.rehearse("backup-recovery", r#"{"params":[1]}"#)
        .await
        .problem(422, "validation", "JSON object");
    app.rehearse("backup-recovery", r#"{"params":{"neural_guard":1}}"#)
        .await
        .problem(422, "validation", "reserved");
    app.rehearse("backup-recovery", r#"{"event":{"severity":"high"}}"#)
        .await
        .problem(422, "validation", "/event");
    app.rehearse("backup-recovery", r#"{"parms":{}}"#)
        .await
        .problem(422, "validation", "parms");
    app.rehearse("backup-recovery", "{")
        .await
        .problem(400, "malformed-json", "malformed");
    let path = "/v1/playbooks/backup-recovery/rehearse";
    app.post(path, API_KEY, "")
        .await
        .problem(403, "forbidden", "executions:write");
    assert_eq!(app.playbooks.deliveries().len(), 0);
    assert_eq!(
        app.get("/v1/executions").await.body["items"],
        serde_json::json!([])
    );
}

#[tokio::test]
async fn a_playbook_that_is_missing_is_shown_and_comes_back() {
    // The metrics are those of the process, which may run other tests.
    let rules = RULES.replace("intrusion-unlock", "missed");
    let app = TestApp::with(&rules, &[("executor.ack_wait", "5s")]).await;
    let status = async |name: &str| {
        app.guard.health.probe_once().await;
        let health = app.get("/health").await.is(200);
        let playbooks = health.body["playbooks"].as_array().unwrap().clone();
        let found = playbooks
            .iter()
            .find(|known| known["name"] == name)
            .cloned();
        (health.text("status"), found.unwrap())
    };
    let (whole, found) = status("missed").await;
    assert_eq!(
        (whole.as_str(), &found["status"]),
        ("ok", &"present".into())
    );
    assert_eq!(found["token"], "unknown");
    app.playbooks.set_missing("missed", true);
    let (whole, found) = status("missed").await;
    assert_eq!(
        (whole.as_str(), &found["status"]),
        ("degraded", &"missing".into())
    );
    let metric =
        |present: &str| format!(r#"neural_guard_playbook_present{{playbook="missed"}} {present}"#);
    let metrics = app.get("/metrics").await.text;
    assert!(metrics.contains(&metric("0")), "{metrics}");
    app.playbooks.set_missing("missed", false);
    assert_eq!(status("missed").await.1["status"], "present");
    app.succeed("security_threat", r#"{"ip":"203.0.113.5"}"#)
        .await;
    assert_eq!(status("intrusion-lockdown").await.1["token"], "accepted");
}

#[tokio::test]
async fn rules_that_are_loaded_are_probed_at_once() {
    let app = TestApp::with(RULES, &[("n8n.probe_interval", "1h")]).await;
    let named = async |name: &str| {
        let health = app.get("/health").await.is(200);
        let playbooks = health.body["playbooks"].as_array().unwrap().clone();
        playbooks.iter().any(|known| known["name"] == name)
    };
    let more = format!(
        "{RULES}  - id: new\n    event_type: anomaly_detected\n    action: {{ trigger_playbook: {{ name: newcomer }} }}\n"
    );
    let tenant = guard_domain::TenantId::default_tenant();
    let mode = guard_app::ports::PublishMode::Differs;
    guard_testkit::publish_rules(app.guard.store.as_ref(), &tenant, &more, mode).await;
    app.guard.rules.book.refresh(&tenant).await.unwrap();
    for _ in 0..200 {
        if named("newcomer").await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("nobody asked about the new playbook");
}

#[tokio::test]
async fn a_playbook_has_its_own_time_to_report() {
    let settings = [
        ("executor.ack_wait", "5s"),
        ("playbooks.confirm_within", "backup-recovery:2h"),
    ];
    let app = TestApp::with(RULES, &settings).await;
    let trigger = async |event_type, context| {
        let answer = app.event(event_type, "high", context).await.is(200);
        answer.text("execution_id")
    };
    let slow = trigger("backup_failed", "{}").await;
    let quick = trigger("security_threat", r#"{"ip":"203.0.113.5"}"#).await;
    app.clock.advance(TimeDelta::minutes(15));
    app.wait_for_state(&quick, "unconfirmed").await;
    assert_eq!(app.state(&slow).await, "acknowledged");
}

#[tokio::test]
async fn n8n_is_asked_about_what_nobody_reported() {
    let settings = [
        ("executor.ack_wait", "5s"),
        ("n8n.reconcile_interval", "20ms"),
    ];
    let app = TestApp::with(RULES, &settings).await;
    let mut ids = Vec::new();
    for (ip, run, status) in [
        ("203.0.113.5", "run-5", RunStatus::Succeeded),
        (
            "203.0.113.6",
            "run-6",
            RunStatus::Failed("crashed".to_owned()),
        ),
        (
            "203.0.113.7",
            "run-7",
            RunStatus::Unknown("n8n answered 404".to_owned()),
        ),
    ] {
        let context = format!(r#"{{"ip":"{ip}"}}"#);
        let answer = app.event("security_threat", "high", &context).await;
        let id = answer.is(200).text("execution_id");
        let token = app.playbooks.deliveries().pop().unwrap().callback_token;
        let body = format!(r#"{{"n8n_execution_id":"{run}"}}"#);
        let path = format!("/v1/executions/{id}/start");
        app.post(&path, token.expose_secret(), body).await.is(200);
        app.playbooks.set_run_status(run, status);
        ids.push(id);
    }
    app.clock.advance(TimeDelta::minutes(15));
    app.wait_for_state(&ids[0], "succeeded").await;
    app.wait_for_state(&ids[1], "failed").await;
    assert_eq!(app.state(&ids[2]).await, "unconfirmed");
    let found = app.get(&format!("/v1/executions/{}", ids[1])).await;
    let message = found.text("message");
    assert!(
        message.contains("run-6") && message.contains("`crashed`"),
        "{message}"
    );
    let escalations = app.get("/v1/escalations").await.is(200);
    assert_eq!(escalations.body["items"].as_array().unwrap().len(), 3);
}

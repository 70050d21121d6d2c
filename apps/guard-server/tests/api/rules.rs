//! Reading rules, and trying them.

use guard_app::ports::{Actor, PublishMode};
use guard_testkit::event_body;

use super::harness::{ADMIN_KEY, API_KEY, TestApp};

#[tokio::test]
async fn live_rules_are_read_with_version_and_revision() {
    let app = TestApp::start().await;
    let list = app.get("/v1/rules?limit=3").await.is(200);
    assert_eq!(list.body["revision"], 1);
    let ids: Vec<_> = list.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["recover", "page", "note"]);
    assert_eq!(list.text("next_cursor"), "note");
    let rest = app.get("/v1/rules?limit=3&cursor=note").await.is(200);
    assert_eq!(rest.body["items"][0]["id"], "quiet");
    assert!(rest.body["next_cursor"].is_null());
    let one = app.get("/v1/rules/quiet").await.is(200);
    insta::assert_json_snapshot!(one.body, @r#"
    {
      "id": "quiet",
      "revision": 1,
      "rule": {
        "action": "ignore",
        "event_type": "user_offboarding",
        "id": "quiet"
      },
      "version": 1
    }
    "#);
    app.get("/v1/rules/nope")
        .await
        .problem(404, "not-found", "no live rule");
}

#[tokio::test]
async fn an_evaluation_explains_itself_and_writes_nothing() {
    let app = TestApp::start().await;
    let event = event_body("backup_failed", "high", r#"{"file":"a","n":1}"#);
    let answer = app
        .post("/v1/evaluate", ADMIN_KEY, format!(r#"{{"event":{event}}}"#))
        .await
        .is(200);
    assert_eq!(answer.text("decision"), "playbook_triggered");
    assert_eq!(answer.body["matches"], serde_json::json!(["recover"]));
    assert_eq!(answer.body["explanation"].as_array().unwrap().len(), 4);
    assert!(answer.body["explanation"][0]["skipped_because"].is_null());
    let events = app.get("/v1/events").await.is(200);
    assert_eq!(events.body["items"].as_array().unwrap().len(), 0);
    assert_eq!(app.playbooks.deliveries().len(), 0);

    let rules = r#"[{"id":"x","event_type":"*","action":"ignore","conditions":[{"field":"context.n","op":"gt","value":1}]}]"#;
    let body = format!(r#"{{"event":{event},"rules":{rules}}}"#);
    let answer = app.post("/v1/evaluate", ADMIN_KEY, body).await.is(200);
    insta::assert_json_snapshot!(answer.body, @r#"
    {
      "decision": "no_action",
      "explanation": [
        {
          "conditions": [
            {
              "found": 1,
              "holds": false,
              "pointer": "/conditions/0",
              "test": "context.n gt 1"
            }
          ],
          "matched": false,
          "rule_id": "x",
          "skipped_because": "its conditions do not hold"
        }
      ],
      "findings": [],
      "matches": [],
      "message": "No rule matched",
      "rule_id": null
    }
    "#);
}

#[tokio::test]
async fn an_evaluation_says_what_rules_cannot_do() {
    let app = TestApp::start().await;
    let event = event_body("backup_failed", "high", "{}");
    let rules = r#"[{"id":"x","event_type":"*","action":"ignore"},{"id":"y","event_type":"*","action":"ignore"}]"#;
    let body = format!(r#"{{"event":{event},"rules":{rules}}}"#);
    let answer = app.post("/v1/evaluate", ADMIN_KEY, body).await.is(200);
    insta::assert_json_snapshot!(answer.body["findings"], @r#"
    [
      {
        "detail": "it never decides: rule `x`, which comes first, takes all of its events",
        "kind": "shadowed",
        "level": "error",
        "pointer": "",
        "rule_id": "y"
      }
    ]
    "#);
    let body = format!(r#"{{"event":{event}}}"#);
    let answer = app.post("/v1/evaluate", ADMIN_KEY, body).await.is(200);
    assert!(answer.body.get("findings").is_none(), "{}", answer.body);
}

#[tokio::test]
async fn wrong_evaluations_are_told() {
    let app = TestApp::start().await;
    let event = event_body("backup_failed", "high", "{}");
    let post = |body: String| app.post("/v1/evaluate", ADMIN_KEY, body);
    post(format!(r#"{{"event":{event},"rules":[{{"id":"x"}}]}}"#))
        .await
        .problem(422, "validation", "key `action` is required");
    post(format!(r#"{{"event":{event},"rules":[{{"id":"x","event_type":"backup_faild","action":"ignore"}}]}}"#))
        .await
        .problem(422, "validation", "did you mean `backup_failed`?");
    post(r#"{"event":{"severity":"high"}}"#.to_owned())
        .await
        .problem(422, "validation", "/event/event_type");
    post("{}".to_owned())
        .await
        .problem(422, "validation", "missing field `event`");
    let may_not = app
        .post("/v1/evaluate", API_KEY, format!(r#"{{"event":{event}}}"#))
        .await;
    may_not.problem(403, "forbidden", "rules:read");
}

#[tokio::test]
async fn new_rules_go_live_whole_or_not_at_all() {
    let app = TestApp::start().await;
    let path = app.settings.rules_path.clone().unwrap();
    let actor = Actor::system("test");
    let reload = || {
        app.guard
            .load_rules(&app.settings, PublishMode::Differs, &actor)
    };
    for (wrong, words) in [
        (
            "rules: [{ id: a, event_type: backup_faild, action: ignore }]",
            "unknown event type",
        ),
        (
            "rules: [{ id: a, event_type: '*', action: { escalate: { to: oncall } } }]",
            "unknown contact `oncall`",
        ),
        (
            "rules: [{ id: a, event_type: '*', grace: 5m, action: ignore }]",
            "`grace` is not enforced by this server yet",
        ),
        ("rules: [{ id: a }]", "key `action` is required"),
    ] {
        std::fs::write(&path, wrong).unwrap();
        let error = reload().await.unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(
            app.event("user_offboarding", "low", "{}")
                .await
                .text("decision"),
            "ignored"
        );
    }
    std::fs::write(
        &path,
        "rules: [{ id: loud, event_type: '*', action: { log: { level: warn } } }]",
    )
    .unwrap();
    reload().await.unwrap();
    assert_eq!(
        app.event("user_offboarding", "low", "{}")
            .await
            .text("decision"),
        "logged"
    );
    assert_eq!(app.get("/v1/rules").await.is(200).body["revision"], 2);
}

#[tokio::test]
async fn a_rule_with_a_window_acts_from_its_count_on() {
    let app = TestApp::start().await;
    let rule = r#"{"id":"third","event_type":"*","window":{"count":3,"within":"10m","by":["context.ip_address"]},"action":"ignore"}"#;
    let path = app.settings.rules_path.clone().unwrap();
    std::fs::write(&path, format!("rules: [{rule}]")).unwrap();
    let actor = Actor::system("test");
    let loaded = app
        .guard
        .load_rules(&app.settings, PublishMode::Differs, &actor);
    loaded.await.unwrap();
    for (address, decision) in [
        ("203.0.113.1", "no_action"),
        ("203.0.113.1", "no_action"),
        ("203.0.113.2", "no_action"),
        ("203.0.113.1", "ignored"),
        ("203.0.113.1", "ignored"),
    ] {
        let context = format!(r#"{{"ip_address":"{address}"}}"#);
        let answer = app.event("security_threat", "high", &context).await.is(200);
        assert_eq!(answer.text("decision"), decision, "{address}");
    }

    // A preview begins with nothing counted, and counts nothing.
    let event = event_body("security_threat", "high", r#"{"ip_address":"203.0.113.2"}"#);
    for body in [
        format!(r#"{{"event":{event}}}"#),
        format!(r#"{{"event":{event},"rules":[{rule}]}}"#),
    ] {
        let answer = app.post("/v1/evaluate", ADMIN_KEY, body).await.is(200);
        assert_eq!(answer.text("decision"), "no_action");
        assert_eq!(answer.text("message"), "No rule matched");
        let explained = &answer.body["explanation"][0];
        assert_eq!(explained["matched"], true);
        assert_eq!(
            explained["skipped_because"],
            "its window has 1 of 3 matches within 10m"
        );
    }
    let second = app.event("security_threat", "high", r#"{"ip_address":"203.0.113.2"}"#);
    assert_eq!(second.await.text("decision"), "no_action");
}

#[tokio::test]
async fn an_intake_that_raced_a_publication_is_decided_by_the_live_rules() {
    let app = TestApp::start().await;
    // Published past the book: what is in memory is outdated, as on a second instance.
    let store = app.guard.rules.store.clone();
    let tenant = guard_domain::TenantId::default_tenant();
    let yaml = "rules: [{ id: new, event_type: '*', action: ignore }]";
    guard_testkit::publish_rules(store.as_ref(), &tenant, yaml, PublishMode::Differs).await;
    let answer = app.event("anomaly_detected", "low", "{}").await.is(200);
    assert_eq!(answer.text("rule_id"), "new");
}

#[tokio::test]
async fn rules_of_requests_are_compiled_one_after_the_other() {
    let app = TestApp::start().await;
    let event = event_body("anomaly_detected", "high", "{}");
    let with_rules = format!(r#"{{"event":{event},"rules":[]}}"#);
    let turn = app.guard.api.rules.preview_turn().await.unwrap();
    let busy = app
        .post("/v1/evaluate", ADMIN_KEY, with_rules.clone())
        .await;
    let busy = busy.problem(503, "overloaded", "try again");
    assert_eq!(busy.headers["retry-after"], "1");
    let live = format!(r#"{{"event":{event}}}"#);
    app.post("/v1/evaluate", ADMIN_KEY, live).await.is(200);
    drop(turn);
    app.post("/v1/evaluate", ADMIN_KEY, with_rules)
        .await
        .is(200);
}

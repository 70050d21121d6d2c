//! What is sent to n8n, and what its answers come to.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::{
    Answered, Clock, Delivery, DeliveryOutcome, MAX_ANSWER_BYTES, Playbooks, Presence,
    Reachability, RunStatus, Undone,
};
use guard_domain::{ExecutionId, PlaybookName, RuleId, TenantId};
use guard_n8n::{N8nClient, N8nSettings};
use guard_testkit::FakeClock;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

const ID: &str = "019a0000-0000-7000-8000-000000000001";

fn delivery(params: &str) -> Delivery {
    let clock = FakeClock::new();
    Delivery {
        tenant: TenantId::default_tenant(),
        execution_id: ExecutionId::from_uuid(ID.parse().unwrap()),
        attempt: 2,
        playbook: PlaybookName::parse("backup-recovery").unwrap(),
        params: params.to_owned(),
        event: r#"{"id":"e","context":{"n":1.50}}"#.to_owned(),
        rule_id: RuleId::parse("recover").unwrap(),
        rule_version: 3,
        dry_run: false,
        undoes: None,
        callback_url: "http://127.0.0.1:3000/v1/executions/x".to_owned(),
        callback_token: "callback-secret".to_owned().into(),
        deadline: clock.now() + TimeDelta::hours(1),
        traceparent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
    }
}

fn client_for(base_url: &str, timeout: Duration) -> N8nClient {
    let settings = N8nSettings {
        base_url: base_url.parse().unwrap(),
        token: Some("n8n-token".to_owned().into()),
        signing_secret: Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned().into()),
        api_key: Some("n8n-api-key".to_owned().into()),
        timeout,
    };
    N8nClient::new(settings, Arc::new(FakeClock::new())).unwrap()
}

/// What a client makes of an answer.
async fn outcome_of(answer: ResponseTemplate) -> DeliveryOutcome {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    client_for(&server.uri(), Duration::from_millis(500))
        .deliver(&delivery("{}"))
        .await
        .outcome
}

#[tokio::test]
async fn the_request_is_as_the_contract_says() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/webhook/failsafe/backup-recovery"))
        .and(header("authorization", "Bearer n8n-token"))
        .and(header("content-type", "application/json"))
        .and(header("idempotency-key", ID))
        .and(header("webhook-id", ID))
        .and(header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ))
        .respond_with(ResponseTemplate::new(200).set_body_string("{}"))
        .expect(1)
        .mount(&server)
        .await;
    let params = r#"{"file":"a.gz","n":1.500e400,"neural_guard":"forged","\u0061":1}"#;
    let client = client_for(&format!("{}/", server.uri()), Duration::from_secs(5));
    let Answered { outcome, body } = client.deliver(&delivery(params)).await;
    assert_eq!(body.as_deref(), Some("{}"), "the answer is kept as it came");
    assert_eq!(
        outcome,
        DeliveryOutcome::Acknowledged {
            status: 200,
            detail: "n8n answered 200".to_owned()
        }
    );
    let requests: Vec<Request> = server.received_requests().await.unwrap();
    let body = String::from_utf8(requests[0].body.clone()).unwrap();
    assert!(
        body.starts_with(r#"{"file":"a.gz","n":1.500e400,"a":1,"neural_guard":{"#),
        "{body}"
    );
    let own = &body[body.find(r#""neural_guard":"#).unwrap() + 15..body.len() - 1];
    let own: Value = serde_json::from_str(own).unwrap();
    assert_eq!(
        own,
        json!({
            "execution_id": ID,
            "attempt": 2,
            "event": {"id": "e", "context": {"n": 1.50}},
            "rule_id": "recover",
            "rule_version": 3,
            "tenant": "default",
            "dry_run": false,
            "rollback_of": null,
            "callback_url": "http://127.0.0.1:3000/v1/executions/x",
            "callback_token": "callback-secret",
            "deadline": "2026-11-20T04:00:00.000000Z",
        })
    );
    assert!(
        requests[0].headers["webhook-signature"]
            .to_str()
            .unwrap()
            .starts_with("v1,")
    );
}

#[tokio::test]
async fn an_empty_200_is_doubtful() {
    let DeliveryOutcome::Acknowledged { detail, .. } = outcome_of(ResponseTemplate::new(200)).await
    else {
        panic!()
    };
    assert!(
        detail.contains("only the workflow's callback can tell"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_refused_token_is_told_apart() {
    for status in [401, 403] {
        let answer = ResponseTemplate::new(status).set_body_string("Authorization data is wrong!");
        let DeliveryOutcome::TokenRefused {
            status: seen,
            detail,
        } = outcome_of(answer).await
        else {
            panic!()
        };
        assert_eq!(seen, status);
        assert!(detail.contains("N8N_WEBHOOK_TOKEN"), "{detail}");
    }
}

#[tokio::test]
async fn a_webhook_that_is_not_registered_may_come() {
    let answer = ResponseTemplate::new(404)
        .set_body_json(json!({"code": 404, "message": "not registered", "hint": "activate it"}));
    let DeliveryOutcome::NotRegistered { detail } = outcome_of(answer).await else {
        panic!()
    };
    assert!(detail.contains("activate the workflow"), "{detail}");
}

#[tokio::test]
async fn what_n8n_refuses_for_good_is_rejected() {
    for status in [301, 302, 400, 405, 413, 415, 422] {
        let outcome = outcome_of(ResponseTemplate::new(status)).await;
        assert!(
            matches!(outcome, DeliveryOutcome::Rejected { status: seen, .. } if seen == status),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn overload_says_when_to_come_back() {
    let answer = ResponseTemplate::new(429).insert_header("retry-after", "7");
    let DeliveryOutcome::Busy {
        status: 429,
        retry_after,
        ..
    } = outcome_of(answer).await
    else {
        panic!()
    };
    assert_eq!(retry_after, Some(Duration::from_secs(7)));
    let busy = outcome_of(ResponseTemplate::new(503)).await;
    assert!(matches!(
        busy,
        DeliveryOutcome::Busy {
            status: 503,
            retry_after: None,
            ..
        }
    ));
}

#[tokio::test]
async fn n8ns_two_bodies_of_a_500_differ() {
    let ran = ResponseTemplate::new(500).set_body_json(json!({"message": "Error in workflow"}));
    assert!(matches!(
        outcome_of(ran).await,
        DeliveryOutcome::WorkflowFailed { status: 500, .. }
    ));
    let problem = ResponseTemplate::new(500)
        .set_body_json(json!({"message": "There was a problem executing the workflow"}));
    assert!(matches!(
        outcome_of(problem).await,
        DeliveryOutcome::Failed { status: 500, .. }
    ));
    for status in [408, 425, 502, 504] {
        let outcome = outcome_of(ResponseTemplate::new(status)).await;
        assert!(
            matches!(outcome, DeliveryOutcome::Failed { .. }),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn no_answer_in_time_may_have_run() {
    let slow = ResponseTemplate::new(200).set_delay(Duration::from_secs(5));
    let DeliveryOutcome::NoAnswer { detail } = outcome_of(slow).await else {
        panic!()
    };
    assert_eq!(detail, "n8n gave no answer within 500ms");
}

#[tokio::test]
async fn a_refused_connection_ran_nothing() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let client = client_for(&format!("http://{free}"), Duration::from_secs(5));
    let outcome = client.deliver(&delivery("{}")).await.outcome;
    assert!(
        matches!(outcome, DeliveryOutcome::Unreachable { .. }),
        "{outcome:?}"
    );
    assert!(matches!(client.probe().await, Reachability::Down(_)));
}

#[tokio::test]
async fn what_is_not_http_may_have_run() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"\x00\x01garbage\r\n\r\n").await.unwrap();
    });
    let client = client_for(&format!("http://{address}"), Duration::from_secs(5));
    let outcome = client.deliver(&delivery("{}")).await.outcome;
    assert!(
        matches!(outcome, DeliveryOutcome::NoAnswer { .. }),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_garbled_or_oversized_answer_is_bounded() {
    let garbage = ResponseTemplate::new(200).set_body_bytes(vec![0xff; 100]);
    assert!(matches!(
        outcome_of(garbage).await,
        DeliveryOutcome::Acknowledged { .. }
    ));
    let huge = ResponseTemplate::new(500).set_body_string("x".repeat(5_000_000));
    let DeliveryOutcome::Failed { detail, .. } = outcome_of(huge).await else {
        panic!()
    };
    assert!(detail.len() < 300, "{}", detail.len());
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200).set_body_string("<".repeat(5_000_000)))
        .mount(&server)
        .await;
    let client = client_for(&server.uri(), Duration::from_secs(5));
    let body = client.deliver(&delivery("{}")).await.body.unwrap();
    assert_eq!(body, "<".repeat(MAX_ANSWER_BYTES));
}

#[tokio::test]
async fn a_rehearsal_and_an_undoing_say_so() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let undone = Undone {
        execution_id: ExecutionId::from_uuid(ID.parse().unwrap()),
        data: Some(r#"{"file":"a.gz"}"#.to_owned()),
    };
    let delivery = Delivery {
        dry_run: true,
        undoes: Some(undone),
        ..delivery("{}")
    };
    let client = client_for(&server.uri(), Duration::from_secs(5));
    client.deliver(&delivery).await;
    let body: Value = server.received_requests().await.unwrap()[0]
        .body_json()
        .unwrap();
    assert_eq!(body["neural_guard"]["dry_run"], true);
    assert_eq!(
        body["neural_guard"]["rollback_of"],
        json!({"execution_id": ID, "data": {"file": "a.gz"}})
    );
}

#[tokio::test]
async fn the_probe_needs_any_answer() {
    let server = MockServer::start().await;
    let client = client_for(&server.uri(), Duration::from_secs(5));
    assert_eq!(client.probe().await, Reachability::Up);
}

/// What n8n answers to a GET where a webhook takes POST.
const WANTS_POST: &str = r#"{"code":404,"message":"This webhook is not registered for GET requests. Did you mean to make a POST request?"}"#;

#[tokio::test]
async fn a_playbook_is_probed_without_running_it() {
    let server = MockServer::start().await;
    let webhook =
        |name: &str| Mock::given(method("GET")).and(path(format!("/webhook/failsafe/{name}")));
    let answer = |status, body: &str| ResponseTemplate::new(status).set_body_string(body);
    webhook("there")
        .respond_with(answer(404, WANTS_POST))
        .mount(&server)
        .await;
    let hint = r#"{"code":404,"message":"The requested webhook \"GET x\" is not registered."}"#;
    webhook("gone")
        .respond_with(answer(404, hint))
        .mount(&server)
        .await;
    webhook("broken")
        .respond_with(answer(502, ""))
        .mount(&server)
        .await;
    let client = client_for(&format!("{}/", server.uri()), Duration::from_secs(5));
    let ask = async |name| {
        let name = PlaybookName::parse(name).unwrap();
        client.probe_playbook(&name).await
    };
    assert_eq!(ask("there").await, Presence::Present);
    let Presence::Missing(why) = ask("gone").await else {
        panic!()
    };
    assert!(
        why.contains("/webhook/failsafe/gone") && why.contains("publish"),
        "{why}"
    );
    assert!(matches!(ask("broken").await, Presence::Unknown(_)));
    let requests = server.received_requests().await.unwrap();
    assert!(requests.iter().all(|request| request.method == "GET"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let nobody = client_for(&nobody, Duration::from_secs(5));
    let name = PlaybookName::parse("there").unwrap();
    let presence = nobody.probe_playbook(&name).await;
    assert!(matches!(presence, Presence::Unknown(_)));
}

#[tokio::test]
async fn n8n_is_asked_how_a_run_ended() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/api/v1/executions/231"))
        .and(header("x-n8n-api-key", "n8n-api-key"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"status": "crashed"})))
        .mount(&server)
        .await;
    let client = client_for(&server.uri(), Duration::from_secs(5));
    assert!(client.tells_run_status());
    assert_eq!(
        client.run_status("231").await,
        RunStatus::Failed("crashed".to_owned())
    );
    // An id that a workflow made up goes nowhere else.
    for foreign in ["../workflows", "231?includeData=true", ""] {
        assert!(matches!(
            client.run_status(foreign).await,
            RunStatus::Unknown(_)
        ));
    }
    let requests = server.received_requests().await.unwrap();
    let paths: Vec<_> = requests
        .iter()
        .map(|request| request.url.as_str())
        .collect();
    assert!(
        paths
            .iter()
            .all(|path| path.contains("/api/v1/executions/")),
        "{paths:?}"
    );
}

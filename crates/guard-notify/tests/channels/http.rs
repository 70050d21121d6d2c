//! Webhooks, Slack and PagerDuty.

use std::sync::Arc;
use std::time::{Duration, Instant};

use guard_app::ports::{Notifier, SendOutcome};
use guard_app::sign_webhook;
use guard_domain::{ChannelType, Severity};
use guard_notify::{ChannelSettings, SecretUrl, notifier};
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use super::{EVENT, ID, clock, message, rejected, retried, sent};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const ROUTING_KEY: &str = "r0ut1ngk3y";
/// The part of the address that must not be shown.
const TOKEN: &str = "t0k3n";

const ALL: [ChannelType; 3] = [
    ChannelType::Webhook,
    ChannelType::Slack,
    ChannelType::PagerDuty,
];

fn channel(kind: ChannelType, base: &str) -> Arc<dyn Notifier> {
    let url = SecretUrl::parse_http(&format!("{base}/{TOKEN}")).unwrap();
    let settings = match kind {
        ChannelType::Webhook => ChannelSettings::Webhook {
            url,
            secret: SECRET.to_owned().into(),
        },
        ChannelType::Slack => ChannelSettings::Slack { url },
        ChannelType::PagerDuty => ChannelSettings::PagerDuty {
            url,
            routing_key: ROUTING_KEY.to_owned().into(),
        },
        ChannelType::Smtp => panic!("not over HTTP"),
    };
    let shown = format!("{settings:?}");
    for secret in [SECRET, ROUTING_KEY, TOKEN] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let notifier = notifier(&settings, &clock()).unwrap();
    assert_eq!(notifier.channel_type(), kind);
    notifier
}

/// Sends one message to a server that answers so; gives the outcome and the request.
async fn send(
    kind: ChannelType,
    answer: ResponseTemplate,
    severity: Severity,
    text: &str,
) -> (SendOutcome, Request) {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path(format!("/{TOKEN}")))
        .and(header("content-type", "application/json"))
        .respond_with(answer)
        .expect(1)
        .mount(&server)
        .await;
    let outcome = channel(kind, &server.uri())
        .send(&message(severity, text))
        .await;
    let shown = format!("{outcome:?}");
    for secret in [SECRET, ROUTING_KEY, TOKEN] {
        assert!(!shown.contains(secret), "{shown}");
    }
    let request = server.received_requests().await.unwrap().remove(0);
    (outcome, request)
}

async fn outcome_of(kind: ChannelType, answer: ResponseTemplate) -> SendOutcome {
    send(kind, answer, Severity::High, "db is down").await.0
}

/// What the service answers when it takes a message.
fn taken(kind: ChannelType) -> ResponseTemplate {
    match kind {
        ChannelType::PagerDuty => ResponseTemplate::new(202).set_body_json(json!({
            "status": "success", "message": "Event processed", "dedup_key": "x",
        })),
        _ => ResponseTemplate::new(200).set_body_string("ok"),
    }
}

async fn body_of(kind: ChannelType, severity: Severity, text: &str) -> Value {
    let (outcome, request) = send(kind, taken(kind), severity, text).await;
    sent(outcome);
    request.body_json().unwrap()
}

#[tokio::test]
async fn a_webhook_is_signed_and_says_everything() {
    let kind = ChannelType::Webhook;
    let (outcome, request) = send(kind, taken(kind), Severity::High, "db is \"down\"").await;
    assert_eq!(sent(outcome), "the webhook answered 200 `ok`");
    let body: Value = request.body_json().unwrap();
    let at = "2026-11-20T03:00:00.000000Z";
    assert_eq!(
        body,
        json!({
            "type": "escalation.raised",
            "timestamp": at,
            "data": {
                "id": ID, "tenant": "default", "reason": "rule", "contact": "oncall", "severity": "high",
                "message": "db is \"down\"", "event_id": EVENT, "execution_id": null, "rule_id": "page",
                "created_at": at,
            },
        })
    );
    let id = format!("{ID}_first");
    let timestamp = clock().now().timestamp();
    assert_eq!(request.headers["webhook-id"], id.as_str());
    assert_eq!(request.headers["webhook-timestamp"], timestamp.to_string());
    let text = String::from_utf8(request.body).unwrap();
    let signature = sign_webhook(SECRET, &id, timestamp, &text);
    assert_eq!(request.headers["webhook-signature"], signature);
}

#[tokio::test]
async fn slack_gets_text_and_blocks_in_which_nothing_is_a_command() {
    let text = "<!everyone> a & b\nnext";
    let body = body_of(ChannelType::Slack, Severity::Critical, text).await;
    assert_eq!(
        body["text"],
        "<!channel> [CRITICAL] &lt;!everyone&gt; a &amp; b\nnext"
    );
    let section = &body["blocks"][0];
    assert_eq!(section["type"], "section");
    assert_eq!(
        section["text"]["text"],
        "<!channel> *[CRITICAL]* &lt;!everyone&gt; a &amp; b\nnext"
    );
    let facts = body["blocks"][1]["elements"][0]["text"].as_str().unwrap();
    assert!(
        facts.starts_with("severity: critical · reason: rule · rule: page · tenant: default"),
        "{facts}"
    );
    assert!(facts.contains(EVENT) && facts.contains(ID), "{facts}");

    let calls = async |severity| {
        let body = body_of(ChannelType::Slack, severity, "x").await;
        body["text"].as_str().unwrap().to_owned()
    };
    assert_eq!(calls(Severity::High).await, "<!here> [HIGH] x");
    assert_eq!(calls(Severity::Medium).await, "[MEDIUM] x");
    assert_eq!(calls(Severity::Low).await, "[LOW] x");

    let long = body_of(ChannelType::Slack, Severity::Critical, &"<".repeat(9000)).await;
    let section = long["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(section.chars().count() <= 3000, "Slack's bound");
    assert!(section.ends_with("&lt;…"), "no entity is cut in two");
}

#[tokio::test]
async fn pagerduty_gets_an_event_that_repeats_join() {
    let body = body_of(ChannelType::PagerDuty, Severity::High, "db\ris down").await;
    assert_eq!(body["routing_key"], ROUTING_KEY);
    assert_eq!(body["event_action"], "trigger");
    assert_eq!(body["dedup_key"], "neural-guard/default/rule/page");
    let payload = &body["payload"];
    assert_eq!(payload["summary"], "db is down");
    assert_eq!(payload["source"], "neural-guard");
    assert_eq!(payload["severity"], "error");
    assert_eq!(payload["timestamp"], "2026-11-20T03:00:00.000000Z");
    assert_eq!(payload["component"], "page");
    let details = &payload["custom_details"];
    assert_eq!(details["message"], "db\ris down");
    assert_eq!(details["event"], EVENT);
    assert_eq!(details["escalation"], ID);
    for (severity, word) in [
        (Severity::Critical, "critical"),
        (Severity::Medium, "warning"),
        (Severity::Low, "info"),
    ] {
        let body = body_of(ChannelType::PagerDuty, severity, "x").await;
        assert_eq!(body["payload"]["severity"], word);
    }
    let long = body_of(ChannelType::PagerDuty, Severity::Low, &"ä".repeat(2000)).await;
    let summary = long["payload"]["summary"].as_str().unwrap();
    assert_eq!(summary.chars().count(), 1024, "PagerDuty's bound");
}

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    for kind in ALL {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            let answer = ResponseTemplate::new(status).insert_header("retry-after", "7");
            let (after, detail) = retried(outcome_of(kind, answer).await);
            assert_eq!(after, Some(7), "{kind} {status}");
            assert!(detail.contains(&format!("answered {status}")), "{detail}");
        }
        let answer = ResponseTemplate::new(503);
        assert_eq!(retried(outcome_of(kind, answer).await).0, None);
    }
}

#[tokio::test]
async fn what_is_refused_for_good_says_what_to_do() {
    let cases = [
        (ChannelType::Webhook, 401, "give both sides the same secret"),
        (ChannelType::Webhook, 404, "correct the channel's url"),
        (ChannelType::Webhook, 422, "look at its log"),
        (ChannelType::Slack, 404, "make a new webhook"),
        (ChannelType::Slack, 400, "check the channel's url"),
        (
            ChannelType::PagerDuty,
            400,
            "check the channel's routing_key",
        ),
        (ChannelType::PagerDuty, 403, "url and routing_key"),
    ];
    for (kind, status, advice) in cases {
        let answer = ResponseTemplate::new(status).set_body_string("no\nservice");
        let detail = rejected(outcome_of(kind, answer).await);
        let answered = format!("answered {status} `no service`: ");
        assert!(
            detail.contains(&answered) && detail.contains(advice),
            "{detail}"
        );
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    for kind in ALL {
        let elsewhere = MockServer::start().await;
        let answer = ResponseTemplate::new(307).insert_header("location", elsewhere.uri().as_str());
        let detail = rejected(outcome_of(kind, answer).await);
        assert!(detail.contains("redirects are not followed"), "{detail}");
        assert_eq!(elsewhere.received_requests().await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn only_202_is_an_answer_of_pagerduty() {
    let page = ResponseTemplate::new(200).set_body_string("<html>please log in</html>");
    let (_, detail) = retried(outcome_of(ChannelType::PagerDuty, page).await);
    assert!(
        detail.contains("this is not an answer of PagerDuty"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_garbled_or_oversized_answer_is_bounded() {
    for kind in ALL {
        let garbage = ResponseTemplate::new(500).set_body_bytes(vec![0xff; 100]);
        retried(outcome_of(kind, garbage).await);
        let huge = ResponseTemplate::new(400).set_body_string("x".repeat(5_000_000));
        let detail = rejected(outcome_of(kind, huge).await);
        assert!(detail.len() < 500, "{}", detail.len());
    }
}

#[tokio::test]
async fn no_answer_in_time_is_tried_again() {
    let slow = ResponseTemplate::new(202).set_delay(Duration::from_secs(60));
    let begun = Instant::now();
    let [webhook, slack, pagerduty] = ALL.map(|kind| outcome_of(kind, slow.clone()));
    let (webhook, slack, pagerduty) = tokio::join!(webhook, slack, pagerduty);
    assert!(begun.elapsed() < Duration::from_secs(20));
    for outcome in [webhook, slack, pagerduty] {
        let (_, detail) = retried(outcome);
        assert!(detail.ends_with("gave no answer within 10s"), "{detail}");
    }
}

#[tokio::test]
async fn who_cannot_be_reached_or_speaks_no_http_is_tried_again() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let gone = channel(ChannelType::Slack, &format!("http://{address}"));
    let (_, detail) = retried(gone.send(&message(Severity::Low, "x")).await);
    let shown = format!("Slack at http://{address}/**** cannot be reached: ");
    assert!(detail.starts_with(&shown), "{detail}");
    assert!(!detail.contains(TOKEN), "{detail}");

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt;
        let (mut socket, _) = listener.accept().await.unwrap();
        socket.write_all(b"\x00\x01garbage\r\n\r\n").await.unwrap();
    });
    let garbled = channel(ChannelType::Webhook, &format!("http://{address}"));
    let (_, detail) = retried(garbled.send(&message(Severity::Low, "x")).await);
    assert!(
        detail.contains("broke: ") && !detail.contains(TOKEN),
        "{detail}"
    );
}

//! A server in this process.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use chrono::TimeDelta;
use guard_app::ports::{Actor, PublishMode};
use guard_http::{Interface, interface};
use guard_server::config::{Origin, Resolved, Settings};
use guard_server::wiring::{Guard, Surroundings, build};
use guard_testkit::{FakeClock, ScriptedPlaybooks, SeededRandom, event_body};
use http::{HeaderMap, Method, StatusCode};
use serde_json::Value;
use tokio::task::JoinSet;
use tower::ServiceExt;

use crate::database::Database;

pub(crate) const API_KEY: &str = "sentinel-key-of-the-tests";
pub(crate) const ADMIN_KEY: &str = "admin-key-of-the-tests";

pub(crate) const RULES: &str = "
rules:
  - id: recover
    event_type: backup_failed
    min_severity: medium
    cooldown_minutes: 10
    cooldown_by: [context.file]
    action: { trigger_playbook: { name: backup-recovery, params: { file: '{{ context.file }}', n: '{{ context.n }}' } } }
  - id: page
    event_type: health_check_failed
    action: { escalate: { to: default, message: 'down: {{ context.service }}' } }
  - id: note
    event_type: anomaly_detected
    action: { log: { level: info } }
  - id: quiet
    event_type: user_offboarding
    action: ignore
";

/// A server with its own database.
pub(crate) struct TestApp {
    pub(crate) interface: Interface,
    pub(crate) clock: Arc<FakeClock>,
    pub(crate) playbooks: Arc<ScriptedPlaybooks>,
    pub(crate) guard: Guard,
    pub(crate) settings: Settings,
    pub(crate) database: Database,
    _folder: tempfile::TempDir,
    _tasks: JoinSet<()>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Answer {
    /// A field of the body as text.
    pub(crate) fn text(&self, field: &str) -> String {
        self.body[field]
            .as_str()
            .unwrap_or_else(|| panic!("{self:?}"))
            .to_owned()
    }

    #[track_caller]
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text);
        self
    }

    /// That it is a problem in the house's form, with this status and these words in it.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, slug: &str, words: &str) -> Self {
        let answer = self.is(status);
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(
            answer.body["type"],
            format!("/problems/{slug}"),
            "{}",
            answer.text
        );
        assert_eq!(answer.body["status"], status);
        let instance = answer.text("instance");
        assert_eq!(
            instance,
            format!(
                "urn:uuid:{}",
                answer.headers["x-request-id"].to_str().unwrap()
            )
        );
        assert!(
            answer.text.contains(words),
            "`{words}` is not in {}",
            answer.text
        );
        answer
    }
}

impl TestApp {
    /// A server with [`RULES`] that waits a moment for acknowledgements.
    pub(crate) async fn start() -> Self {
        Self::with(RULES, &[("executor.ack_wait", "5s")]).await
    }

    /// A server with rules and settings of one's own.
    pub(crate) async fn with(rules: &str, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let rules_path = folder.path().join("rules.yaml");
        std::fs::write(&rules_path, rules).unwrap();
        let database = Database::create(folder.path()).await;
        let mut resolved = Resolved::defaults();
        let mut set = |name: &str, value: &str| resolved.set(name, value, Origin::Default);
        set("data_dir", folder.path().to_str().unwrap());
        set("database.url", &database.url());
        set("rules.path", rules_path.to_str().unwrap());
        set("auth.api_key", API_KEY);
        set("auth.admin_key", ADMIN_KEY);
        set("instance.id", "test");
        for (name, value) in settings {
            set(name, value);
        }
        let settings = Settings::of(&resolved).unwrap();
        let clock = Arc::new(FakeClock::new());
        let playbooks = Arc::new(ScriptedPlaybooks::default());
        let surroundings = Surroundings {
            clock: Some(clock.clone()),
            random: Arc::new(SeededRandom::default()),
            playbooks: Some(playbooks.clone()),
        };
        let address = "127.0.0.1:3000".parse().unwrap();
        let guard = build(&settings, address, surroundings).await.unwrap();
        let actor = Actor::system("test");
        guard
            .load_rules(&settings, PublishMode::NeverSeen, &actor)
            .await
            .unwrap();
        let tasks = guard.start_background(&settings);
        let interface = interface(guard.api.clone());
        Self {
            interface,
            clock,
            playbooks,
            guard,
            settings,
            database,
            _folder: folder,
            _tasks: tasks,
        }
    }

    pub(crate) async fn send(&self, request: Request) -> Answer {
        let response = self.interface.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        let text = String::from_utf8(bytes.into()).unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Answer {
            status,
            headers,
            text,
            body,
        }
    }

    /// A request with a bearer token and further headers.
    pub(crate) async fn request(
        &self,
        method: Method,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if !token.is_empty() {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.request(Method::GET, path, ADMIN_KEY, &[], Body::empty())
            .await
    }

    /// Posts JSON.
    pub(crate) async fn post(&self, path: &str, token: &str, body: impl Into<Body>) -> Answer {
        let json = [("content-type", "application/json")];
        self.request(Method::POST, path, token, &json, body).await
    }

    /// Posts an event as Sentinel does.
    pub(crate) async fn event(&self, event_type: &str, severity: &str, context: &str) -> Answer {
        self.post(
            "/events",
            API_KEY,
            event_body(event_type, severity, context),
        )
        .await
    }

    /// Triggers the playbook of [`RULES`]; gives the execution's id.
    pub(crate) async fn trigger(&self, file: &str) -> String {
        let context = format!(r#"{{"file":"{file}","n":1.50}}"#);
        self.event("backup_failed", "high", &context)
            .await
            .is(200)
            .text("execution_id")
    }

    /// The state of an execution.
    pub(crate) async fn state(&self, execution: &str) -> String {
        self.get(&format!("/v1/executions/{execution}"))
            .await
            .is(200)
            .text("state")
    }

    /// Waits until an execution is in a state; the clock moves on by a second each time.
    pub(crate) async fn wait_for_state(&self, execution: &str, state: &str) {
        for _ in 0..200 {
            if self.state(execution).await == state {
                return;
            }
            self.clock.advance(TimeDelta::seconds(1));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("it is `{}`, not `{state}`", self.state(execution).await);
    }
}

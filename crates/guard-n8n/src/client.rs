//! Calling n8n.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use guard_app::ports::{
    Answered, Clock, Delivery, DeliveryOutcome, MAX_ANSWER_BYTES, Playbooks, Presence,
    Reachability, RunStatus,
};
use guard_app::{retry_after, sign_webhook};
use guard_domain::PlaybookName;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, redirect};
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;
use url::Url;

use crate::answer::Answer;
use crate::wire;

/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// n8n drops idle connections after 5 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(4);

/// Where n8n is, and how to call it.
#[derive(Debug, Clone)]
pub struct N8nSettings {
    /// The address, for example `http://127.0.0.1:5678`.
    pub base_url: Url,
    /// What the webhooks' credential expects after `Bearer `.
    pub token: Option<SecretString>,
    /// Signs deliveries by Standard Webhooks, if given.
    pub signing_secret: Option<SecretString>,
    /// Asks n8n's public API how a run ended, if given.
    pub api_key: Option<SecretString>,
    /// How long a call may take.
    pub timeout: Duration,
}

/// Why a client cannot be made.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The HTTP client refuses its settings.
    #[error("the HTTP client cannot be set up")]
    Http(#[from] reqwest::Error),
    /// The token cannot stand in a header.
    #[error("the n8n token has characters that no HTTP header can hold")]
    Token,
}

/// Delivers executions to n8n.
///
/// | answer | outcome |
/// |---|---|
/// | 2xx | acknowledged; with an empty body only the callback can tell whether it runs |
/// | 401, 403 | token refused |
/// | 404 | not registered: missing, inactive or just starting |
/// | 408, 425, 5xx, no answer | failed, may have run |
/// | 429, 503 | busy |
/// | 500 `Error in workflow` | ran and failed |
/// | other 3xx, 4xx | rejected for good |
/// | no connection | unreachable: nothing ran |
pub struct N8nClient {
    pub(crate) http: Client,
    pub(crate) settings: N8nSettings,
    authorization: Option<HeaderValue>,
    clock: Arc<dyn Clock>,
}

impl N8nClient {
    /// A client.
    ///
    /// # Errors
    /// [`ClientError`]
    pub fn new(settings: N8nSettings, clock: Arc<dyn Clock>) -> Result<Self, ClientError> {
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(settings.timeout)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("neural-guard/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let authorization = match &settings.token {
            None => None,
            Some(token) => {
                let mut value = HeaderValue::try_from(format!("Bearer {}", token.expose_secret()))
                    .map_err(|_| ClientError::Token)?;
                value.set_sensitive(true);
                Some(value)
            }
        };
        Ok(Self {
            http,
            settings,
            authorization,
            clock,
        })
    }

    fn request(&self, delivery: &Delivery) -> Result<RequestBuilder, DeliveryOutcome> {
        let body = wire::body(delivery).map_err(|error| DeliveryOutcome::Rejected {
            status: 0,
            detail: format!("the delivery cannot be written as JSON: {error}"),
        })?;
        let base = self.settings.base_url.as_str().trim_end_matches('/');
        let id = delivery.execution_id.to_string();
        let mut request = self
            .http
            .post(format!("{base}/webhook/failsafe/{}", delivery.playbook))
            .header(CONTENT_TYPE, "application/json")
            .header("idempotency-key", &id);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        if let Some(traceparent) = &delivery.traceparent {
            request = request.header("traceparent", traceparent);
        }
        if let Some(secret) = &self.settings.signing_secret {
            let timestamp = self.clock.now().timestamp();
            let signature = sign_webhook(secret.expose_secret(), &id, timestamp, &body);
            request = request
                .header("webhook-id", &id)
                .header("webhook-timestamp", timestamp)
                .header("webhook-signature", signature);
        }
        Ok(request.body(body))
    }

    pub(crate) async fn read(&self, mut response: Response) -> Answer {
        let status = response.status().as_u16();
        let asked = response
            .headers()
            .get(RETRY_AFTER)
            .and_then(|value| value.to_str().ok());
        let retry_after = asked.and_then(|value| retry_after(value, self.clock.now()));
        let mut body = Vec::new();
        // An answer that breaks off, or goes on for too long, says enough by its status.
        while let Ok(Some(chunk)) = response.chunk().await {
            body.extend(chunk.iter().take(MAX_ANSWER_BYTES - body.len()));
            if body.len() >= MAX_ANSWER_BYTES {
                break;
            }
        }
        Answer {
            status,
            retry_after,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }
}

#[async_trait]
impl Playbooks for N8nClient {
    async fn deliver(&self, delivery: &Delivery) -> Answered {
        let request = match self.request(delivery) {
            Ok(request) => request,
            Err(outcome) => return outcome.into(),
        };
        let outcome = match request.send().await {
            Ok(response) => {
                let answer = self.read(response).await;
                return Answered {
                    outcome: answer.outcome(),
                    body: Some(answer.body),
                };
            }
            Err(error) if error.is_connect() => DeliveryOutcome::Unreachable {
                detail: format!("n8n cannot be reached: {}", root_cause(&error)),
            },
            Err(error) if error.is_timeout() => DeliveryOutcome::NoAnswer {
                detail: format!("n8n gave no answer within {:?}", self.settings.timeout),
            },
            Err(error) => DeliveryOutcome::NoAnswer {
                detail: format!("the connection to n8n broke: {}", root_cause(&error)),
            },
        };
        outcome.into()
    }

    async fn probe(&self) -> Reachability {
        self.probe_host().await
    }

    async fn probe_playbook(&self, playbook: &PlaybookName) -> Presence {
        self.probe_webhook(playbook).await
    }

    fn tells_run_status(&self) -> bool {
        self.settings.api_key.is_some()
    }

    async fn run_status(&self, run_id: &str) -> RunStatus {
        self.ask_run_status(run_id).await
    }
}

/// The innermost cause of an error: what an operator can do something about.
pub(crate) fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

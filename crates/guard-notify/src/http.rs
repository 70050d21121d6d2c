//! Calls over HTTP, and what their answers mean.

use std::sync::Arc;
use std::time::Duration;

use guard_app::ports::{Clock, SendOutcome};
use guard_app::retry_after;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, redirect};

use crate::secret_url::SecretUrl;
use crate::text::one_line;

/// How long sending may take, over whatever channel.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer is read, in bytes.
const MAX_ANSWER: usize = 8 * 1024;
/// How much of an answer goes into a sentence, in characters.
const MAX_QUOTE: usize = 200;

/// Calls one address.
pub(crate) struct Caller {
    http: Client,
    pub(crate) url: SecretUrl,
    /// Who is called, for sentences.
    name: &'static str,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What a human is to do about a message that was refused for good with this status.
pub(crate) type Advice = fn(u16) -> &'static str;

impl Caller {
    pub(crate) fn new(
        name: &'static str,
        url: SecretUrl,
        clock: Arc<dyn Clock>,
    ) -> reqwest::Result<Self> {
        let http = Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("neural-guard/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self {
            http,
            url,
            name,
            clock,
        })
    }

    /// A request with a body of JSON.
    pub(crate) fn post(&self, body: String) -> RequestBuilder {
        self.http
            .post(self.url.expose().clone())
            .header("content-type", "application/json")
            .body(body)
    }

    /// Sends a request; `taken` says which answers mean that the message was taken, `advice` what to do about a refusal.
    pub(crate) async fn send(
        &self,
        request: RequestBuilder,
        taken: fn(u16) -> bool,
        advice: Advice,
    ) -> SendOutcome {
        let (name, url) = (self.name, &self.url);
        match request.send().await {
            Ok(response) => self.judge(response, taken, advice).await,
            Err(error) if error.is_connect() => SendOutcome::Retry {
                after: None,
                detail: format!("{name} at {url} cannot be reached: {}", root_cause(&error)),
            },
            Err(error) if error.is_timeout() => SendOutcome::Retry {
                after: None,
                detail: format!("{name} at {url} gave no answer within {TIMEOUT:?}"),
            },
            Err(error) => SendOutcome::Retry {
                after: None,
                detail: format!(
                    "the connection to {name} at {url} broke: {}",
                    root_cause(&error)
                ),
            },
        }
    }

    async fn judge(
        &self,
        response: Response,
        taken: fn(u16) -> bool,
        advice: Advice,
    ) -> SendOutcome {
        let status = response.status().as_u16();
        let asked = response.headers().get(RETRY_AFTER);
        let asked = asked.and_then(|value| value.to_str().ok());
        let after = asked.and_then(|value| retry_after(value, self.clock.now()));
        let quote = quote(response).await;
        let answered = format!("{} answered {status}{quote}", self.name);
        match status {
            _ if taken(status) => SendOutcome::Sent { detail: answered },
            // Something in between answers in its place.
            200..=299 => SendOutcome::Retry {
                after,
                detail: format!("{answered}: this is not an answer of {}", self.name),
            },
            408 | 425 | 429 | 500.. => SendOutcome::Retry {
                after,
                detail: answered,
            },
            300..=399 => SendOutcome::Rejected {
                detail: format!(
                    "{answered}: redirects are not followed; correct the channel's url"
                ),
            },
            _ => SendOutcome::Rejected {
                detail: format!("{answered}: {}", advice(status)),
            },
        }
    }
}

/// The beginning of an answer's body, as a part of a sentence.
async fn quote(mut response: Response) -> String {
    let mut body = Vec::new();
    // An answer that breaks off, or goes on for too long, says enough by its status.
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend(chunk.iter().take(MAX_ANSWER - body.len()));
        if body.len() >= MAX_ANSWER {
            break;
        }
    }
    let text = String::from_utf8_lossy(&body);
    match text.trim() {
        "" => String::new(),
        text => format!(" `{}`", one_line(text, MAX_QUOTE)),
    }
}

/// The innermost cause of an error: what an operator can do something about. It does not say the address.
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

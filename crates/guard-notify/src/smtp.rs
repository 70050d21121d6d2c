//! Mail.

mod letter;

use std::sync::Arc;

use async_trait::async_trait;
use guard_app::ports::{Clock, Message, Notifier, SendOutcome};
use guard_domain::ChannelType;
use lettre::message::{Mailbox, Mailboxes};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use thiserror::Error;

use crate::http::TIMEOUT;
use crate::secret_url::SecretUrl;
use crate::text::one_line;

/// The ports of RFC 8314 and RFC 5321: implicit TLS, submission, relay.
const SUBMISSIONS: u16 = 465;
const SUBMISSION: u16 = 587;
const RELAY: u16 = 25;
/// How much of an answer goes into a sentence, in characters.
const MAX_QUOTE: usize = 300;

/// How mail is sent.
#[derive(Debug, Clone)]
pub struct SmtpSettings {
    /// The server: `smtps://user:password@host:port` or `smtp://…`, see [`SecretUrl::parse_smtp`].
    pub url: SecretUrl,
    /// Whether a connection of `smtp://` must be encrypted by STARTTLS.
    pub starttls: bool,
    /// Who sends.
    pub from: Mailbox,
    /// Who receives; at least one.
    pub to: Mailboxes,
}

/// Why mail cannot be sent by some settings.
#[derive(Debug, Error)]
pub enum SmtpError {
    /// The name of the user or the password has percent signs that encode no text.
    #[error("user and password of the mail server have to be percent-encoded")]
    Credentials,
    /// The password would be readable on the way.
    #[error("a password needs smtps:// or STARTTLS, but on this machine itself")]
    ReadablePassword,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up for the mail server")]
    Tls(#[source] lettre::transport::smtp::Error),
}

impl SmtpSettings {
    /// Whether mail can be sent by these settings, as far as can be seen from here.
    ///
    /// # Errors
    /// [`SmtpError`]
    pub fn check(&self) -> Result<(), SmtpError> {
        self.credentials().map(drop)
    }

    fn is_encrypted(&self) -> bool {
        self.starttls || self.url.expose().scheme() == "smtps"
    }

    fn credentials(&self) -> Result<Option<Credentials>, SmtpError> {
        let url = self.url.expose();
        let Some(password) = url.password() else {
            return Ok(None);
        };
        if !self.is_encrypted() && !is_this_machine(url) {
            return Err(SmtpError::ReadablePassword);
        }
        let (user, password) = (decoded(url.username())?, decoded(password)?);
        Ok(Some(Credentials::new(user, password)))
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, SmtpError> {
        let url = self.url.expose();
        let host = bare(url.host_str().unwrap_or_default());
        let tls = || TlsParameters::new(host.to_owned()).map_err(SmtpError::Tls);
        let (tls, port) = match (url.scheme(), self.starttls) {
            ("smtps", _) => (Tls::Wrapper(tls()?), SUBMISSIONS),
            (_, true) => (Tls::Required(tls()?), SUBMISSION),
            (_, false) => (Tls::None, RELAY),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(url.port().unwrap_or(port))
            .timeout(Some(TIMEOUT))
            .tls(tls);
        if let Some(credentials) = self.credentials()? {
            builder = builder.credentials(credentials);
        }
        Ok(builder.build())
    }
}

/// Sends escalations as mail, one message to all who receive them.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    settings: SmtpSettings,
    clock: Arc<dyn Clock>,
}

impl Smtp {
    /// A channel that sends by these settings.
    ///
    /// # Errors
    /// [`SmtpError`]
    pub fn new(settings: SmtpSettings, clock: Arc<dyn Clock>) -> Result<Self, SmtpError> {
        Ok(Self {
            transport: settings.transport()?,
            settings,
            clock,
        })
    }

    /// What an error of the conversation means.
    fn outcome(&self, error: &lettre::transport::smtp::Error) -> SendOutcome {
        let (url, said) = (&self.settings.url, one_line(&error.to_string(), MAX_QUOTE));
        if error.is_permanent() {
            let advice = match error.status().map(u16::from) {
                Some(530 | 534 | 535 | 538) => "check user and password in the channel's url",
                _ => "check the channel's from and to, and what the server takes",
            };
            let detail = format!("the mail server {url} refuses the message ({said}); {advice}");
            return SendOutcome::Rejected { detail };
        }
        if error.is_client() {
            let detail = format!(
                "the mail server {url} cannot be used ({said}); check the channel's url and starttls"
            );
            return SendOutcome::Rejected { detail };
        }
        SendOutcome::Retry {
            after: None,
            detail: format!("the mail server {url} did not take the message: {said}"),
        }
    }
}

#[async_trait]
impl Notifier for Smtp {
    fn channel_type(&self) -> ChannelType {
        ChannelType::Smtp
    }

    async fn send(&self, message: &Message) -> SendOutcome {
        let letter = match letter::write(message, &self.settings, self.clock.now()) {
            Ok(letter) => letter,
            Err(error) => {
                let detail = format!("the mail cannot be written: {error}; check from and to");
                return SendOutcome::Rejected { detail };
            }
        };
        let url = &self.settings.url;
        match tokio::time::timeout(TIMEOUT, self.transport.send(letter)).await {
            Ok(Ok(response)) => {
                let said = response.message().collect::<Vec<_>>().join(" ");
                let said = one_line(&format!("{} {said}", response.code()), MAX_QUOTE);
                SendOutcome::Sent {
                    detail: format!("the mail server {url} took the message ({})", said.trim()),
                }
            }
            Ok(Err(error)) => self.outcome(&error),
            Err(_) => SendOutcome::Retry {
                after: None,
                detail: format!("the mail server {url} was not done within {TIMEOUT:?}"),
            },
        }
    }
}

/// A host without the brackets of an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_this_machine(url: &url::Url) -> bool {
    let host = bare(url.host_str().unwrap_or_default());
    let address = host.parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn decoded(text: &str) -> Result<String, SmtpError> {
    percent_encoding::percent_decode_str(text)
        .decode_utf8()
        .map(|text| text.into_owned())
        .map_err(|_| SmtpError::Credentials)
}

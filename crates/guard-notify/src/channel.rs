//! From settings to adapters.

use std::sync::Arc;

use guard_app::ports::{Clock, Notifier};
use guard_domain::ChannelType;
use secrecy::SecretString;
use thiserror::Error;

use crate::pagerduty::PagerDuty;
use crate::secret_url::SecretUrl;
use crate::slack::Slack;
use crate::smtp::{Smtp, SmtpError, SmtpSettings};
use crate::webhook::Webhook;

/// Where a channel leads, and what it takes to use it.
#[derive(Debug, Clone)]
pub enum ChannelSettings {
    /// A signed HTTP request.
    Webhook {
        /// Where it goes.
        url: SecretUrl,
        /// What it is signed with, see [`guard_app::sign_webhook`].
        secret: SecretString,
    },
    /// An incoming webhook of Slack.
    Slack {
        /// The webhook.
        url: SecretUrl,
    },
    /// PagerDuty's Events API v2.
    PagerDuty {
        /// Where events are sent.
        url: SecretUrl,
        /// The key of the integration.
        routing_key: SecretString,
    },
    /// Mail.
    Smtp(SmtpSettings),
}

impl ChannelSettings {
    /// What kind of service it is.
    #[must_use]
    pub const fn channel_type(&self) -> ChannelType {
        match self {
            Self::Webhook { .. } => ChannelType::Webhook,
            Self::Slack { .. } => ChannelType::Slack,
            Self::PagerDuty { .. } => ChannelType::PagerDuty,
            Self::Smtp(_) => ChannelType::Smtp,
        }
    }
}

/// Why there is no channel by some settings.
#[derive(Debug, Error)]
pub enum ChannelError {
    /// The HTTP client refuses its settings.
    #[error("the HTTP client cannot be set up")]
    Http(#[from] reqwest::Error),
    /// Mail cannot be sent by these settings.
    #[error(transparent)]
    Smtp(#[from] SmtpError),
}

/// The adapter for a channel.
///
/// # Errors
/// [`ChannelError`]
pub fn notifier(
    settings: &ChannelSettings,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn Notifier>, ChannelError> {
    let clock = clock.clone();
    Ok(match settings.clone() {
        ChannelSettings::Webhook { url, secret } => Arc::new(Webhook::new(url, secret, clock)?),
        ChannelSettings::Slack { url } => Arc::new(Slack::new(url, clock)?),
        ChannelSettings::PagerDuty { url, routing_key } => {
            Arc::new(PagerDuty::new(url, routing_key, clock)?)
        }
        ChannelSettings::Smtp(settings) => Arc::new(Smtp::new(settings, clock)?),
    })
}

#![doc = include_str!("../README.md")]

mod channel;
mod http;
mod pagerduty;
mod secret_url;
mod slack;
mod smtp;
mod text;
mod webhook;

pub use channel::{ChannelError, ChannelSettings, notifier};
pub use pagerduty::{PAGERDUTY_URL, PagerDuty};
pub use secret_url::{SecretUrl, UrlError};
pub use slack::Slack;
pub use smtp::{Smtp, SmtpError, SmtpSettings};
pub use webhook::Webhook;

pub use lettre::message::{Mailbox, Mailboxes};

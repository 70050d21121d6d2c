//! The channels of contacts, read.

use std::collections::BTreeMap;
use std::fmt::Display;

use guard_domain::{Channel, ChannelName, ChannelType, ContactName, Severity};
use guard_notify::{ChannelSettings, Mailbox, Mailboxes, PAGERDUTY_URL, SecretUrl, SmtpSettings};
use secrecy::SecretString;

use super::contacts::ChannelTable;
use super::reader::Reader;

/// The channels of every contact that has a table, be it an empty one.
pub(super) type Channels = BTreeMap<ContactName, Vec<(Channel, ChannelSettings)>>;

/// What every channel has.
const COMMON: [&str; 3] = ["type", "name", "min_severity"];

/// What a channel of a type has beside that.
const fn keys(channel_type: ChannelType) -> &'static [&'static str] {
    match channel_type {
        ChannelType::Webhook => &["url", "secret"],
        ChannelType::Slack => &["url"],
        ChannelType::PagerDuty => &["routing_key", "url"],
        ChannelType::Smtp => &["url", "starttls", "from", "to"],
    }
}

/// Reads the values of one channel, and notes what is wrong with them.
struct ChannelReader<'r> {
    /// What the names of its keys begin with.
    name: String,
    table: &'r ChannelTable,
    wrong: Vec<String>,
}

impl Reader<'_> {
    pub(super) fn channels(&mut self) -> Channels {
        let mut all = Channels::new();
        for (name, tables) in &self.resolved.contacts.0 {
            let contact = match ContactName::parse(name) {
                Ok(contact) => contact,
                Err(error) => {
                    self.wrong.push(format!("`contacts.{name}`: {error}"));
                    continue;
                }
            };
            let mut channels: Vec<(Channel, ChannelSettings)> = Vec::new();
            for (expected, (place, table)) in tables.iter().enumerate() {
                let mut reader = ChannelReader {
                    name: format!("contacts.{name}.channels.{place}"),
                    table,
                    wrong: Vec::new(),
                };
                if expected != *place {
                    reader.refuse("", format!("there is no channel {expected}"));
                }
                if let Some((channel, settings)) = reader.channel(&channels) {
                    channels.push((channel, settings));
                }
                self.wrong.append(&mut reader.wrong);
            }
            all.insert(contact, channels);
        }
        all
    }
}

impl ChannelReader<'_> {
    fn refuse(&mut self, key: &str, detail: impl Display) {
        let dot = if key.is_empty() { "" } else { "." };
        let origin = self
            .table
            .get(key)
            .map(|(_, origin)| format!(" (from {origin})"));
        self.wrong.push(format!(
            "`{}{dot}{key}`{}: {detail}",
            self.name,
            origin.unwrap_or_default()
        ));
    }

    fn optional<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (text, _) = self.table.get(key)?;
        parse(text).map_err(|error| self.refuse(key, error)).ok()
    }

    fn required<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if self.table.get(key).is_none_or(|(text, _)| text.is_empty()) {
            self.refuse(key, "this is needed");
            return None;
        }
        self.optional(key, parse)
    }

    fn secret(&mut self, key: &str) -> Option<SecretString> {
        self.required(key, |text| Ok::<_, &str>(text.to_owned().into()))
    }

    fn channel(
        &mut self,
        before: &[(Channel, ChannelSettings)],
    ) -> Option<(Channel, ChannelSettings)> {
        let channel_type = self.required("type", ChannelType::parse)?;
        let allowed = keys(channel_type);
        for key in self.table.keys() {
            if !COMMON.contains(key) && !allowed.contains(key) {
                let detail = format!(
                    "a channel of type {channel_type} has no such key; it has {}",
                    allowed.join(", ")
                );
                self.refuse(key, detail);
            }
        }
        let name = self.channel_name(channel_type, before);
        let min_severity = if self.table.contains_key("min_severity") {
            self.optional("min_severity", Severity::parse)
        } else {
            Some(Severity::Low)
        };
        let settings = self.settings(channel_type);
        let channel = Channel {
            name: name?,
            channel_type,
            min_severity: min_severity?,
        };
        Some((channel, settings?))
    }

    /// The name as given, else the type, made unique by a number.
    fn channel_name(
        &mut self,
        channel_type: ChannelType,
        before: &[(Channel, ChannelSettings)],
    ) -> Option<ChannelName> {
        let taken = |name: &ChannelName| before.iter().any(|(channel, _)| channel.name == *name);
        if self.table.contains_key("name") {
            let name = self.required("name", ChannelName::parse)?;
            if taken(&name) {
                self.refuse("name", format!("another channel is called `{name}`"));
                return None;
            }
            return Some(name);
        }
        (1..).find_map(|number: u32| {
            let text = match number {
                1 => channel_type.to_string(),
                _ => format!("{channel_type}-{number}"),
            };
            let name = ChannelName::parse(&text).ok()?;
            (!taken(&name)).then_some(name)
        })
    }

    fn settings(&mut self, channel_type: ChannelType) -> Option<ChannelSettings> {
        Some(match channel_type {
            ChannelType::Webhook => {
                let url = self.required("url", SecretUrl::parse_http);
                let secret = self.secret("secret");
                ChannelSettings::Webhook {
                    url: url?,
                    secret: secret?,
                }
            }
            ChannelType::Slack => ChannelSettings::Slack {
                url: self.required("url", SecretUrl::parse_http)?,
            },
            ChannelType::PagerDuty => {
                let url = if self.table.contains_key("url") {
                    self.required("url", SecretUrl::parse_http)
                } else {
                    SecretUrl::parse_http(PAGERDUTY_URL).ok()
                };
                let routing_key = self.secret("routing_key");
                ChannelSettings::PagerDuty {
                    url: url?,
                    routing_key: routing_key?,
                }
            }
            ChannelType::Smtp => ChannelSettings::Smtp(self.smtp()?),
        })
    }

    fn smtp(&mut self) -> Option<SmtpSettings> {
        let url = self.required("url", SecretUrl::parse_smtp);
        let address = |text: &str| format!("`{text}` is not an address such as guard@example.com");
        let from = self.required("from", |text| {
            text.parse::<Mailbox>().map_err(|_| address(text))
        });
        let to = self.required("to", |text| {
            text.parse::<Mailboxes>().map_err(|_| address(text))
        });
        let starttls = if self.table.contains_key("starttls") {
            self.optional("starttls", |text| {
                text.parse::<bool>()
                    .map_err(|_| format!("`{text}` is neither true nor false"))
            })
        } else {
            Some(true)
        };
        let settings = SmtpSettings {
            url: url?,
            starttls: starttls?,
            from: from?,
            to: to?,
        };
        if let Err(error) = settings.check() {
            self.refuse("url", error);
            return None;
        }
        Some(settings)
    }
}

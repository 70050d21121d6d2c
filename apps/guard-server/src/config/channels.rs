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

    fn required<T, E: Display>(
        &mut self,
        key: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        match self.table.get(key) {
            Some((text, _)) if !text.is_empty() => {
                parse(text).map_err(|error| self.refuse(key, error)).ok()
            }
            _ => {
                self.refuse(key, "this is needed");
                None
            }
        }
    }

    fn optional<T, E: Display>(
        &mut self,
        key: &str,
        default: T,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        if self.table.contains_key(key) {
            self.required(key, parse)
        } else {
            Some(default)
        }
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
        let min_severity = self.optional("min_severity", Severity::Low, Severity::parse);
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
                let usual = SecretUrl::parse_http(PAGERDUTY_URL).ok()?;
                let url = self.optional("url", usual, SecretUrl::parse_http);
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
        let starttls = self.optional("starttls", true, |text| {
            text.parse::<bool>()
                .map_err(|_| format!("`{text}` is neither true nor false"))
        });
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

#[cfg(test)]
mod tests {
    use super::super::resolve::{Resolved, load};
    use super::super::{Settings, report};
    use super::*;

    const FILE: &str = r#"
[escalation]
contacts = ["boss"]
default_contact = "night-shift"

[contacts.quiet]

[[contacts.night-shift.channels]]
type = "webhook"
url = "https://user:s3cret@example.com/hook?token=s3cret"
secret = "whsec_s3cret"

[[contacts.night-shift.channels]]
type = "slack"
name = "chat"
url = "https://hooks.slack.com/services/s3cret"
min_severity = "high"

[[contacts.night-shift.channels]]
type = "pagerduty"

[[contacts.night-shift.channels]]
type = "smtp"
url = "smtps://guard:s3cret@mail.example.com"
from = "Neural Guard <guard@example.com>"
to = ["one@example.com", "Two <two@example.com>"]

[[contacts.night-shift.channels]]
type = "smtp"
url = "smtp://127.0.0.1:2525"
starttls = false
from = "guard@example.com"
to = "one@example.com"
"#;

    fn resolve(file: &str, environment: &[(&str, &str)]) -> Result<Resolved, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guard.toml");
        std::fs::write(&path, file).unwrap();
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        load(Some(&path), environment).map_err(|error| error.to_string())
    }

    fn settings(file: &str, environment: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::of(&resolve(file, environment)?).map_err(|error| error.to_string())
    }

    const KEY: (&str, &str) = (
        "NEURAL_GUARD__CONTACTS__NIGHT_SHIFT__CHANNELS__2__ROUTING_KEY",
        "s3cret",
    );

    #[test]
    fn contacts_have_channels_from_the_file_and_the_environment() {
        let settings = settings(FILE, &[KEY]).unwrap();
        let contacts: Vec<_> = settings.contacts.iter().map(ContactName::as_str).collect();
        assert_eq!(contacts, ["boss", "default", "night-shift", "quiet"]);
        let night = &settings.channels[&settings.default_contact];
        let shown: Vec<_> = night
            .iter()
            .map(|(channel, settings)| {
                assert_eq!(channel.channel_type, settings.channel_type());
                format!("{} {}", channel.name, channel.min_severity)
            })
            .collect();
        let expected = [
            "webhook low",
            "chat high",
            "pagerduty low",
            "smtp low",
            "smtp-2 low",
        ];
        assert_eq!(shown, expected);
        let ChannelSettings::Smtp(mail) = &night[3].1 else {
            panic!("not mail")
        };
        assert_eq!((mail.starttls, mail.to.iter().count()), (true, 2));
        let ChannelSettings::PagerDuty { url, .. } = &night[2].1 else {
            panic!("not PagerDuty")
        };
        assert_eq!(url.expose().as_str(), PAGERDUTY_URL);

        let alone = [
            ("NEURAL_GUARD__CONTACTS__ONCALL__CHANNELS__0__TYPE", "slack"),
            (
                "NEURAL_GUARD__CONTACTS__ONCALL__CHANNELS__0__URL",
                "https://x",
            ),
        ];
        let oncall = ContactName::parse("oncall").unwrap();
        let settings = super::tests::settings("", &alone).unwrap();
        assert_eq!(settings.channels[&oncall].len(), 1);
    }

    #[test]
    fn no_secret_of_a_channel_is_shown() {
        let slip = (
            "NEURAL_GUARD__CONTACTS__NIGHT_SHIFT__CHANNELS__2__ROTUING_KEY",
            "s3cret",
        );
        let wrong = FILE
            .replace("whsec_s3cret", "")
            .replace("smtps://", "smtp://")
            .replace("https://hooks", "ftp://hooks")
            .replace("from = \"guard@", "starttls_ = \"s3cret@");
        let resolved = resolve(FILE, &[KEY]).unwrap();
        let texts = [
            report(&resolved),
            format!("{resolved:?}"),
            format!("{:?}", Settings::of(&resolved).unwrap()),
            resolve(FILE, &[slip]).unwrap_err(),
            resolve(&wrong, &[]).unwrap_err(),
            settings(&wrong.replace("starttls_", "from"), &[KEY]).unwrap_err(),
        ];
        for text in &texts {
            assert!(!text.contains("s3cret"), "{text}");
        }
        let [shown, ..] = texts;
        let line = |name: &str| {
            let found = shown.lines().find(|line| line.starts_with(name));
            found
                .unwrap_or_else(|| panic!("no {name}: {shown}"))
                .to_owned()
        };
        let key = line("contacts.night-shift.channels.2.routing_key");
        assert!(
            key.contains("********") && key.ends_with(&format!("# from environment {}", KEY.0)),
            "{key}"
        );
        assert!(line("contacts.night-shift.channels.1.name").contains("\"chat\""));
    }

    #[test]
    fn wrong_keys_name_the_nearest() {
        let wrong = |file: &str, words: &str| {
            let error = settings(file, &[]).unwrap_err();
            assert!(error.contains(words), "{error}");
        };
        let channel = |text: &str| format!("[[contacts.a.channels]]\n{text}");
        wrong(
            &channel("type = 'slack'\nulr = 'https://x'"),
            "unknown key `contacts.a.channels.0.ulr`; did you mean `contacts.a.channels.0.url`?",
        );
        wrong(
            "[[contacts.a.chanels]]\ntype = 'slack'",
            "unknown key `contacts.a.chanels.0.type`; did you mean `contacts.a.channels.0.type`?",
        );
        wrong(
            "[contacts]\na = 'slack'",
            "unknown key `contacts.a`; did you mean `contacts.a.channels`?",
        );
        wrong(
            "[contacts.a.channels.first]\ntype = 'slack'",
            "`[[contacts.a.channels]]`",
        );
        wrong(
            "[[contact.a.channels]]\ntype = 'slack'",
            "unknown key `contact.a.channels.0.type`",
        );
        wrong("contacts = 'a'", "unknown key `contacts`");
        wrong("[contacts.A_b]", "`contacts.A_b`: `A_b` is not a slug");
        wrong(
            &channel("type = 'slak'\nurl = 'https://x'"),
            "did you mean `slack`?",
        );
        wrong(
            &channel("url = 'https://x'"),
            "`contacts.a.channels.0.type`: this is needed",
        );
        wrong(
            &channel("type = 'slack'\nurl = 'https://x'\nsecret = 'x'"),
            "a channel of type slack has no such key; it has url",
        );
        wrong(
            &channel("type = 'webhook'\nurl = 'https://x'"),
            "`contacts.a.channels.0.secret`: this is needed",
        );
        wrong(
            &channel("type = 'slack'\nurl = 'https://x'\nmin_severity = 'hgih'"),
            "did you mean `high`?",
        );
        let one = "type = 'slack'\nurl = 'https://x'\nname = 'x'\n";
        wrong(
            &format!("{}{}", channel(one), channel(one)),
            "another channel is called `x`",
        );
        wrong(
            &channel(
                "type = 'smtp'\nurl = 'smtp://u:p@example.com'\nstarttls = false\nfrom = 'a@b.c'\nto = 'a@b.c'",
            ),
            "a password needs smtps:// or STARTTLS",
        );
        wrong(
            &channel("type = 'smtp'\nurl = 'smtps://example.com'\nfrom = 'nobody'\nto = 'a@b.c'"),
            "`nobody` is not an address",
        );
        let gap = [("NEURAL_GUARD__CONTACTS__A__CHANNELS__1__TYPE", "slack")];
        let error = settings("", &gap).unwrap_err();
        assert!(error.contains("there is no channel 0"), "{error}");
        wrong("[escalation]\ndeadline = '0'", "this cannot be 0");
        wrong("[escalation]\ndeadline = '91d'", "still to be sent");
    }
}

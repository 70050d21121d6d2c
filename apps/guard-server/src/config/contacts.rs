//! The keys of contacts: `contacts.<contact>.channels.<place>.<key>`.
//!
//! There is no end to them, so that they are not among [`KEYS`](super::KEYS).

use std::collections::BTreeMap;

use guard_domain::suggest;

use super::resolve::Origin;

/// What the names of all of these keys begin with.
const SECTION: &str = "contacts.";
/// What contacts have.
const CHANNELS: &str = "channels";

/// A key of a channel.
#[derive(Debug, Clone, Copy)]
pub(super) struct ChannelKey {
    pub(super) name: &'static str,
    /// Whether it is shown as it is. What is not named here is not shown, so that a typing slip shows no secret.
    pub(super) shown: bool,
}

const fn key(name: &'static str, shown: bool) -> ChannelKey {
    ChannelKey { name, shown }
}

/// Every key that a channel may have, whatever its type.
pub(super) const CHANNEL_KEYS: &[ChannelKey] = &[
    key("type", true),
    key("name", true),
    key("min_severity", true),
    key("url", false),
    key("secret", false),
    key("routing_key", false),
    key("starttls", true),
    key("from", true),
    key("to", true),
];

/// The values of one channel, and where they come from.
pub(super) type ChannelTable = BTreeMap<&'static str, (String, Origin)>;

/// The contacts that have a table, and the channels of each by their place.
#[derive(Clone, Default)]
pub(super) struct ContactTables(pub(super) BTreeMap<String, BTreeMap<usize, ChannelTable>>);

impl ContactTables {
    /// Whether a key is one of a contact.
    pub(super) fn has_key(name: &str) -> bool {
        name.starts_with(SECTION)
    }

    /// Notes that there is a contact.
    pub(super) fn add(&mut self, contact: &str) {
        self.0.entry(contact.to_owned()).or_default();
    }

    /// Says what a key is.
    ///
    /// # Errors
    /// A key that does not exist, with the nearest that does.
    pub(super) fn set(&mut self, name: &str, value: String, origin: Origin) -> Result<(), String> {
        let mut parts = name.strip_prefix(SECTION).unwrap_or(name).splitn(4, '.');
        let mut next = || parts.next().unwrap_or_default();
        let (contact, channels, place, key) = (next(), next(), next(), next());
        let unknown = |nearest: Option<String>| {
            let hint = suggest::hint(nearest.as_deref());
            format!("unknown key `{name}`{hint}")
        };
        if channels != CHANNELS {
            let rest = name.strip_prefix(&format!("{SECTION}{contact}.{channels}"));
            let rest = rest.unwrap_or_default();
            let nearest = format!("{SECTION}{contact}.{CHANNELS}{rest}");
            return Err(unknown(Some(nearest)));
        }
        let Ok(place) = place.parse::<usize>() else {
            return Err(format!(
                "`{name}`: channels are a list, `[[{SECTION}{contact}.{CHANNELS}]]`, or numbered from 0"
            ));
        };
        let mut known = CHANNEL_KEYS.iter().map(|known| known.name);
        let Some(known) = known.clone().find(|known| *known == key) else {
            let nearest = suggest::nearest(key, &mut known);
            return Err(unknown(nearest.map(|nearest| {
                format!("{SECTION}{contact}.{CHANNELS}.{place}.{nearest}")
            })));
        };
        let channels = self.0.entry(contact.to_owned()).or_default();
        let channel = channels.entry(place).or_default();
        channel.insert(known, (value, origin));
        Ok(())
    }

    /// Every key with its value as it may be shown, and where it comes from.
    pub(super) fn shown(&self) -> Vec<(String, String, &Origin)> {
        let mut all = Vec::new();
        for (contact, channels) in &self.0 {
            for (place, channel) in channels {
                for key in CHANNEL_KEYS {
                    let Some((value, origin)) = channel.get(key.name) else {
                        continue;
                    };
                    let value = if key.shown {
                        format!("{value:?}")
                    } else {
                        "********".to_owned()
                    };
                    let name = format!("{SECTION}{contact}.{CHANNELS}.{place}.{}", key.name);
                    all.push((name, value, origin));
                }
            }
        }
        all
    }
}

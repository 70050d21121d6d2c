//! The effective configuration, to read.

use super::keys::{KEYS, WITHOUT_EFFECT};
use super::resolve::{Origin, Resolved};

/// Every key with its value, secrets masked, and where it comes from.
#[must_use]
pub fn report(resolved: &Resolved) -> String {
    let widest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0);
    let names = widest(&mut KEYS.iter().map(|key| key.name.len()));
    let shown: Vec<String> = KEYS
        .iter()
        .map(|key| value_of(resolved, key.name, key.secret))
        .collect();
    let values = widest(&mut shown.iter().map(|value| value.chars().count().min(40)));
    let mut text = String::new();
    for (key, value) in KEYS.iter().zip(shown) {
        let origin = resolved.origin(key.name).unwrap_or(&Origin::Default);
        let name = key.name;
        text.push_str(&format!("{name:names$}  {value:values$}  # from {origin}"));
        let set = *origin != Origin::Default;
        if set && WITHOUT_EFFECT.contains(&name) {
            text.push_str("; has no effect in this release");
        }
        text.push('\n');
    }
    for (name, value, origin) in resolved.contacts.shown() {
        text.push_str(&format!(
            "{name:names$}  {value:values$}  # from {origin}\n"
        ));
    }
    text
}

fn value_of(resolved: &Resolved, name: &str, secret: bool) -> String {
    match resolved.get(name) {
        None => "(not set)".to_owned(),
        Some(_) if secret => "********".to_owned(),
        Some(value) if is_address(name) => format!("{:?}", without_credentials(value)),
        Some(value) => format!("{value:?}"),
    }
}

/// Whether a key is for an address, in which there may be a password.
fn is_address(name: &str) -> bool {
    name.ends_with("url") || name.ends_with("endpoint")
}

/// An address without the user and the passwords in it, though it be none for want of its scheme.
pub(super) fn without_credentials(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        return match value.rfind('@') {
            Some(at) => format!("****{}", value.get(at..).unwrap_or_default()),
            None => value.to_owned(),
        };
    };
    let end = rest.find('/').unwrap_or(rest.len());
    let rest = match rest.get(..end).and_then(|authority| authority.rfind('@')) {
        Some(at) => format!("****{}", rest.get(at..).unwrap_or_default()),
        None => rest.to_owned(),
    };
    let Some((address, query)) = rest.split_once('?') else {
        return format!("{scheme}://{rest}");
    };
    let options: Vec<String> = query
        .split('&')
        .map(|option| match option.split_once('=') {
            Some((name, _)) if name.contains("password") => format!("{name}=****"),
            _ => option.to_owned(),
        })
        .collect();
    format!("{scheme}://{address}?{}", options.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_and_origins_named() {
        let mut resolved = Resolved::defaults();
        resolved.set(
            "auth.api_key",
            "do-not-show-this",
            Origin::Environment("NEURAL_GUARD_API_KEY".into()),
        );
        let text = report(&resolved);
        assert!(!text.contains("do-not-show"), "{text}");
        let line = text
            .lines()
            .find(|line| line.starts_with("auth.api_key"))
            .unwrap();
        assert!(
            line.contains("********") && line.ends_with("# from environment NEURAL_GUARD_API_KEY")
        );
        let line = text
            .lines()
            .find(|line| line.starts_with("n8n.timeout"))
            .unwrap();
        assert!(
            line.contains(r#""30s""#) && line.ends_with("# from default"),
            "{line}"
        );
        assert_eq!(text.lines().count(), KEYS.len());
        assert_eq!(
            without_credentials("http://u:p@h:1/a@b"),
            "http://****@h:1/a@b"
        );
        assert_eq!(without_credentials("http://h/a@b"), "http://h/a@b");
        assert_eq!(without_credentials("u:p@h:1"), "****@h:1");
        assert_eq!(
            without_credentials("postgres://h/d?user=u&password=p&sslmode=require"),
            "postgres://h/d?user=u&password=****&sslmode=require"
        );
    }

    #[test]
    fn the_guide_names_every_key_with_its_default() {
        let guide = include_str!("../../../../docs/configuration.md");
        for key in KEYS {
            let default = match key.default {
                None => "not set".to_owned(),
                Some("") => "(empty)".to_owned(),
                Some(default) => format!("`{default}`"),
            };
            let row = format!("| `{}` | {default} | {}", key.name, key.about);
            assert!(guide.contains(&row), "docs/configuration.md lacks: {row}");
        }
        let rows = guide.lines().filter(|line| line.starts_with("| `")).count();
        assert_eq!(
            rows,
            KEYS.len(),
            "docs/configuration.md names a key that does not exist"
        );
    }
}

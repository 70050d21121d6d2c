//! Which source has the say about which key.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use config::{Config, File, FileFormat, Value, ValueKind};
use guard_domain::suggest;

use super::contacts::ContactTables;
use super::keys::{KEYS, Key};

/// The file that is read if nobody names one.
const DEFAULT_FILE: &str = "neural-guard.toml";
/// Environment variables that name keys begin so.
const PREFIX: &str = "NEURAL_GUARD__";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody said.
    Default,
    /// This file.
    File(PathBuf),
    /// This environment variable.
    Environment(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment {name}"),
        }
    }
}

/// The value of every key that has one, and where it comes from. Lists are separated by commas.
#[derive(Clone, Default)]
pub struct Resolved {
    values: BTreeMap<&'static str, (String, Origin)>,
    pub(super) contacts: ContactTables,
}

/// Some of the values are secrets: only the keys are shown.
impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

impl Resolved {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(|(value, _)| value.as_str())
    }

    /// Where the value of a key comes from.
    #[must_use]
    pub fn origin(&self, name: &str) -> Option<&Origin> {
        self.values.get(name).map(|(_, origin)| origin)
    }

    /// Says what a key is. One that does not exist has no effect.
    pub fn set(&mut self, name: &str, value: impl Into<String>, origin: Origin) {
        _ = self.try_set(name, value, origin);
    }

    /// As [`Resolved::set`]; gives what is wrong with a key that does not exist.
    fn try_set(
        &mut self,
        name: &str,
        value: impl Into<String>,
        origin: Origin,
    ) -> Result<(), String> {
        if ContactTables::has_key(name) {
            return self.contacts.set(name, value.into(), origin);
        }
        self.values.insert(known(name)?, (value.into(), origin));
        Ok(())
    }

    /// Every key as it is if nobody says anything.
    #[must_use]
    pub fn defaults() -> Self {
        let mut resolved = Self::default();
        for Key { name, default, .. } in KEYS {
            if let Some(value) = default {
                resolved.set(name, *value, Origin::Default);
            }
        }
        resolved
    }
}

/// Reads the file and the environment.
///
/// # Errors
/// A file that cannot be read, and every key that does not exist, with the nearest that does.
pub fn load(
    file: Option<&Path>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> anyhow::Result<Resolved> {
    let mut resolved = Resolved::defaults();
    let mut wrong = Vec::new();
    let beside = Path::new(DEFAULT_FILE);
    if let Some(path) = file.or_else(|| beside.exists().then_some(beside)) {
        read_file(path, &mut resolved, &mut wrong)?;
    }
    read_environment(environment, &mut resolved, &mut wrong);
    if !wrong.is_empty() {
        bail!("the configuration is wrong:\n{}", wrong.join("\n"));
    }
    Ok(resolved)
}

fn read_file(path: &Path, resolved: &mut Resolved, wrong: &mut Vec<String>) -> anyhow::Result<()> {
    if !path.exists() {
        bail!("the configuration file `{}` is not there", path.display());
    }
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("the configuration file `{}` cannot be read", path.display()))?;
    // The parser's own report shows the line, which may hold a secret.
    if let Err(error) = toml::from_str::<toml::Table>(&text) {
        let before = error
            .span()
            .and_then(|span| text.get(..span.start))
            .unwrap_or_default();
        let line = 1 + before.matches('\n').count();
        bail!(
            "{}:{line}: this is not TOML: {}",
            path.display(),
            error.message()
        );
    }
    let table: BTreeMap<String, Value> = Config::builder()
        .add_source(File::from_str(&text, FileFormat::Toml))
        .build()
        .and_then(Config::try_deserialize)
        .with_context(|| format!("the configuration file `{}` cannot be read", path.display()))?;
    if let Some(ValueKind::Table(contacts)) = table.get("contacts").map(|value| &value.kind) {
        contacts
            .keys()
            .for_each(|contact| resolved.contacts.add(contact));
    }
    let mut flat = Vec::new();
    flatten("", table, &mut flat);
    for (name, value) in flat {
        let set = match text_of(value) {
            Some(text) => resolved.try_set(&name, text, Origin::File(path.to_owned())),
            None => known(&name).and(Err(format!("`{name}` has a value of the wrong kind"))),
        };
        if let Err(detail) = set {
            wrong.push(format!("{}: {detail}", path.display()));
        }
    }
    Ok(())
}

fn read_environment(
    environment: impl IntoIterator<Item = (String, String)>,
    resolved: &mut Resolved,
    wrong: &mut Vec<String>,
) {
    let (exact, rest): (Vec<_>, Vec<_>) = environment
        .into_iter()
        .partition(|(name, _)| name.starts_with(PREFIX));
    for (variable, value) in rest {
        let key = KEYS
            .iter()
            .find(|key| key.familiar == Some(variable.as_str()));
        // An empty familiar variable is one that somebody left blank.
        if let Some(key) = key.filter(|_| !value.is_empty()) {
            resolved.set(key.name, value, Origin::Environment(variable));
        }
    }
    for (variable, value) in exact {
        let name = name_of(variable.strip_prefix(PREFIX).unwrap_or_default());
        let origin = Origin::Environment(variable.clone());
        if let Err(detail) = resolved.try_set(&name, value, origin) {
            wrong.push(format!("environment {variable}: {detail}"));
        }
    }
}

/// The key that the rest of a variable's name stands for. Names of contacts have `-`, which variables cannot have.
fn name_of(variable: &str) -> String {
    let name = variable.to_ascii_lowercase();
    let mut parts: Vec<String> = name.split("__").map(str::to_owned).collect();
    if let [section, contact, ..] = parts.as_mut_slice()
        && section == "contacts"
    {
        *contact = contact.replace('_', "-");
    }
    parts.join(".")
}

fn known(name: &str) -> Result<&'static str, String> {
    KEYS.iter()
        .find(|key| key.name == name)
        .map(|key| key.name)
        .ok_or_else(|| {
            let nearest = suggest::nearest(name, KEYS.iter().map(|key| key.name));
            format!("unknown key `{name}`{}", suggest::hint(nearest))
        })
}

fn flatten(prefix: &str, table: BTreeMap<String, Value>, out: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let name = if prefix.is_empty() {
            key
        } else {
            format!("{prefix}.{key}")
        };
        match value.kind {
            ValueKind::Table(inner) => flatten(&name, inner.into_iter().collect(), out),
            // A list of tables: its places are like keys.
            ValueKind::Array(items) if items.iter().any(is_table) => {
                let places = (0..).map(|place: usize| place.to_string());
                flatten(&name, places.zip(items).collect(), out);
            }
            _ => out.push((name, value)),
        }
    }
}

fn is_table(value: &Value) -> bool {
    matches!(value.kind, ValueKind::Table(_))
}

fn text_of(value: Value) -> Option<String> {
    match value.kind {
        ValueKind::Array(items) => {
            let items: Option<Vec<_>> = items
                .into_iter()
                .map(|item| item.into_string().ok())
                .collect();
            items.map(|items| items.join(","))
        }
        _ => value.into_string().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn the_environment_is_over_the_file_and_the_exact_name_over_the_familiar_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guard.toml");
        std::fs::write(
            &path,
            "data_dir = \"/a\"\n[n8n]\nbase_url = \"http://file\"\nmax_in_flight = 3\n[events]\nextra_types = [\"a\", \"b\"]\n",
        )
        .unwrap();
        let familiar = [
            ("N8N_BASE_URL", "http://familiar"),
            ("RUST_LOG", ""),
            ("HOME", "/root"),
        ];
        let resolved = load(Some(&path), environment(&familiar)).unwrap();
        assert_eq!(resolved.get("n8n.base_url"), Some("http://familiar"));
        assert_eq!(resolved.get("n8n.max_in_flight"), Some("3"));
        assert_eq!(resolved.get("events.extra_types"), Some("a,b"));
        assert_eq!(resolved.get("log.filter"), Some("info"));
        assert_eq!(
            resolved.origin("data_dir"),
            Some(&Origin::File(path.clone()))
        );
        let exact = [
            ("N8N_BASE_URL", "http://familiar"),
            ("NEURAL_GUARD__N8N__BASE_URL", "http://exact"),
        ];
        let resolved = load(Some(&path), environment(&exact)).unwrap();
        assert_eq!(resolved.get("n8n.base_url"), Some("http://exact"));
    }

    #[test]
    fn unknown_keys_name_the_nearest_all_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guard.toml");
        std::fs::write(&path, "[server]\nlisen = \"x\"\n").unwrap();
        let variables = environment(&[("NEURAL_GUARD__N8N__BASE_ULR", "x")]);
        let error = load(Some(&path), variables).unwrap_err().to_string();
        assert!(
            error.contains("unknown key `server.lisen`; did you mean `server.listen`?"),
            "{error}"
        );
        assert!(
            error.contains("unknown key `n8n.base_ulr`; did you mean `n8n.base_url`?"),
            "{error}"
        );
        std::fs::write(&path, "[n8n]\nwebhook_token = \"sup3rs3cret\n").unwrap();
        let error = format!("{:#}", load(Some(&path), []).unwrap_err());
        assert!(
            error.contains("guard.toml:2: this is not TOML") && !error.contains("sup3r"),
            "{error}"
        );
        let missing = load(Some(Path::new("/nowhere.toml")), [])
            .unwrap_err()
            .to_string();
        assert_eq!(
            missing,
            "the configuration file `/nowhere.toml` is not there"
        );
    }
}

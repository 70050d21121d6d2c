//! The secrets that n8n shares with the guard and with Sentinel.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::node::{Credential, GUARD, SENTINEL, WEBHOOK};

/// Each credential, and the variable that has its token.
const VARIABLES: [(&Credential, &str); 3] = [
    (&WEBHOOK, "N8N_WEBHOOK_TOKEN"),
    (&SENTINEL, "SENTINEL_API_TOKEN"),
    (&GUARD, "NEURAL_GUARD_API_KEY"),
];

/// The tokens of an n8n of our own.
#[derive(Debug, Clone)]
pub(crate) struct Tokens(Vec<String>);

impl Tokens {
    /// Those of the environment; for the others, those of the last time or new ones, which are kept in a file of the folder that only
    /// its owner may read.
    pub(crate) fn find_or_make(folder: &Path) -> anyhow::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join("tokens.json");
        let kept = std::fs::read_to_string(&file).unwrap_or_default();
        let kept: Value = serde_json::from_str(&kept).unwrap_or_default();
        let mut tokens = Vec::new();
        for (_, variable) in VARIABLES {
            let given = std::env::var(variable)
                .ok()
                .filter(|token| !token.is_empty());
            let kept = || kept.get(variable)?.as_str().map(str::to_owned);
            tokens.push(given.or_else(kept).map_or_else(random, Ok)?);
        }
        let names = VARIABLES.iter().map(|(_, variable)| (*variable).to_owned());
        let all: serde_json::Map<String, Value> =
            names.zip(tokens.iter().map(|token| json!(token))).collect();
        write_secret(&file, &Value::from(all).to_string())?;
        Ok(Self(tokens))
    }

    /// Each token with its variable: the webhooks', Sentinel's, the guard's.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let variables = VARIABLES.iter().map(|(_, variable)| *variable);
        variables.zip(self.0.iter().map(String::as_str))
    }

    /// The credentials as n8n imports them.
    pub(crate) fn credentials(&self) -> Value {
        let each = VARIABLES.iter().zip(&self.0);
        each.map(|((credential, _), token)| {
            json!({
                "id": credential.id,
                "name": credential.name,
                "type": "httpHeaderAuth",
                "data": { "name": "Authorization", "value": format!("Bearer {token}") },
            })
        })
        .collect()
    }
}

/// Writes a file that only its owner may read.
pub(crate) fn write_secret(file: &Path, text: &str) -> std::io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)?;
    file.write_all(text.as_bytes())
}

fn random() -> std::io::Result<String> {
    let mut bytes = [0; 24];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

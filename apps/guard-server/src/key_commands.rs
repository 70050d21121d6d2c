//! The commands that look after API keys, on the database itself: a server may be running on it.

use std::io::Read;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use chrono::{DateTime, TimeDelta, Utc};
use clap::{Args, Subcommand};
use guard_app::KeyOrder;
use guard_app::ports::{Actor, ApiKey, ApiKeys, Clock, KeyMaker, Random, Scope};
use guard_domain::{TenantId, timestamp};
use guard_identity::RandomKeys;
use guard_store::Store;
use secrecy::{ExposeSecret, SecretString};

use crate::config::Settings;
use crate::system::SystemRandom;
use crate::wiring::{clock, open_store};

/// How many keys are read at once.
const PAGE: u32 = 500;
/// The longest input that is read for a secret, in bytes.
const MAX_INPUT: u64 = 4096;

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make a key, and print it this once
    Create(CreateArguments),
    /// List the keys of a tenant, revoked and expired ones too
    List {
        /// Whose keys
        #[arg(long, default_value = "default")]
        tenant: String,
    },
    /// Revoke a key: every instance refuses it within five seconds
    Revoke {
        /// The id in the key: `ng_<id>_<secret>`
        id: String,
        /// Whose key
        #[arg(long, default_value = "default")]
        tenant: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// Whose key
    #[arg(long, default_value = "default")]
    tenant: String,
    /// What to call it
    #[arg(long)]
    label: String,
    /// What it may do, such as events:write; give it again for more
    #[arg(long = "scope", required = true, value_name = "SCOPE")]
    scopes: Vec<String>,
    /// After which time it is refused, such as 90d; never if not given
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
    /// Take the secret from standard input instead of making one
    #[arg(long)]
    secret_stdin: bool,
}

/// What the commands work with.
struct Desk {
    store: Store,
    clock: Arc<dyn Clock>,
    actor: Actor,
}

/// Does what the command says.
pub(crate) fn run(settings: &Settings, command: KeysCommand) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (clock, _) = clock(settings).await?;
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        let desk = Desk {
            store: open_store(settings, &clock, &random).await?,
            clock,
            actor: Actor::system("command-line"),
        };
        let done = match command {
            KeysCommand::Create(arguments) => desk.create(arguments, RandomKeys(random)).await,
            KeysCommand::List { tenant } => desk.list(&tenant).await,
            KeysCommand::Revoke { id, tenant } => desk.revoke(&tenant, &id).await,
        };
        desk.store.close().await;
        done
    })
}

impl Desk {
    async fn create(&self, wanted: CreateArguments, maker: RandomKeys) -> anyhow::Result<ExitCode> {
        let tenant = TenantId::parse(&wanted.tenant)?;
        let now = self.clock.now();
        let expires_at = wanted.expires.map(|after| end(now, after)).transpose()?;
        let order = KeyOrder::parse(&wanted.label, &wanted.scopes, expires_at, now);
        let order = order.map_err(|wrong| {
            let wrong: Vec<_> = wrong
                .iter()
                .map(|error| {
                    format!(
                        "`{}`: {}",
                        error.pointer.trim_start_matches('/'),
                        error.detail
                    )
                })
                .collect();
            anyhow::anyhow!(wrong.join("\n"))
        })?;
        let fresh = if wanted.secret_stdin {
            maker.of_secret(&secret_from(std::io::stdin().lock())?)?
        } else {
            maker.generate()
        };
        let issued = order.fill(tenant, fresh, now);
        let stored = self.store.insert_key(&issued.stored, &self.actor).await;
        stored.context("the key was not made")?;
        println!("{}", issued.key.expose_secret());
        eprintln!("the key is shown this once; its id is {}", issued.stored.id);
        Ok(ExitCode::SUCCESS)
    }

    async fn list(&self, tenant: &str) -> anyhow::Result<ExitCode> {
        let tenant = TenantId::parse(tenant)?;
        let mut above = String::new();
        println!(
            "{}",
            row(["id", "state", "last used", "expires", "scopes", "label"])
        );
        loop {
            let keys = self.store.list_keys(&tenant, &above, PAGE).await?;
            let Some(last) = keys.last() else {
                return Ok(ExitCode::SUCCESS);
            };
            above.clone_from(&last.id);
            for key in &keys {
                println!("{}", described(key, self.clock.now()));
            }
        }
    }

    async fn revoke(&self, tenant: &str, id: &str) -> anyhow::Result<ExitCode> {
        let tenant = TenantId::parse(tenant)?;
        let revoked = self.store.revoke_key(&tenant, id, &self.actor).await;
        let Some(key) = revoked.context("the key was not revoked")? else {
            bail!("tenant `{tenant}` has no key of this id; `keys list` shows those it has");
        };
        println!("key {} ({}) is revoked", key.id, key.label);
        Ok(ExitCode::SUCCESS)
    }
}

/// The moment after a time.
fn end(now: DateTime<Utc>, after: Duration) -> anyhow::Result<DateTime<Utc>> {
    let after = TimeDelta::from_std(after).ok();
    let end = after.and_then(|after| now.checked_add_signed(after));
    end.context("`expires`: this is too long")
}

/// A secret, without the line break that an editor or `echo` adds.
fn secret_from(input: impl Read) -> anyhow::Result<SecretString> {
    let mut text = String::new();
    let read = input.take(MAX_INPUT).read_to_string(&mut text);
    read.context("the secret cannot be read from standard input")?;
    let secret = text.strip_suffix('\n').unwrap_or(&text);
    Ok(secret
        .strip_suffix('\r')
        .unwrap_or(secret)
        .to_owned()
        .into())
}

fn row(cells: [&str; 6]) -> String {
    let [id, state, used, expires, scopes, label] = cells;
    format!("{id:16}  {state:7}  {used:20}  {expires:20}  {scopes:30}  {label}")
}

fn described(key: &ApiKey, now: DateTime<Utc>) -> String {
    let state = match (key.revoked_at, key.expires_at) {
        (Some(_), _) => "revoked",
        (None, Some(expires_at)) if expires_at <= now => "expired",
        _ => "valid",
    };
    let shown = |at: Option<DateTime<Utc>>| {
        at.map_or_else(
            || "never".to_owned(),
            |at| {
                timestamp::format(at)
                    .chars()
                    .take(19)
                    .chain(['Z'])
                    .collect()
            },
        )
    };
    let scopes: Vec<_> = key.scopes.iter().copied().map(Scope::as_str).collect();
    row([
        &key.id,
        state,
        &shown(key.last_used_at),
        &shown(key.expires_at),
        &scopes.join(" "),
        &key.label,
    ])
}

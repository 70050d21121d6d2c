//! What is SQLite's alone: what happens when the disk, the data or the caller fails.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod chain;
mod commits;
mod damage;
mod file;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use guard_app::ports::Intake;
use guard_store::{NotificationSettings, Store, StoreSettings};
use guard_testkit::contract::{World, channels};
use guard_testkit::{FakeClock, SeededRandom, event_body};
use sqlx::{Connection, SqliteConnection};

/// A rule that calls a contact with two channels.
const PAGES: &str =
    "rules: [{ id: page, event_type: '*', action: { escalate: { to: oncall, message: x } } }]";

struct Fixture {
    world: World<Store>,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.db");
    let (clock, random) = (
        Arc::new(FakeClock::new()),
        Arc::new(SeededRandom::default()),
    );
    let settings = StoreSettings {
        timeout: Duration::from_secs(2),
        notifications: NotificationSettings {
            channels: channels(),
            ..NotificationSettings::default()
        },
        ..StoreSettings::default()
    };
    let store = Store::open_sqlite(&path, clock.clone(), random.clone(), settings)
        .await
        .unwrap();
    let world = World {
        store: Arc::new(store),
        clock,
        random,
    }
    .with_rules()
    .await;
    Fixture {
        world,
        path,
        _folder: folder,
    }
}

impl Fixture {
    /// Another connection to the same file.
    async fn connect(&self) -> SqliteConnection {
        SqliteConnection::connect(&format!("sqlite://{}", self.path.display()))
            .await
            .unwrap()
    }

    /// Holds the file until the connection is closed or rolls back.
    async fn hold_the_file(&self) -> SqliteConnection {
        let mut other = self.connect().await;
        let begin = sqlx::query("BEGIN IMMEDIATE").execute(&mut other);
        begin.await.unwrap();
        other
    }

    async fn execute(&self, statement: &'static str) {
        sqlx::query(statement)
            .execute(&mut self.connect().await)
            .await
            .unwrap();
    }

    async fn count(&self, statement: &'static str) -> i64 {
        sqlx::query_scalar(statement)
            .fetch_one(&mut self.connect().await)
            .await
            .unwrap()
    }

    async fn batch(&self, contexts: &[&str]) -> Vec<Intake> {
        let mut batch = Vec::new();
        for context in contexts {
            batch.push(
                self.world
                    .intake(&event_body("user_offboarding", "low", context), None)
                    .await,
            );
        }
        batch
    }
}

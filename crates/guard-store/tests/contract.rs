//! SQLite keeps the storage contract.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::Arc;

use guard_store::{SqliteStore, StoreSettings};
use guard_testkit::contract::World;
use guard_testkit::{FakeClock, SeededRandom, storage_contract};

async fn fresh() -> (World<SqliteStore>, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let (clock, random) = (
        Arc::new(FakeClock::new()),
        Arc::new(SeededRandom::default()),
    );
    let path = folder.path().join("guard.db");
    let store = SqliteStore::open(
        &path,
        clock.clone(),
        random.clone(),
        StoreSettings::default(),
    )
    .await;
    (
        World {
            store: Arc::new(store.expect("a database")),
            clock,
            random,
        },
        folder,
    )
}

storage_contract!(fresh);

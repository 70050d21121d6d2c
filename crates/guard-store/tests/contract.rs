//! Both databases keep the storage contract.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::sync::Arc;

use guard_store::{NotificationSettings, PostgresAddress, Store, StoreSettings};
use guard_testkit::contract::{World, channels};
use guard_testkit::{FakeClock, SeededRandom, TestDatabase};

fn settings() -> StoreSettings {
    StoreSettings {
        notifications: NotificationSettings {
            channels: channels(),
            ..NotificationSettings::default()
        },
        ..StoreSettings::default()
    }
}

mod sqlite {
    use super::*;

    async fn fresh() -> (World<Store>, tempfile::TempDir) {
        let folder = tempfile::tempdir().expect("a folder");
        let (clock, random) = (
            Arc::new(FakeClock::new()),
            Arc::new(SeededRandom::default()),
        );
        let path = folder.path().join("guard.db");
        let settings = settings();
        let store = Store::open_sqlite(&path, clock.clone(), random.clone(), settings).await;
        (
            World {
                store: Arc::new(store.expect("a database")),
                clock,
                random,
            },
            folder,
        )
    }

    guard_testkit::storage_contract!(fresh);
}

mod postgres {
    use super::*;

    async fn fresh() -> (World<Store>, TestDatabase) {
        let database = TestDatabase::create().await;
        let (clock, random) = (
            Arc::new(FakeClock::new()),
            Arc::new(SeededRandom::default()),
        );
        let address = PostgresAddress::parse(&database.url(), None).expect("an address");
        let settings = settings();
        let store = Store::open_postgres(&address, clock.clone(), random.clone(), settings).await;
        (
            World {
                store: Arc::new(store.expect("a database")),
                clock,
                random,
            },
            database,
        )
    }

    guard_testkit::storage_contract!(fresh);
}

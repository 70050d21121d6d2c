//! What is PostgreSQL's alone: one instance and its server, and several instances that act as one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod deliveries;
mod instances;
mod notifications;
mod plans;
mod publications;
mod retention;
mod row_security;
mod server;

use std::sync::Arc;
use std::time::Duration;

use guard_store::{NotificationSettings, PostgresAddress, Store, StoreSettings};
use guard_testkit::contract::{World, channels};
use guard_testkit::{FakeClock, SeededRandom, TestDatabase};

/// Instances that share a database, a clock, and nothing else.
async fn instances<const N: usize>(database: &TestDatabase) -> [World<Store>; N] {
    let address = PostgresAddress::parse(&database.url(), None).unwrap();
    instances_at(&address, &Arc::default()).await
}

async fn instances_at<const N: usize>(
    address: &PostgresAddress,
    random: &Arc<SeededRandom>,
) -> [World<Store>; N] {
    let clock = Arc::new(FakeClock::new());
    let mut worlds = Vec::new();
    for _ in 0..N {
        let settings = StoreSettings {
            timeout: Duration::from_secs(4),
            notifications: NotificationSettings {
                channels: channels(),
                ..NotificationSettings::default()
            },
            ..StoreSettings::default()
        };
        let store = Store::open_postgres(address, clock.clone(), random.clone(), settings).await;
        worlds.push(World {
            store: Arc::new(store.unwrap()),
            clock: clock.clone(),
            random: random.clone(),
        });
    }
    worlds.try_into().unwrap_or_else(|_| panic!("N of them"))
}

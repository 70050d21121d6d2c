//! A database of an earlier build is read as one of this.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use chrono::TimeDelta;
use guard_app::ports::{Archive, EventFilter, IdPage};
use guard_domain::{DecisionKind, EventType, Source, TenantId};
use guard_store::{PostgresAddress, Store, StoreSettings};
use guard_testkit::contract::World;
use guard_testkit::{FakeClock, SeededRandom, TestDatabase, event_body};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// What there was before events were found by spans. One event is a rehearsal, whose id is older than its arrival.
const BEFORE: &str = "DROP TABLE event_spans;
    UPDATE events SET decision = 'dry_run', received_at = received_at + 1024000 WHERE event_type = 'backup_failed';
    CREATE INDEX events_by_source ON events (tenant, source, event_id);
    CREATE INDEX events_by_type ON events (tenant, event_type, event_id);
    CREATE INDEX events_by_decision ON events (tenant, decision, event_id)";

fn world(store: Store, clock: &Arc<FakeClock>, random: &Arc<SeededRandom>) -> World<Store> {
    World {
        store: Arc::new(store),
        clock: clock.clone(),
        random: random.clone(),
    }
}

/// Records events of two sources and types.
async fn record(world: &World<Store>) {
    world.publish(guard_testkit::contract::RULES).await;
    for (event_type, source) in [
        ("user_offboarding", "sentinel"),
        ("backup_failed", "other"),
        ("user_offboarding", "sentinel"),
    ] {
        let body = event_body(event_type, "low", "{}").replace("sentinel", source);
        let intake = world.intake(&body, None).await;
        world.commit(&[intake]).await;
        world.clock.advance(TimeDelta::milliseconds(1500));
    }
}

/// How many events are found by a source, a type and a decision.
async fn found(store: &Store) -> [usize; 3] {
    let filters = [
        EventFilter {
            source: Source::parse("sentinel").ok(),
            ..EventFilter::default()
        },
        EventFilter {
            event_type: EventType::parse("backup_failed"),
            ..EventFilter::default()
        },
        EventFilter {
            decision: Some(DecisionKind::NoAction),
            ..EventFilter::default()
        },
    ];
    let mut counts = [0; 3];
    for (count, filter) in counts.iter_mut().zip(&filters) {
        let page = IdPage {
            before: None,
            limit: 50,
        };
        let tenant = TenantId::default_tenant();
        *count = store.events(&tenant, filter, page).await.unwrap().len();
    }
    counts
}

#[tokio::test]
async fn events_of_before_spans_are_found_in_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.db");
    let (clock, random) = (
        Arc::new(FakeClock::new()),
        Arc::new(SeededRandom::default()),
    );
    let open = || {
        let settings = StoreSettings::default();
        Store::open_sqlite(&path, clock.clone(), random.clone(), settings)
    };
    let world = world(open().await.unwrap(), &clock, &random);
    record(&world).await;
    assert_eq!(found(&world.store).await, [2, 1, 2]);
    world.store.close().await;
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for step in [
        BEFORE,
        include_str!("../../../migrations/sqlite/0013_event_spans.sql"),
        include_str!("../../../migrations/sqlite/0014_spans_of_rehearsals.sql"),
    ] {
        let step = sqlx::raw_sql(AssertSqlSafe(step));
        step.execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    assert_eq!(found(&open().await.unwrap()).await, [2, 1, 2]);
}

#[tokio::test]
async fn events_of_before_spans_are_found_in_postgres() {
    let database = TestDatabase::create().await;
    let address = PostgresAddress::parse(&database.url(), None).unwrap();
    let (clock, random) = (
        Arc::new(FakeClock::new()),
        Arc::new(SeededRandom::default()),
    );
    let open = || {
        let settings = StoreSettings::default();
        Store::open_postgres(&address, clock.clone(), random.clone(), settings)
    };
    let world = world(open().await.unwrap(), &clock, &random);
    record(&world).await;
    assert_eq!(found(&world.store).await, [2, 1, 2]);
    world.store.close().await;
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    for step in [
        BEFORE,
        include_str!("../../../migrations/postgres/0013_event_spans.sql"),
        include_str!("../../../migrations/postgres/0014_spans_of_rehearsals.sql"),
    ] {
        let step = sqlx::raw_sql(AssertSqlSafe(step));
        step.execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    assert_eq!(found(&open().await.unwrap()).await, [2, 1, 2]);
}

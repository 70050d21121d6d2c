//! A database of an earlier build is read as one of this.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use chrono::TimeDelta;
use guard_app::ports::{Archive, AuditPosition, EventFilter, IdPage};
use guard_domain::{DecisionKind, EventId, EventType, Source, TenantId};
use guard_store::{PostgresAddress, Store, StoreSettings};
use guard_testkit::contract::World;
use guard_testkit::{FakeClock, SeededRandom, TestDatabase, event_body};
use sqlx::{AssertSqlSafe, Connection, PgConnection, SqliteConnection};

/// What there was before events were found by spans, and records by the ends of their links. One event is a rehearsal, whose id is older than its arrival.
const BEFORE: &str = "DROP TABLE event_spans;
    UPDATE events SET decision = 'dry_run', received_at = received_at + 1024000 WHERE event_type = 'backup_failed';
    CREATE INDEX events_by_source ON events (tenant, source, event_id);
    CREATE INDEX events_by_type ON events (tenant, event_type, event_id);
    CREATE INDEX events_by_decision ON events (tenant, decision, event_id);
    DROP INDEX audit_log_by_place;
    ALTER TABLE audit_log DROP COLUMN inside;
    CREATE INDEX audit_log_by_place ON audit_log (tenant, chain, link, position)";

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
        let mut batch = Vec::new();
        for _ in 0..3 {
            batch.push(world.intake(&body, None).await);
        }
        world.commit(&batch).await;
        world.clock.advance(TimeDelta::milliseconds(1500));
    }
}

/// The events whose records are found by their place.
async fn walked(store: &Store) -> Vec<Option<EventId>> {
    let tenant = TenantId::default_tenant();
    let start = AuditPosition::new();
    let (records, _) = store.audit_after(&tenant, &start, 100).await.unwrap();
    records.iter().map(|record| record.event_id).collect()
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
async fn what_an_earlier_build_wrote_is_found_in_sqlite() {
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
    assert_eq!(found(&world.store).await, [6, 3, 6]);
    let before = walked(&world.store).await;
    assert!(before.len() > 9);
    world.store.close().await;
    let url = format!("sqlite://{}", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    for step in [
        BEFORE,
        include_str!("../../../migrations/sqlite/0013_event_spans.sql"),
        include_str!("../../../migrations/sqlite/0014_spans_of_rehearsals.sql"),
        include_str!("../../../migrations/sqlite/0015_ends_of_links.sql"),
    ] {
        let step = sqlx::raw_sql(AssertSqlSafe(step));
        step.execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let store = open().await.unwrap();
    assert_eq!(found(&store).await, [6, 3, 6]);
    assert_eq!(walked(&store).await, before);
}

#[tokio::test]
async fn what_an_earlier_build_wrote_is_found_in_postgres() {
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
    assert_eq!(found(&world.store).await, [6, 3, 6]);
    let before = walked(&world.store).await;
    assert!(before.len() > 9);
    world.store.close().await;
    let mut connection = PgConnection::connect(&database.url()).await.unwrap();
    for step in [
        BEFORE,
        include_str!("../../../migrations/postgres/0013_event_spans.sql"),
        include_str!("../../../migrations/postgres/0014_spans_of_rehearsals.sql"),
        include_str!("../../../migrations/postgres/0015_ends_of_links.sql"),
    ] {
        let step = sqlx::raw_sql(AssertSqlSafe(step));
        step.execute(&mut connection).await.unwrap();
    }
    connection.close().await.unwrap();
    let store = open().await.unwrap();
    assert_eq!(found(&store).await, [6, 3, 6]);
    assert_eq!(walked(&store).await, before);
}

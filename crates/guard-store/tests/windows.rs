//! What windows have counted survives restarts, and is not counted twice or half.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use guard_app::ports::CommitOutcome;
use guard_domain::DecisionKind;
use guard_store::{Store, StoreSettings};
use guard_testkit::contract::{World, recorded};
use guard_testkit::{FakeClock, SeededRandom, event_body};
use sqlx::{Connection, SqliteConnection};

const THIRD: &str =
    "rules: [{ id: third, event_type: '*', window: { count: 3, within: 10m }, action: ignore }]";

async fn open(path: &Path, random: &Arc<SeededRandom>) -> World<Store> {
    let clock = Arc::new(FakeClock::new());
    let settings = StoreSettings::default();
    let store = Store::open_sqlite(path, clock.clone(), random.clone(), settings).await;
    World {
        store: Arc::new(store.unwrap()),
        clock,
        random: random.clone(),
    }
}

async fn record(world: &World<Store>) -> DecisionKind {
    world
        .record("backup_failed", "high", "{}")
        .await
        .decision
        .kind
}

#[tokio::test]
async fn a_restart_forgets_no_match() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.db");
    let random = Arc::new(SeededRandom::default());
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let world = open(&path, &random).await;
        world.publish(THIRD).await;
        kinds.push(record(&world).await);
    }
    use DecisionKind::{Ignored, NoAction};
    assert_eq!(kinds, [NoAction, NoAction, Ignored]);
}

#[tokio::test]
async fn an_event_that_is_refused_does_not_count() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guard.db");
    let world = open(&path, &Arc::new(SeededRandom::default())).await;
    world.publish(THIRD).await;
    let mut connection = connect(&path).await;
    // It is refused after its match was written.
    sqlx::query(
        "CREATE TRIGGER failing BEFORE INSERT ON audit_log
         WHEN EXISTS (SELECT 1 FROM events e WHERE e.event_id = NEW.event_id AND e.body LIKE '%refuse%')
         BEGIN SELECT RAISE(ABORT, 'refused'); END",
    )
    .execute(&mut connection)
    .await
    .unwrap();
    let mut batch = Vec::new();
    for context in ["{}", r#"{"a":"refuse"}"#, r#"{"a":"refuse"}"#, "{}"] {
        let body = event_body("backup_failed", "high", context);
        batch.push(world.intake(&body, None).await);
    }
    let outcomes = world.commit(&batch).await;
    for place in [0, 3] {
        let kind = recorded(&outcomes[place]).decision.kind;
        assert_eq!(kind, DecisionKind::NoAction, "{place}");
    }
    for place in [1, 2] {
        let outcome = &outcomes[place];
        assert!(matches!(outcome, CommitOutcome::Rejected(_)), "{outcome:?}");
    }
    assert_eq!(record(&world).await, DecisionKind::Ignored);
}

async fn connect(path: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}", path.display());
    SqliteConnection::connect(&url).await.unwrap()
}

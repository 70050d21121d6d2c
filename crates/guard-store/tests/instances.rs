//! Several instances on one PostgreSQL act as one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::{Actor, StartOutcome};
use guard_app::ports::{
    CommitOutcome, Controls, IdempotencyKey, Intake, Ledger, Outbox, PauseScope, StorageError,
};
use guard_domain::{DecisionKind, TenantId};
use guard_store::{DatabaseClock, PostgresAddress, Store, StoreSettings};
use guard_testkit::contract::{World, recorded};
use guard_testkit::{FakeClock, SeededRandom, TestDatabase, event_body, intake_key};
use sqlx::Connection;

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

/// Commits batches on several instances at the same time; gives what became of each intake.
async fn commit_at_once(worlds: &[World<Store>], batches: Vec<Vec<Intake>>) -> Vec<CommitOutcome> {
    let mut tasks = tokio::task::JoinSet::new();
    for (world, batch) in worlds.iter().zip(batches) {
        let store = world.store.clone();
        tasks.spawn(async move {
            store
                .commit(&batch, &World::<Store>::terms())
                .await
                .unwrap()
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

fn triggered(outcomes: &[CommitOutcome]) -> usize {
    let kinds = outcomes
        .iter()
        .map(|outcome| recorded(outcome).decision.kind);
    kinds
        .filter(|kind| *kind == DecisionKind::PlaybookTriggered)
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cooldown_fires_once_across_instances() {
    let database = TestDatabase::create().await;
    let worlds = instances::<3>(&database).await;
    let [first, ..] = &worlds;
    first.publish(guard_testkit::contract::RULES).await;
    for round in 0..20 {
        let mut batches = Vec::new();
        for (instance, world) in worlds.iter().enumerate() {
            let mut batch = Vec::new();
            // The same hosts in another order each time: locks must be taken in one order.
            for place in 0..4 {
                let host = format!(r#"{{"host":"{round}-{}"}}"#, (place * (instance + 1)) % 5);
                let body = event_body("security_threat", "high", &host);
                batch.push(world.intake(&body, None).await);
            }
            batches.push(batch);
        }
        let hosts: std::collections::HashSet<String> = batches
            .iter()
            .flatten()
            .map(|intake| intake.event.context().to_owned())
            .collect();
        let outcomes = commit_at_once(&worlds, batches).await;
        assert_eq!(triggered(&outcomes), hosts.len(), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_counts_across_instances() {
    let database = TestDatabase::create().await;
    let worlds = instances::<2>(&database).await;
    worlds[0]
        .publish("rules: [{ id: tenth, event_type: '*', window: { count: 10, within: 10m }, action: ignore }]")
        .await;
    let mut kinds = Vec::new();
    for _ in 0..5 {
        let mut batches = Vec::new();
        for world in &worlds {
            let body = event_body("backup_failed", "high", "{}");
            batches.push(vec![world.intake(&body, None).await]);
        }
        let outcomes = commit_at_once(&worlds, batches).await;
        kinds.extend(
            outcomes
                .iter()
                .map(|outcome| recorded(outcome).decision.kind),
        );
    }
    let acted = kinds
        .iter()
        .filter(|kind| **kind == DecisionKind::Ignored)
        .count();
    assert_eq!(acted, 1, "the tenth of ten, whichever it is: {kinds:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_key_runs_once_across_instances() {
    let database = TestDatabase::create().await;
    let worlds = instances::<3>(&database).await;
    worlds[0].publish(guard_testkit::contract::RULES).await;
    for round in 0..10 {
        let host = format!(r#"{{"host":"{round}"}}"#);
        let body = event_body("security_threat", "high", &host);
        let key: IdempotencyKey = intake_key(&format!("key-{round}"), &body);
        let mut batches = Vec::new();
        for world in &worlds {
            let one = world.intake(&body, Some(key.clone())).await;
            let again = world.intake(&body, Some(key.clone())).await;
            batches.push(vec![one, again]);
        }
        let outcomes = commit_at_once(&worlds, batches).await;
        let mut fresh = 0;
        let mut executions = std::collections::HashSet::new();
        for outcome in &outcomes {
            match outcome {
                CommitOutcome::Recorded(receipt) => {
                    fresh += 1;
                    executions.insert(receipt.execution.as_ref().unwrap().id);
                }
                CommitOutcome::Replayed(receipt) => {
                    executions.insert(receipt.execution.as_ref().unwrap().id);
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((fresh, executions.len()), (1, 1), "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_is_claimed_by_one_instance() {
    let database = TestDatabase::create().await;
    let worlds = instances::<3>(&database).await;
    worlds[0].publish(guard_testkit::contract::RULES).await;
    for host in 0..30 {
        let context = format!(r#"{{"host":"{host}"}}"#);
        worlds[0].record("security_threat", "high", &context).await;
    }
    let mut tasks = tokio::task::JoinSet::new();
    for world in worlds {
        tasks.spawn(async move {
            let mut ids = Vec::new();
            loop {
                let claimed = world.claim(4, &[]).await;
                if claimed.is_empty() {
                    return ids;
                }
                ids.extend(claimed.into_iter().map(|claimed| claimed.execution.id));
            }
        });
    }
    let ids: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    let unique: std::collections::HashSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), unique.len()), (30, 30));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_many_starts_acts() {
    let database = TestDatabase::create().await;
    let worlds = instances::<3>(&database).await;
    worlds[0].publish(guard_testkit::contract::RULES).await;
    let receipt = worlds[0].record("backup_failed", "high", "{}").await;
    let id = receipt.execution.unwrap().id;
    assert_eq!(worlds[1].claim(1, &[]).await.len(), 1);
    let mut tasks = tokio::task::JoinSet::new();
    for (number, world) in worlds.into_iter().enumerate() {
        tasks.spawn(async move {
            let tenant = TenantId::default_tenant();
            let n8n = format!("n8n-{number}");
            let started = world
                .store
                .start(&tenant, id, &n8n, TimeDelta::minutes(15))
                .await;
            matches!(started.unwrap(), StartOutcome::Started(_))
        });
    }
    let started = tasks
        .join_all()
        .await
        .into_iter()
        .filter(|started| *started)
        .count();
    assert_eq!(started, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_that_begin_at_once_share_what_there_is_one_of() {
    let database = TestDatabase::create().await;
    let address = PostgresAddress::parse(&database.url(), None).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    let random = Arc::new(SeededRandom::default());
    for number in 0..3 {
        let (address, random) = (address.clone(), random.clone());
        tasks.spawn(async move {
            let [world] = instances_at::<1>(&address, &random).await;
            world.publish(guard_testkit::contract::RULES).await;
            let tenant = TenantId::default_tenant();
            let scope = PauseScope::parse(&format!("rule:r{number}")).unwrap();
            let actor = Actor::system("test");
            world
                .store
                .pause(&tenant, &scope, "test", &actor)
                .await
                .unwrap();
            world
                .store
                .make_callback_key(&tenant, [number; 32])
                .await
                .unwrap()
        });
    }
    let keys = tasks.join_all().await;
    assert!(keys.iter().all(|key| *key == keys[0]), "one key: {keys:?}");
    let [world] = instances::<1>(&database).await;
    let pauses = world
        .store
        .pauses(&TenantId::default_tenant())
        .await
        .unwrap();
    assert_eq!(pauses.len(), 3, "no pause overwrote another");
}

#[tokio::test]
async fn connections_that_the_server_cut_are_replaced() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    world.publish(guard_testkit::contract::RULES).await;
    world.record("backup_failed", "high", "{}").await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(cut)
        .execute(&mut database.connect().await)
        .await
        .unwrap();
    world.record("backup_failed", "high", "{}").await;
}

#[tokio::test]
async fn a_commit_that_is_cut_off_leaves_nothing_and_is_not_reported_done() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    world.publish(guard_testkit::contract::RULES).await;
    let mut other = database.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        .execute(&mut other)
        .await
        .unwrap();
    let intake = world
        .intake(&event_body("backup_failed", "high", "{}"), None)
        .await;
    let begun = tokio::time::Instant::now();
    let refused = world
        .store
        .commit(std::slice::from_ref(&intake), &World::<Store>::terms())
        .await;
    assert!(
        matches!(refused, Err(StorageError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(
        begun.elapsed() < Duration::from_secs(4),
        "{:?}",
        begun.elapsed()
    );
    other.close().await.unwrap();
    let found = world
        .store
        .find_receipts(&[(intake.tenant.clone(), intake.event_id)])
        .await
        .unwrap();
    assert_eq!(found, [None]);
    // The same again, under the same ids.
    let outcomes = world.commit(&[intake]).await;
    recorded(&outcomes[0]);
}

#[tokio::test]
async fn a_commit_that_is_still_under_way_is_waited_for() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    world.publish(guard_testkit::contract::RULES).await;
    // The commit of two records takes a second.
    sqlx::raw_sql(
        "CREATE FUNCTION slow() RETURNS TRIGGER LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_sleep(1); RETURN NULL; END $$;
         CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON audit_links DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW WHEN (NEW.records = 2) EXECUTE FUNCTION slow()",
    )
    .execute(&mut database.connect().await)
    .await
    .unwrap();
    let mut batch = Vec::new();
    for _ in 0..2 {
        let body = event_body("user_offboarding", "low", "{}");
        batch.push(world.intake(&body, None).await);
    }
    let terms = World::<Store>::terms();
    let commit = world.store.commit(&batch, &terms);
    let cut_off = tokio::time::timeout(Duration::from_millis(500), commit).await;
    assert!(cut_off.is_err(), "{cut_off:?}");
    // Somebody else's act begins another chain of the audit meanwhile.
    let scope = PauseScope::parse("rule:other").unwrap();
    let actor = Actor::system("test");
    let tenant = TenantId::default_tenant();
    world
        .store
        .pause(&tenant, &scope, "test", &actor)
        .await
        .unwrap();
    let events: Vec<_> = batch
        .iter()
        .map(|intake| (intake.tenant.clone(), intake.event_id))
        .collect();
    let found = world.store.find_receipts(&events).await.unwrap();
    assert!(found.iter().all(Option::is_some), "{found:?}");
}

#[tokio::test]
async fn a_row_that_postgres_refuses_does_not_take_the_others_down() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    world.publish(guard_testkit::contract::RULES).await;
    let mut batch = Vec::new();
    for _ in 0..5 {
        batch.push(
            world
                .intake(&event_body("backup_failed", "high", "{}"), None)
                .await,
        );
    }
    batch[3].event_id = batch[0].event_id;
    let outcomes = world.commit(&batch).await;
    let refused = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, CommitOutcome::Rejected(_)));
    assert_eq!(refused.count(), 1, "{outcomes:?}");
    assert!(matches!(outcomes[3], CommitOutcome::Rejected(_)));
}

#[tokio::test]
async fn a_text_that_postgres_does_not_know_is_no_reason_to_refuse() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    world.publish(guard_testkit::contract::RULES).await;
    let context = r#"{"host":"a\u0000b","service":"c\u0000d"}"#;
    let kind = world
        .record("security_threat", "high", context)
        .await
        .decision
        .kind;
    assert_eq!(kind, DecisionKind::PlaybookTriggered);
    let kind = world
        .record("security_threat", "high", context)
        .await
        .decision
        .kind;
    assert_eq!(kind, DecisionKind::Suppressed, "the value is known again");
    world.record("health_check_failed", "high", context).await;
}

#[tokio::test]
async fn a_day_without_a_partition_gets_one() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    world.publish(guard_testkit::contract::RULES).await;
    world.clock.advance(TimeDelta::days(40));
    world.record("backup_failed", "high", "{}").await;
    let day: i64 = sqlx::query_scalar("SELECT count(*) FROM events_20261230")
        .fetch_one(&mut database.connect().await)
        .await
        .unwrap();
    assert_eq!(day, 1);
}

#[tokio::test]
async fn the_clock_is_the_database_s() {
    let database = TestDatabase::create().await;
    let address = PostgresAddress::parse(&database.url(), None).unwrap();
    let clock = DatabaseClock::start(&address, Duration::from_secs(5))
        .await
        .unwrap();
    let [world] = instances::<1>(&database).await;
    for _ in 0..2 {
        let micros: i64 =
            sqlx::query_scalar("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")
                .fetch_one(&mut database.connect().await)
                .await
                .unwrap();
        let here = guard_app::ports::Clock::now(&clock).timestamp_micros();
        assert!((here - micros).abs() < 1_000_000, "{here} {micros}");
        world.store.read_clock(&clock).await.unwrap();
    }
}

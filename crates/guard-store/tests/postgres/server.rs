//! One instance, and what its server does to it.

use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::{Actor, CommitOutcome, Controls, Ledger, PauseScope, StorageError};
use guard_domain::{DecisionKind, TenantId};
use guard_store::{DatabaseClock, PostgresAddress, Store};
use guard_testkit::contract::{World, recorded};
use guard_testkit::{TestDatabase, event_body};
use sqlx::Connection;

use super::instances;

#[tokio::test]
async fn connections_that_the_server_cut_are_replaced() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    world.publish(guard_testkit::contract::RULES).await;
    world.record("backup_failed", "high", "{}").await;
    world.record("security_threat", "high", "{}").await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    sqlx::query(cut)
        .execute(&mut database.connect().await)
        .await
        .unwrap();
    // It has a cooldown, and its transaction begins on a connection that was used a moment ago.
    world.record("security_threat", "high", "{}").await;
    world.record("backup_failed", "high", "{}").await;
}

#[tokio::test]
async fn a_database_that_came_back_with_other_numbers_of_its_types_is_written_to() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    world.publish(guard_testkit::contract::RULES).await;
    world.record("user_offboarding", "low", "{}").await;
    let migration = include_str!("../../../../migrations/postgres/0016_recorded_event.sql");
    let anew = format!("DROP TYPE recorded_event; {migration}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(anew))
        .execute(&mut database.connect().await)
        .await
        .unwrap();
    let body = event_body("user_offboarding", "low", "{}");
    let intake = world.intake(&body, None).await;
    let intake = std::slice::from_ref(&intake);
    let refused = world.store.commit(intake, &World::<Store>::terms()).await;
    assert!(
        matches!(refused, Err(StorageError::Unavailable(_))),
        "{refused:?}"
    );
    // The connection is not used again.
    recorded(&world.commit(intake).await[0]);
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
async fn what_was_looked_for_in_vain_is_not_recorded_afterwards() {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    world.publish(guard_testkit::contract::RULES).await;
    // From the second time on, the server has all of it at once.
    let first = world
        .intake(&event_body("user_offboarding", "low", "{}"), None)
        .await;
    recorded(&world.commit(&[first]).await[0]);
    let mut other = database.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE")
        .execute(&mut other)
        .await
        .unwrap();
    let intake = world
        .intake(&event_body("user_offboarding", "low", "{}"), None)
        .await;
    assert!(!intake.has_a_past(), "its commit is one statement");
    let terms = World::<Store>::terms();
    let commit = world.store.commit(std::slice::from_ref(&intake), &terms);
    let cut_off = tokio::time::timeout(Duration::from_millis(500), commit).await;
    assert!(cut_off.is_err(), "{cut_off:?}");
    let asked = [(intake.tenant.clone(), intake.event_id)];
    assert_eq!(world.store.find_receipts(&asked).await.unwrap(), [None]);
    // The server goes on with the statement, whose client has gone.
    other.close().await.unwrap();
    let mut watcher = database.connect().await;
    let busy = "SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND state = 'active' AND pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(busy)
        .fetch_one(&mut watcher)
        .await
        .unwrap()
        > 0
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(world.store.find_receipts(&asked).await.unwrap(), [None]);
    // The same again, under the same ids.
    let outcomes = world.commit(&[intake]).await;
    recorded(&outcomes[0]);
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

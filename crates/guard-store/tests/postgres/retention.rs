//! Dropping days while others use the tables.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::TimeDelta;
use guard_app::ports::{Archive, Dropped, Ledger, Retention};
use guard_domain::TenantId;
use guard_store::Store;
use guard_testkit::contract::{World, recorded};
use guard_testkit::{TestDatabase, event_body};
use sqlx::Connection;

use super::instances;

async fn drop_old(world: &World<Store>) -> Dropped {
    let kept = TimeDelta::days(2);
    let floor = world.store.floor(kept).await.unwrap();
    world.store.drop_old(floor, 1000).await.unwrap()
}

/// An event of the first day, three days ago.
async fn with_an_old_event(database: &TestDatabase) -> (World<Store>, guard_domain::EventId) {
    let [world] = instances::<1>(database).await;
    let world = world.with_rules().await;
    let old = world.record("user_offboarding", "low", "{}").await;
    world.clock.advance(TimeDelta::days(3));
    (world, old.event_id)
}

#[tokio::test]
async fn who_reads_holds_up_the_dropping_and_the_dropping_holds_up_nobody() {
    let database = TestDatabase::create().await;
    let (world, _) = with_an_old_event(&database).await;
    let mut reader = database.connect().await;
    // A dump holds all of them at once; a query that names a partition holds it alone.
    for held in ["events", "events_20261120", "audit_log_20261120"] {
        let lock = format!("BEGIN; LOCK TABLE ONLY {held} IN ACCESS SHARE MODE");
        sqlx::raw_sql(sqlx::AssertSqlSafe(lock))
            .execute(&mut reader)
            .await
            .unwrap();
        let begun = Instant::now();
        let commit = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            world.record("user_offboarding", "low", "{}").await;
        };
        let (dropped, ()) = tokio::join!(drop_old(&world), commit);
        assert!(dropped.held_up, "{held}: {dropped:?}");
        assert!(begun.elapsed() < Duration::from_secs(2), "{held}");
        sqlx::raw_sql("ROLLBACK")
            .execute(&mut reader)
            .await
            .unwrap();
    }
    let dropped = drop_old(&world).await;
    assert!(!dropped.held_up, "{dropped:?}");
    let left: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class WHERE relname IN ('events_20261120', 'audit_log_20261120')",
    )
    .fetch_one(&mut reader)
    .await
    .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn an_event_that_is_redriven_at_the_same_moment_stays() {
    let database = TestDatabase::create().await;
    let (world, event) = with_an_old_event(&database).await;
    let mut redrive = database.connect().await;
    let mut redriving = redrive.begin().await.unwrap();
    // As a redrive does: the event is read, and an execution of it is queued.
    sqlx::query("SELECT 1 FROM events WHERE event_id = $1")
        .bind(event.as_uuid())
        .fetch_one(&mut *redriving)
        .await
        .unwrap();
    sqlx::query(
        "INSERT INTO rule_executions (tenant, execution_id, event_id, rule_id, rule_version, playbook, severity,
             severity_rank, state, cooldown_value, params, next_attempt_at, deadline, executed_at)
         VALUES ('default', gen_random_uuid(), $1, 'r', 1, 'p', 'low', 0, 'queued', '', '{}', 0, 9e15, 0)",
    )
    .bind(event.as_uuid())
    .execute(&mut *redriving)
    .await
    .unwrap();
    let dropping = drop_old(&world);
    let committing = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        redriving.commit().await.unwrap();
    };
    let (dropped, ()) = tokio::join!(dropping, committing);
    assert!(dropped.held_up, "{dropped:?}");
    let found = world.store.event(&TenantId::default_tenant(), event).await;
    assert!(found.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_dropped_while_instances_commit() {
    let database = TestDatabase::create().await;
    let worlds = instances::<2>(&database).await;
    worlds[0].publish(guard_testkit::contract::RULES).await;
    for _ in 0..20 {
        worlds[0].record("user_offboarding", "low", "{}").await;
        worlds[0].clock.advance(TimeDelta::days(1));
    }
    worlds[0].clock.advance(TimeDelta::days(1));
    let done = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let mut committing = tokio::task::JoinSet::new();
    for world in worlds {
        let done = done.clone();
        committing.spawn(async move {
            let (mut slowest, mut commits) = (Duration::ZERO, 0);
            while !done.load(std::sync::atomic::Ordering::Relaxed) || commits < 10 {
                let body = event_body(
                    "security_threat",
                    "high",
                    &format!(r#"{{"host":{commits}}}"#),
                );
                let intake = world.intake(&body, None).await;
                let begun = Instant::now();
                let outcomes = world
                    .store
                    .commit(&[intake], &World::<Store>::terms())
                    .await;
                recorded(&outcomes.expect("no commit is a victim")[0]);
                slowest = slowest.max(begun.elapsed());
                commits += 1;
            }
            slowest
        });
    }
    let [world] = instances::<1>(&database).await;
    world.clock.advance(TimeDelta::days(21));
    let mut days = 0;
    for _ in 0..50 {
        let dropped = drop_old(&world).await;
        days += dropped.counts.get("events_days").unwrap_or(&0);
        if !dropped.held_up {
            break;
        }
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    let slowest = committing.join_all().await.into_iter().max().unwrap();
    assert!(days > 17, "{days} days were dropped");
    assert!(
        slowest < Duration::from_secs(2),
        "a commit took {slowest:?}"
    );
}

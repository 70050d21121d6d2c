//! Claims and acknowledgements, which are one statement here.

use std::collections::HashMap;
use std::time::Duration;

use guard_app::ports::{ClaimRequest, Outbox};
use guard_domain::ExecutionState;
use guard_store::Store;
use guard_testkit::TestDatabase;
use guard_testkit::contract::{RULES, World, acknowledged};
use tokio::task::JoinSet;

use super::instances;

/// An instance with so many executions to deliver, and its database.
async fn with_executions(count: u32) -> (TestDatabase, World<Store>) {
    let database = TestDatabase::create().await;
    let [world] = instances::<1>(&database).await;
    world.publish(RULES).await;
    for host in 0..count {
        let context = format!(r#"{{"host":"{host}"}}"#);
        world.record("security_threat", "high", &context).await;
    }
    (database, world)
}

async fn count(database: &TestDatabase, question: &'static str) -> i64 {
    let mut connection = database.connect().await;
    sqlx::query_scalar(question)
        .fetch_one(&mut connection)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_damaged_execution_is_set_aside_and_the_others_go_on() {
    let (database, world) = with_executions(3).await;
    sqlx::raw_sql(
        r#"UPDATE rule_executions SET playbook = 'NOT A SLUG' WHERE params LIKE '%"0"%';
           DELETE FROM events WHERE body LIKE '%"host":"2"%'"#,
    )
    .execute(&mut database.connect().await)
    .await
    .unwrap();
    let claimed = world.claim(10, &[]).await;
    let params: Vec<_> = claimed.iter().map(|one| one.params.as_str()).collect();
    assert_eq!(params, [r#"{"host":"1"}"#]);
    let dead = "SELECT count(*) FROM rule_executions WHERE state = 'dead'";
    assert_eq!(count(&database, dead).await, 2);
    let attempts = "SELECT count(*) FROM execution_attempts";
    assert_eq!(count(&database, attempts).await, 1, "nothing else was sent");
}

#[tokio::test]
async fn more_acknowledgements_at_once_than_connections_keep_plans() {
    let (database, world) = with_executions(30).await;
    let claimed = world.claim(30, &[]).await;
    assert_eq!(claimed.len(), 30);
    let mut settling = JoinSet::new();
    for one in claimed {
        let store = world.store.clone();
        settling.spawn(async move { store.settle(&one, &acknowledged()).await.unwrap() });
    }
    for settled in settling.join_all().await {
        assert_eq!(settled.execution.state, ExecutionState::Acknowledged);
    }
    let ended = "SELECT count(*) FROM execution_attempts WHERE outcome = 'acknowledged'";
    assert_eq!(count(&database, ended).await, 30);
}

#[tokio::test]
async fn an_older_claim_is_only_noted() {
    let (database, world) = with_executions(1).await;
    let older = world.claim(1, &[]).await.remove(0);
    sqlx::raw_sql("UPDATE rule_executions SET epoch = epoch + 1")
        .execute(&mut database.connect().await)
        .await
        .unwrap();
    let settled = world.store.settle(&older, &acknowledged()).await.unwrap();
    assert_eq!(settled.execution.state, ExecutionState::Dispatching);
    let ended = "SELECT count(*) FROM execution_attempts WHERE outcome = 'acknowledged'";
    assert_eq!(count(&database, ended).await, 1);
}

#[tokio::test]
async fn a_damaged_execution_whose_workflow_has_spoken_stays_as_it_is() {
    let (database, world) = with_executions(1).await;
    // It is damaged, and has started by the time at which somebody finds that.
    sqlx::raw_sql(
        "UPDATE rule_executions SET playbook = 'NOT A SLUG';
         CREATE FUNCTION start() RETURNS TRIGGER LANGUAGE plpgsql AS
             $$ BEGIN NEW.state = 'started'; RETURN NEW; END $$;
         CREATE TRIGGER start BEFORE UPDATE ON rule_executions
             FOR EACH ROW WHEN (NEW.state = 'dispatching') EXECUTE FUNCTION start()",
    )
    .execute(&mut database.connect().await)
    .await
    .unwrap();
    assert!(world.claim(1, &[]).await.is_empty());
    let started = "SELECT count(*) FROM rule_executions WHERE state = 'started'";
    assert_eq!(count(&database, started).await, 1);
    let attempts = "SELECT count(*) FROM execution_attempts";
    assert_eq!(count(&database, attempts).await, 1);
}

#[tokio::test]
async fn a_connection_with_a_plan_for_other_columns_is_not_used_again() {
    let (database, world) = with_executions(2).await;
    let first = world.claim(1, &[]).await.remove(0);
    // As a newer build does it during a rolling restart.
    sqlx::raw_sql("ALTER TABLE rule_executions ADD COLUMN later TEXT")
        .execute(&mut database.connect().await)
        .await
        .unwrap();
    let request = ClaimRequest {
        instance: "test".to_owned(),
        limit: 1,
        lease: Duration::from_secs(60),
        of_each: 1,
        fewer_of: HashMap::new(),
    };
    let refused = world.store.claim_due(&request).await;
    assert!(refused.is_err(), "{refused:?}");
    let second = world.store.claim_due(&request).await.unwrap().remove(0);
    for claimed in [first, second] {
        world.store.settle(&claimed, &acknowledged()).await.unwrap();
    }
}

#[tokio::test]
async fn what_the_server_cut_is_claimed_and_settled_again() {
    let (database, world) = with_executions(2).await;
    let claimed = world.claim(1, &[]).await.remove(0);
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()";
    let mut connection = database.connect().await;
    sqlx::query(cut).execute(&mut connection).await.unwrap();
    let settled = world.store.settle(&claimed, &acknowledged()).await;
    assert!(settled.is_err(), "its connection is taken to be good");
    let settled = world.store.settle(&claimed, &acknowledged()).await.unwrap();
    assert_eq!(settled.execution.state, ExecutionState::Acknowledged);
    assert_eq!(world.claim(10, &[]).await.len(), 1);
}

#[tokio::test]
async fn what_was_claimed_is_read_over_another_connection_if_the_first_is_cut() {
    let (database, world) = with_executions(2).await;
    let mut other = database.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE events")
        .execute(&mut other)
        .await
        .unwrap();
    let cut_when_it_waits = async {
        // It has claimed, and asks for the first event.
        let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while sqlx::query_scalar::<_, i64>(cut)
            .fetch_one(&mut other)
            .await
            .unwrap()
            == 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        sqlx::raw_sql("COMMIT").execute(&mut other).await.unwrap();
    };
    let (claimed, ()) = tokio::join!(world.claim(10, &[]), cut_when_it_waits);
    assert_eq!(claimed.len(), 2);
    let attempts = "SELECT count(*) FROM execution_attempts";
    assert_eq!(count(&database, attempts).await, 2, "each is claimed once");
}

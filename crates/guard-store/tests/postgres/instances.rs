//! Several instances on one PostgreSQL act as one.

use std::sync::Arc;

use chrono::TimeDelta;
use guard_app::ports::{
    Actor, CommitOutcome, Controls, IdempotencyKey, Intake, Leases, Ledger, Outbox, PauseScope,
    StartOutcome,
};
use guard_domain::{DecisionKind, TenantId};
use guard_store::{PostgresAddress, Store};
use guard_testkit::contract::{World, recorded};
use guard_testkit::{SeededRandom, TestDatabase, event_body, intake_key};

use super::{instances, instances_at};

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
async fn a_lease_is_taken_by_one_of_many_at_once() {
    let database = TestDatabase::create().await;
    let worlds = instances::<3>(&database).await;
    for round in 1..=10 {
        let mut tasks = tokio::task::JoinSet::new();
        for (number, world) in worlds.iter().enumerate() {
            let store = world.store.clone();
            tasks.spawn(async move {
                let owner = number.to_string();
                let minute = std::time::Duration::from_secs(60);
                store.try_acquire("job", &owner, minute).await.unwrap()
            });
        }
        let taken: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        assert_eq!(taken.len(), 1, "{taken:?}");
        assert_eq!(taken[0].epoch, round);
        worlds[0].clock.advance(TimeDelta::seconds(60));
    }
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
                .start(&tenant, id, &n8n, &TimeDelta::minutes(15).into())
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

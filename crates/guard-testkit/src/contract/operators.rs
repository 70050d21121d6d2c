//! Cases of what operators do with executions.

use chrono::TimeDelta;
use guard_app::ports::{Actor, CancelOutcome, Clock, NextStep, OrderOutcome};
use guard_domain::ExecutionState;

use super::{Storage, World, acknowledged, default_tenant, failed};

pub async fn an_execution_is_cancelled<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let (tenant, actor) = (default_tenant(), Actor::system("test"));
    let id = world.queue().await;
    let CancelOutcome::Cancelled(execution) =
        world.store.cancel(&tenant, id, &actor).await.unwrap()
    else {
        panic!()
    };
    assert_eq!(execution.state, ExecutionState::Cancelled);
    assert_eq!(world.claim(10, &[]).await.len(), 0);
    let again = world.store.cancel(&tenant, id, &actor).await.unwrap();
    assert_eq!(again, CancelOutcome::Refused(ExecutionState::Cancelled));
    assert!(world.may_fire_again().await, "nothing ran");
    let claimed = world.claim_one().await;
    let busy = world
        .store
        .cancel(&tenant, claimed.execution.id, &actor)
        .await
        .unwrap();
    assert_eq!(busy, CancelOutcome::Refused(ExecutionState::Dispatching));
    let (audit, _) = world
        .store
        .audit_after(&tenant, &Default::default(), 100)
        .await
        .unwrap();
    let record = audit
        .iter()
        .find(|record| record.action == "execution_cancelled")
        .unwrap();
    assert_eq!(record.target, Some(format!("execution:{id}")));
    assert_eq!(record.actor, "system:test");
}

pub async fn an_execution_is_redriven<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let (tenant, actor) = (default_tenant(), Actor::system("test"));
    let id = world.queue().await;
    let early = world
        .store
        .redrive(&tenant, id, TimeDelta::hours(1), &actor)
        .await
        .unwrap();
    assert_eq!(early, OrderOutcome::Refused(ExecutionState::Queued));
    let claimed = world.claim_one().await;
    world
        .store
        .settle(&claimed, &failed(false, NextStep::GiveUp))
        .await
        .unwrap();
    world.clock.advance(TimeDelta::hours(2));
    let again = world
        .store
        .redrive(&tenant, id, TimeDelta::hours(1), &actor)
        .await
        .unwrap();
    let OrderOutcome::Ordered(new) = again else {
        panic!("{again:?}")
    };
    assert_ne!(new.id, id);
    assert_eq!(new.redrive_of, Some(id));
    assert_eq!((new.state, new.attempts), (ExecutionState::Queued, 0));
    assert_eq!(new.deadline, world.clock.now() + TimeDelta::hours(1));
    let twice = world
        .store
        .redrive(&tenant, id, TimeDelta::hours(1), &actor)
        .await
        .unwrap();
    assert_eq!(
        twice,
        OrderOutcome::Open(new.id),
        "a repeated order is one order"
    );
    let claimed = world.claim_one().await;
    assert_eq!(claimed.execution.id, new.id);
    assert_eq!(claimed.params, r#"{"host":"a"}"#);
    assert_eq!(
        world.read(id).await.state,
        ExecutionState::Dead,
        "the old one stays as it ended"
    );
}

pub async fn a_cooldown_is_released_only_by_who_claimed_it<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let (tenant, actor) = (default_tenant(), Actor::system("test"));
    let first = world.queue().await;
    let claimed = world.claim_one().await;
    world
        .store
        .settle(&claimed, &failed(false, NextStep::GiveUp))
        .await
        .unwrap();
    let again = world
        .store
        .redrive(&tenant, first, TimeDelta::hours(1), &actor);
    let OrderOutcome::Ordered(redriven) = again.await.unwrap() else {
        panic!()
    };
    let delivered = world.claim_one().await;
    world
        .store
        .settle(&delivered, &acknowledged())
        .await
        .unwrap();
    world.finish(redriven.id, true).await;
    // A new event claims the cooldown; the end of an older execution must not free it.
    let owner = world.queue().await;
    let claimed = world.claim_one().await;
    world.store.settle(&claimed, &acknowledged()).await.unwrap();
    let third = world
        .store
        .redrive(&tenant, first, TimeDelta::hours(1), &actor);
    let OrderOutcome::Ordered(third) = third.await.unwrap() else {
        panic!()
    };
    assert_ne!(third.id, owner);
    let cancelled = world.store.cancel(&tenant, third.id, &actor).await.unwrap();
    assert!(matches!(cancelled, CancelOutcome::Cancelled(_)));
    assert!(!world.may_fire_again().await);
}

//! Cases of what workflows report.

use chrono::TimeDelta;
use guard_app::ports::{Actor, Clock, FinishOutcome, NextStep, StartOutcome, random_tail};
use guard_domain::{ExecutionId, ExecutionState};

use super::outbox::CONFIRM;
use super::{Storage, World, acknowledged, default_tenant, failed};

pub async fn only_one_delivery_starts<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let claimed = world.claim_one().await;
    world.store.settle(&claimed, &acknowledged()).await.unwrap();
    assert!(matches!(
        world.start(id, "7").await,
        StartOutcome::Started(_)
    ));
    assert!(
        matches!(world.start(id, "7").await, StartOutcome::Started(_)),
        "an answer can get lost"
    );
    assert!(matches!(
        world.start(id, "8").await,
        StartOutcome::Refused(_)
    ));
    assert_eq!(world.read(id).await.n8n_execution_id.as_deref(), Some("7"));
    world.finish(id, true).await;
    assert!(
        matches!(world.start(id, "7").await, StartOutcome::Refused(_)),
        "it is final"
    );
    let unknown = ExecutionId::new(world.clock.now(), random_tail(world.random.as_ref()));
    assert_eq!(world.start(unknown, "7").await, StartOutcome::NotFound);

    world.clock.advance(TimeDelta::minutes(10));
    let late = world.queue().await;
    world.clock.advance(TimeDelta::hours(1));
    assert!(
        matches!(world.start(late, "9").await, StartOutcome::Refused(_)),
        "past its deadline"
    );
}

pub async fn a_workflow_that_speaks_first_is_not_delivered_again<S: Storage + 'static>(
    world: World<S>,
) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let claimed = world.claim_one().await;
    world.start(id, "7").await;
    let at = world.clock.now();
    let settled = world
        .store
        .settle(&claimed, &failed(true, NextStep::Retry { at }))
        .await
        .unwrap();
    assert_eq!(
        settled.execution.state,
        ExecutionState::Started,
        "no answer, and yet it began"
    );
    world.clock.advance(TimeDelta::minutes(2));
    assert_eq!(world.claim(10, &[]).await.len(), 0);
    assert!(matches!(
        world.finish(id, false).await,
        FinishOutcome::Finished(_)
    ));
    assert_eq!(world.read(id).await.state, ExecutionState::Failed);

    // The result can come before n8n's own answer.
    world.clock.advance(TimeDelta::minutes(10));
    let quick = world.queue().await;
    let claimed = world.claim_one().await;
    world.start(quick, "8").await;
    world.finish(quick, true).await;
    let settled = world.store.settle(&claimed, &acknowledged()).await.unwrap();
    assert_eq!(settled.execution.state, ExecutionState::Succeeded);
    assert!(!settled.ended, "the result has ended it, and was counted");
    assert_eq!(settled.execution.acknowledged_at, Some(world.clock.now()));
}

pub async fn results_are_taken_once_and_late<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    assert!(
        matches!(world.finish(id, true).await, FinishOutcome::Finished(_)),
        "whatever the order"
    );
    let FinishOutcome::Repeated(same) = world.finish(id, false).await else {
        panic!()
    };
    assert_eq!(same.state, ExecutionState::Succeeded);

    world.clock.advance(TimeDelta::minutes(10));
    let dead = world.queue().await;
    let claimed = world.claim_one().await;
    world
        .store
        .settle(&claimed, &failed(false, NextStep::GiveUp))
        .await
        .unwrap();
    assert!(
        matches!(world.finish(dead, true).await, FinishOutcome::Finished(_)),
        "a late result"
    );

    world.clock.advance(TimeDelta::minutes(10));
    let cancelled = world.queue().await;
    world
        .store
        .cancel(&default_tenant(), cancelled, &Actor::system("test"))
        .await
        .unwrap();
    assert!(matches!(
        world.finish(cancelled, true).await,
        FinishOutcome::Refused(_)
    ));
    let unknown = ExecutionId::new(world.clock.now(), random_tail(world.random.as_ref()));
    assert_eq!(world.finish(unknown, true).await, FinishOutcome::NotFound);
}

pub async fn a_run_that_began_is_never_dead<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let claimed = world.claim_one().await;
    world.start(id, "7").await;
    // n8n's own answer says that nothing ran: the workflow knows better.
    let at = world.clock.now();
    world
        .store
        .settle(&claimed, &failed(false, NextStep::Retry { at }))
        .await
        .unwrap();
    world.clock.advance(CONFIRM);
    let expired = world.store.expire(10).await.unwrap();
    assert_eq!(expired[0].execution.state, ExecutionState::Unconfirmed);
    world.clock.advance(-TimeDelta::minutes(6));
    assert!(!world.may_fire_again().await, "it keeps its cooldown");
}

pub async fn the_failure_of_a_repeated_delivery_is_not_that_of_the_run<S: Storage + 'static>(
    world: World<S>,
) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let first = world.claim_one().await;
    let at = world.clock.now();
    world
        .store
        .settle(&first, &failed(true, NextStep::Retry { at }))
        .await
        .unwrap();
    let second = world.claim_one().await;
    world.start(id, "7").await;
    // The second delivery was told to stop, and n8n calls that an error.
    let settled = world
        .store
        .settle(&second, &failed(true, NextStep::Fail))
        .await
        .unwrap();
    assert_eq!(settled.execution.state, ExecutionState::Started);
    assert!(matches!(
        world.finish(id, true).await,
        FinishOutcome::Finished(_)
    ));
}

pub async fn an_acknowledgement_is_no_result<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let claimed = world.claim_one().await;
    world.store.settle(&claimed, &acknowledged()).await.unwrap();
    let execution = world.read(id).await;
    assert_eq!(execution.state, ExecutionState::Acknowledged);
    assert_eq!(execution.acknowledged_at, Some(world.clock.now()));
    assert_eq!(execution.finished_at, None);
    assert!(matches!(
        world.start(id, "7").await,
        StartOutcome::Started(_)
    ));
    let FinishOutcome::Finished(done) = world.finish(id, true).await else {
        panic!()
    };
    assert_eq!(done.state, ExecutionState::Succeeded);
    assert_eq!(done.message.as_deref(), Some("done"));
    assert_eq!(done.result_data.as_deref(), Some(r#"{"rows": 1.50}"#));
    assert_eq!(done.finished_at, Some(world.clock.now()));
    assert_eq!(world.claim(10, &[]).await.len(), 0);
}

pub async fn a_workflow_that_failed_has_failed<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let claimed = world.claim_one().await;
    world.start(id, "7").await;
    let settled = world
        .store
        .settle(&claimed, &failed(true, NextStep::Fail))
        .await
        .unwrap();
    assert_eq!(settled.execution.state, ExecutionState::Failed);
    assert_eq!(settled.escalation, None);
    assert!(matches!(
        world.finish(id, true).await,
        FinishOutcome::Repeated(_)
    ));
    assert_eq!(world.read(id).await.state, ExecutionState::Failed);
}

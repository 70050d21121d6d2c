//! Cases of the outbox.

use chrono::TimeDelta;
use guard_app::ports::{
    Actor, AttemptReport, CancelOutcome, Claimed, Clock, FinishOutcome, NextStep, RedriveOutcome,
    StartOutcome, WorkflowResult, random_tail,
};
use guard_domain::{
    AttemptOutcome, DecisionKind, Escalation, EscalationId, EscalationReason, Execution,
    ExecutionId, ExecutionState,
};

use super::{Storage, World, acknowledged, default_tenant, failed, page};

const CONFIRM: TimeDelta = TimeDelta::minutes(15);

fn result(succeeded: bool) -> WorkflowResult {
    WorkflowResult {
        succeeded,
        message: Some("done".to_owned()),
        data: Some(r#"{"rows": 1.50}"#.to_owned()),
    }
}

impl<S: Storage + 'static> World<S> {
    async fn queue(&self) -> ExecutionId {
        let receipt = self
            .record("security_threat", "high", r#"{"host":"a"}"#)
            .await;
        receipt.execution.expect("an execution").id
    }

    async fn claim_one(&self) -> Claimed {
        let mut claimed = self.claim(10, &[]).await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed.remove(0)
    }

    async fn read(&self, id: ExecutionId) -> Execution {
        let found = self.store.execution(&default_tenant(), id).await.unwrap();
        found.expect("the execution").execution
    }

    async fn start(&self, id: ExecutionId, n8n: &str) -> StartOutcome {
        self.store
            .start(&default_tenant(), id, n8n, CONFIRM)
            .await
            .unwrap()
    }

    async fn finish(&self, id: ExecutionId, succeeded: bool) -> FinishOutcome {
        self.store
            .finish(&default_tenant(), id, &result(succeeded))
            .await
            .unwrap()
    }

    async fn reasons(&self) -> Vec<EscalationReason> {
        let list = self
            .store
            .escalations(&default_tenant(), &Default::default(), page(10))
            .await;
        list.unwrap()
            .iter()
            .map(|escalation| escalation.reason)
            .collect()
    }

    /// Whether the cooldown of the queued execution is free again.
    async fn may_fire_again(&self) -> bool {
        let again = self
            .record("security_threat", "high", r#"{"host":"a"}"#)
            .await;
        again.decision.kind == DecisionKind::PlaybookTriggered
    }
}

pub async fn the_most_severe_is_claimed_first<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    for (host, severity) in [
        ("a", "low"),
        ("b", "high"),
        ("c", "critical"),
        ("d", "high"),
    ] {
        world
            .record(
                "security_threat",
                severity,
                &format!(r#"{{"host":"{host}"}}"#),
            )
            .await;
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    world
        .record("backup_failed", "critical", r#"{"host":"skipped"}"#)
        .await;
    let claimed = world.claim(3, &["recover"]).await;
    let hosts: Vec<_> = claimed
        .iter()
        .map(|claimed| claimed.params.as_str())
        .collect();
    assert_eq!(
        hosts,
        [r#"{"host":"c"}"#, r#"{"host":"b"}"#, r#"{"host":"d"}"#]
    );
    let first = &claimed[0];
    assert_eq!((first.epoch, first.execution.attempts), (1, 1));
    assert_eq!(first.execution.state, ExecutionState::Dispatching);
    assert_eq!(first.traceparent.as_deref(), Some("00-trace-1"));
    assert!(first.event.contains("security_threat"));
    assert_eq!(
        world.claim(10, &["recover"]).await.len(),
        1,
        "what is claimed is not claimed again"
    );
    assert_eq!(
        world.claim(10, &[]).await[0].execution.playbook.as_str(),
        "recover"
    );
    assert_eq!(world.claim(10, &[]).await.len(), 0);
}

pub async fn a_lease_ends_and_fences<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let old = world.claim_one().await;
    world
        .clock
        .advance(TimeDelta::seconds(60) - TimeDelta::microseconds(1));
    assert_eq!(world.claim(10, &[]).await.len(), 0, "the lease holds");
    world.clock.advance(TimeDelta::microseconds(1));
    let new = world.claim_one().await;
    assert_eq!(
        (new.execution.id, new.epoch, new.execution.attempts),
        (id, 2, 2)
    );
    let settled = world
        .store
        .settle(&old, &failed(true, NextStep::GiveUp))
        .await
        .unwrap();
    assert_eq!(
        settled.execution.state,
        ExecutionState::Dispatching,
        "an old claim has no say"
    );
    assert_eq!(settled.escalation, None);
    let settled = world.store.settle(&new, &acknowledged()).await.unwrap();
    assert_eq!(settled.execution.state, ExecutionState::Acknowledged);
    let detail = world
        .store
        .execution(&default_tenant(), id)
        .await
        .unwrap()
        .unwrap();
    let outcomes: Vec<_> = detail
        .attempts
        .iter()
        .map(|attempt| attempt.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [
            Some(AttemptOutcome::Retry),
            Some(AttemptOutcome::Acknowledged)
        ]
    );
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

pub async fn a_retry_waits<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let claimed = world.claim_one().await;
    let at = world.clock.now() + TimeDelta::seconds(5);
    let report = AttemptReport {
        status_code: Some(404),
        unregistered_since: Some(world.clock.now()),
        ..failed(false, NextStep::Retry { at })
    };
    let settled = world.store.settle(&claimed, &report).await.unwrap();
    assert_eq!(settled.execution.state, ExecutionState::Queued);
    assert_eq!(settled.execution.next_attempt_at, Some(at));
    assert_eq!(settled.execution.message.as_deref(), Some("it failed"));
    assert_eq!(world.claim(10, &[]).await.len(), 0);
    let since = world.clock.now();
    world.clock.advance(TimeDelta::seconds(5));
    let again = world.claim_one().await;
    assert_eq!((again.execution.id, again.execution.attempts), (id, 2));
    assert_eq!(again.unregistered_since, Some(since));
    let detail = world
        .store
        .execution(&default_tenant(), id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(detail.attempts[0].status_code, Some(404));
    assert!(!detail.attempts[0].may_have_run);
    assert!(detail.attempts[1].may_have_run, "until it is known");
}

pub async fn giving_up_without_a_run_is_dead_and_frees_the_cooldown<S: Storage + 'static>(
    world: World<S>,
) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let claimed = world.claim_one().await;
    let settled = world
        .store
        .settle(&claimed, &failed(false, NextStep::GiveUp))
        .await
        .unwrap();
    assert_eq!(settled.execution.state, ExecutionState::Dead);
    assert!(settled.ended);
    assert_eq!(
        settled.escalation.unwrap().message,
        "Playbook lockdown could not be delivered: it failed"
    );
    assert_eq!(world.reasons().await, [EscalationReason::Dead]);
    assert_eq!(world.read(id).await.finished_at, Some(world.clock.now()));
    assert!(world.may_fire_again().await);
}

pub async fn giving_up_after_a_run_is_unconfirmed_and_keeps_the_cooldown<S: Storage + 'static>(
    world: World<S>,
) {
    let world = world.with_rules().await;
    world.queue().await;
    let claimed = world.claim_one().await;
    let at = world.clock.now();
    world
        .store
        .settle(&claimed, &failed(true, NextStep::Retry { at }))
        .await
        .unwrap();
    let claimed = world.claim_one().await;
    let settled = world
        .store
        .settle(&claimed, &failed(false, NextStep::GiveUp))
        .await
        .unwrap();
    assert_eq!(settled.execution.state, ExecutionState::Unconfirmed);
    assert_eq!(world.reasons().await, [EscalationReason::Unconfirmed]);
    assert!(!world.may_fire_again().await);
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

pub async fn time_runs_out<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let (tenant, actor) = (default_tenant(), Actor::system("test"));
    let id = world.queue().await;
    world
        .clock
        .advance(TimeDelta::hours(1) - TimeDelta::microseconds(1));
    assert_eq!(world.store.expire(10).await.unwrap().len(), 0);
    world.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(
        world.claim(10, &[]).await.len(),
        0,
        "nothing is delivered past its deadline"
    );
    let expired = world.store.expire(10).await.unwrap();
    assert_eq!(expired[0].execution.id, id);
    assert_eq!(
        expired[0].execution.state,
        ExecutionState::Dead,
        "nothing reached n8n"
    );
    assert_eq!(
        expired[0].escalation.as_ref().unwrap().reason,
        EscalationReason::Dead
    );
    assert_eq!(world.store.expire(10).await.unwrap().len(), 0);

    let silent = world
        .store
        .redrive(&tenant, id, TimeDelta::hours(1), &actor);
    let RedriveOutcome::Redriven(silent) = silent.await.unwrap() else {
        panic!()
    };
    let claimed = world.claim_one().await;
    world.store.settle(&claimed, &acknowledged()).await.unwrap();
    world.clock.advance(CONFIRM);
    let expired = world.store.expire(10).await.unwrap();
    assert_eq!(expired[0].execution.id, silent.id);
    assert_eq!(expired[0].execution.state, ExecutionState::Unconfirmed);
    assert!(matches!(
        world.start(silent.id, "7").await,
        StartOutcome::Refused(_)
    ));

    // Died in the middle of a delivery: it may have run.
    let torn = world
        .store
        .redrive(&tenant, id, TimeDelta::seconds(30), &actor);
    let RedriveOutcome::Redriven(torn) = torn.await.unwrap() else {
        panic!()
    };
    world.claim_one().await;
    world.clock.advance(TimeDelta::seconds(31));
    assert_eq!(
        world.store.expire(10).await.unwrap().len(),
        0,
        "its lease still holds"
    );
    world.clock.advance(TimeDelta::seconds(30));
    let expired = world.store.expire(10).await.unwrap();
    assert_eq!(
        (expired[0].execution.id, expired[0].execution.state),
        (torn.id, ExecutionState::Unconfirmed)
    );
}

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
    assert_eq!(early, RedriveOutcome::Refused(ExecutionState::Queued));
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
    let RedriveOutcome::Redriven(new) = again else {
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
        RedriveOutcome::Open(new.id),
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

pub async fn an_escalation_is_raised_once<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let escalation = || Escalation {
        id: EscalationId::new(world.clock.now(), random_tail(world.random.as_ref())),
        reason: EscalationReason::TokenRefused,
        contact: guard_domain::ContactName::default_contact(),
        severity: guard_domain::Severity::High,
        message: "refused".to_owned(),
        event_id: None,
        execution_id: Some(id),
        rule_id: None,
        created_at: world.clock.now(),
    };
    let settle = async |refused: Escalation| {
        let claimed = world.claim_one().await;
        let report = AttemptReport {
            escalation: Some(refused),
            ..failed(
                false,
                NextStep::Retry {
                    at: world.clock.now(),
                },
            )
        };
        world
            .store
            .settle(&claimed, &report)
            .await
            .unwrap()
            .escalation
    };
    let first = escalation();
    assert_eq!(settle(first.clone()).await, Some(first));
    assert_eq!(settle(escalation()).await, None, "once is enough");
    assert_eq!(world.reasons().await, [EscalationReason::TokenRefused]);
}

pub async fn the_next_due_moment_is_known<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let due = || async { world.store.next_due().await.unwrap() };
    assert_eq!(due().await, None);
    let id = world.queue().await;
    let now = world.clock.now();
    assert_eq!(due().await, Some(now));
    let claimed = world.claim_one().await;
    assert_eq!(
        due().await,
        Some(now + TimeDelta::seconds(60)),
        "the end of the lease"
    );
    world.store.settle(&claimed, &acknowledged()).await.unwrap();
    assert_eq!(due().await, Some(now + CONFIRM));
    world.finish(id, true).await;
    assert_eq!(due().await, None);
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
    let RedriveOutcome::Redriven(redriven) = again.await.unwrap() else {
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
    let RedriveOutcome::Redriven(third) = third.await.unwrap() else {
        panic!()
    };
    assert_ne!(third.id, owner);
    let cancelled = world.store.cancel(&tenant, third.id, &actor).await.unwrap();
    assert!(matches!(cancelled, CancelOutcome::Cancelled(_)));
    assert!(!world.may_fire_again().await);
}

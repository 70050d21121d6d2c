//! Cases of the outbox.

use chrono::TimeDelta;
use guard_app::ports::{
    Actor, AttemptReport, Claimed, Clock, FinishOutcome, NextStep, OrderOutcome, StartOutcome,
    WorkflowResult, random_tail,
};
use guard_domain::{
    AttemptOutcome, DecisionKind, Escalation, EscalationId, EscalationReason, Execution,
    ExecutionId, ExecutionState,
};

use super::{Storage, World, acknowledged, default_tenant, failed, page};

pub(super) const CONFIRM: TimeDelta = TimeDelta::minutes(15);

pub(super) fn result(succeeded: bool) -> WorkflowResult {
    WorkflowResult {
        succeeded,
        message: Some("done".to_owned()),
        data: Some(r#"{"rows": 1.50}"#.to_owned()),
    }
}

impl<S: Storage + 'static> World<S> {
    pub(super) async fn queue(&self) -> ExecutionId {
        let receipt = self
            .record("security_threat", "high", r#"{"host":"a"}"#)
            .await;
        receipt.execution.expect("an execution").id
    }

    pub(super) async fn claim_one(&self) -> Claimed {
        let mut claimed = self.claim(10, &[]).await;
        assert_eq!(claimed.len(), 1, "{claimed:?}");
        claimed.remove(0)
    }

    pub(super) async fn read(&self, id: ExecutionId) -> Execution {
        let found = self.store.execution(&default_tenant(), id).await.unwrap();
        found.expect("the execution").execution
    }

    pub(super) async fn start(&self, id: ExecutionId, n8n: &str) -> StartOutcome {
        self.store
            .start(&default_tenant(), id, n8n, &CONFIRM.into())
            .await
            .unwrap()
    }

    pub(super) async fn finish(&self, id: ExecutionId, succeeded: bool) -> FinishOutcome {
        self.store
            .finish(&default_tenant(), id, &result(succeeded))
            .await
            .unwrap()
    }

    pub(super) async fn reasons(&self) -> Vec<EscalationReason> {
        let list = self
            .store
            .escalations(&default_tenant(), &Default::default(), page(10))
            .await;
        list.unwrap()
            .iter()
            .map(|record| record.escalation.reason)
            .collect()
    }

    /// Whether the cooldown of the queued execution is free again.
    pub(super) async fn may_fire_again(&self) -> bool {
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

pub async fn a_claim_takes_of_each_playbook_what_there_is_room_for<S: Storage + 'static>(
    world: World<S>,
) {
    let world = world.with_rules().await;
    for (host, severity) in [
        ("a", "high"),
        ("b", "critical"),
        ("c", "high"),
        ("d", "low"),
    ] {
        let context = format!(r#"{{"host":"{host}"}}"#);
        world.record("security_threat", severity, &context).await;
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    world.record("backup_failed", "high", "{}").await;
    let playbooks = |claimed: Vec<Claimed>| -> Vec<_> {
        let playbooks = claimed.iter().map(|one| &one.execution);
        playbooks
            .map(|one| (one.playbook.to_string(), one.severity.as_str()))
            .collect()
    };
    let pair = |playbook: &str, severity| (playbook.to_owned(), severity);
    let none = [("lockdown", 0), ("recover", 0)];
    assert_eq!(playbooks(world.claim_some(10, 10, &none).await), []);
    assert_eq!(
        playbooks(world.claim_some(10, 2, &[("recover", 1)]).await),
        [
            pair("lockdown", "critical"),
            pair("lockdown", "high"),
            pair("recover", "high"),
        ],
        "of all playbooks the most severe first, of equal ones the oldest"
    );
    assert_eq!(
        playbooks(world.claim_some(1, 10, &[]).await),
        [pair("lockdown", "high")],
        "what was passed over is due still, and the limit is one for all"
    );
    let full = [("lockdown", 0)];
    assert_eq!(playbooks(world.claim_some(10, 10, &full).await), []);
    assert_eq!(
        playbooks(world.claim_some(10, 10, &[]).await),
        [pair("lockdown", "low")]
    );
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
    let OrderOutcome::Ordered(silent) = silent.await.unwrap() else {
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
    let OrderOutcome::Ordered(torn) = torn.await.unwrap() else {
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

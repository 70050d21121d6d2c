//! Cases of undoing and rehearsing.

use chrono::TimeDelta;
use guard_app::ports::{
    Act, Actor, AttemptReport, Clock, NextStep, OrderOutcome, Rehearsal, Undone, random_tail,
};
use guard_domain::{
    DecisionKind, Event, EventId, EventTypes, Execution, ExecutionId, ExecutionState, PlaybookName,
    RuleId,
};

use super::outbox::CONFIRM;
use super::{Storage, World, acknowledged, default_tenant, failed, page};
use crate::event_body;

fn name(name: &str) -> PlaybookName {
    PlaybookName::parse(name).unwrap()
}

impl<S: Storage + 'static> World<S> {
    async fn undo(&self, id: ExecutionId) -> OrderOutcome {
        let (tenant, actor) = (default_tenant(), Actor::system("test"));
        self.store
            .undo(&tenant, id, &name("unlock"), TimeDelta::hours(1), &actor)
            .await
            .unwrap()
    }

    /// An execution whose workflow did its work.
    async fn succeed(&self) -> ExecutionId {
        let id = self.queue().await;
        let claimed = self.claim_one().await;
        self.store.settle(&claimed, &acknowledged()).await.unwrap();
        self.start(id, "7").await;
        self.finish(id, true).await;
        id
    }

    /// A rehearsal of the rule `lockdown`.
    async fn rehearse(&self) -> Execution {
        let now = self.clock.now();
        let body = event_body("security_threat", "high", r#"{"host":"a"}"#);
        let rehearsal = Rehearsal {
            playbook: name("lockdown"),
            rule: (RuleId::parse("lockdown").unwrap(), 1),
            revision: 1,
            event: Event::parse(body.as_bytes(), &EventTypes::default(), now).unwrap(),
            event_id: EventId::new(now, random_tail(self.random.as_ref())),
            params: r#"{"host":"a"}"#.to_owned(),
            deadline: TimeDelta::hours(1),
        };
        let actor = Actor::system("test");
        self.store
            .rehearse(&default_tenant(), &rehearsal, &actor)
            .await
            .unwrap()
    }
}

pub async fn an_execution_is_undone<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.succeed().await;
    let OrderOutcome::Ordered(undoing) = world.undo(id).await else {
        panic!()
    };
    assert_eq!(undoing.rollback_of, Some(id));
    assert_eq!(undoing.playbook, name("unlock"));
    assert_eq!(undoing.state, ExecutionState::Queued);
    assert_eq!(
        world.undo(id).await,
        OrderOutcome::Open(undoing.id),
        "a repeated order is one order"
    );
    assert!(
        world
            .actions()
            .await
            .contains(&"execution_undone".to_owned())
    );
    let claimed = world.claim_one().await;
    assert_eq!(claimed.execution.id, undoing.id);
    assert_eq!(claimed.params, r#"{"host":"a"}"#);
    let undoes = Undone {
        execution_id: id,
        data: Some(r#"{"rows": 1.50}"#.to_owned()),
    };
    assert_eq!(claimed.undoes, Some(undoes));
    assert_eq!(world.read(id).await.state, ExecutionState::Succeeded);
    world.store.settle(&claimed, &acknowledged()).await.unwrap();
    world.finish(undoing.id, true).await;
    let undone = world.read(id).await;
    assert_eq!(undone.state, ExecutionState::RolledBack);
    assert!(undone.finished_at.is_some());
    assert_eq!(
        world.undo(id).await,
        OrderOutcome::Refused(ExecutionState::RolledBack)
    );
}

pub async fn an_undoing_that_fails_changes_nothing_and_may_be_repeated<S: Storage + 'static>(
    world: World<S>,
) {
    let world = world.with_rules().await;
    let id = world.succeed().await;
    let OrderOutcome::Ordered(undoing) = world.undo(id).await else {
        panic!()
    };
    world.claim_one().await;
    world.finish(undoing.id, false).await;
    assert_eq!(world.read(id).await.state, ExecutionState::Succeeded);
    let (tenant, actor) = (default_tenant(), Actor::system("test"));
    let again = world
        .store
        .redrive(&tenant, undoing.id, TimeDelta::hours(1), &actor);
    let OrderOutcome::Ordered(again) = again.await.unwrap() else {
        panic!()
    };
    assert_eq!(again.rollback_of, Some(id), "it is still an undoing");
    assert_eq!(world.undo(id).await, OrderOutcome::Open(again.id));
    world.finish(again.id, true).await;
    assert_eq!(world.read(id).await.state, ExecutionState::RolledBack);
}

pub async fn what_had_no_effect_is_not_undone<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let refused = |state| OrderOutcome::Refused(state);
    assert_eq!(world.undo(id).await, refused(ExecutionState::Queued));
    let claimed = world.claim_one().await;
    assert_eq!(world.undo(id).await, refused(ExecutionState::Dispatching));
    let give_up = failed(false, NextStep::GiveUp);
    world.store.settle(&claimed, &give_up).await.unwrap();
    assert_eq!(world.undo(id).await, refused(ExecutionState::Dead));
    let unknown = ExecutionId::new(world.clock.now(), [9; 10]);
    assert_eq!(world.undo(unknown).await, OrderOutcome::NotFound);
}

pub async fn an_undoing_holds_no_rule_back<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.succeed().await;
    assert!(matches!(world.undo(id).await, OrderOutcome::Ordered(_)));
    assert!(!world.may_fire_again().await, "its cooldown goes on");
    world.clock.advance(TimeDelta::minutes(11));
    assert!(world.may_fire_again().await);
}

pub async fn a_rehearsal_is_delivered_and_holds_nothing_back<S: Storage + 'static>(
    world: World<S>,
) {
    let world = world.with_rules().await;
    let rehearsal = world.rehearse().await;
    assert!(rehearsal.dry_run);
    world.clock.advance(TimeDelta::milliseconds(1));
    assert!(world.may_fire_again().await, "it holds no rule back");
    let claimed = world.claim(10, &[]).await;
    let flags: Vec<_> = claimed
        .iter()
        .map(|claimed| claimed.execution.dry_run)
        .collect();
    assert_eq!(flags, [true, false]);
    let event = world
        .store
        .event(&default_tenant(), rehearsal.event_id)
        .await
        .unwrap()
        .expect("its event is on record");
    assert_eq!(event.decision.kind, DecisionKind::DryRun);
    assert_eq!(
        event.execution.map(|execution| execution.id),
        Some(rehearsal.id)
    );
    world.finish(rehearsal.id, true).await;
    let done = world.read(rehearsal.id).await;
    assert_eq!(
        (done.state, done.dry_run),
        (ExecutionState::Succeeded, true)
    );
    assert_eq!(world.undo(rehearsal.id).await, OrderOutcome::Rehearsal);
}

pub async fn a_rehearsal_that_is_lost_calls_nobody<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let rehearsal = world.rehearse().await;
    let claimed = world.claim_one().await;
    let give_up = failed(false, NextStep::GiveUp);
    let settled = world.store.settle(&claimed, &give_up).await.unwrap();
    assert_eq!(settled.execution.state, ExecutionState::Dead);
    assert_eq!(settled.escalation, None);
    assert_eq!(world.reasons().await, []);
    let (tenant, actor) = (default_tenant(), Actor::system("test"));
    let again = world
        .store
        .redrive(&tenant, rehearsal.id, TimeDelta::hours(1), &actor);
    let OrderOutcome::Ordered(again) = again.await.unwrap() else {
        panic!()
    };
    assert!(again.dry_run, "a rehearsal stays one");
}

pub async fn what_ended_without_proof_is_found<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let since = world.clock.now();
    let id = world.queue().await;
    let claimed = world.claim_one().await;
    world.store.settle(&claimed, &acknowledged()).await.unwrap();
    world.start(id, "7").await;
    assert_eq!(world.store.unconfirmed(since, 10).await.unwrap(), []);
    world.clock.advance(CONFIRM);
    world.store.expire(10).await.unwrap();
    let found = world.store.unconfirmed(since, 10).await.unwrap();
    let ids: Vec<_> = found
        .iter()
        .map(|(tenant, found)| (tenant.clone(), found.id, found.n8n_execution_id.as_deref()))
        .collect();
    assert_eq!(ids, [(default_tenant(), id, Some("7"))]);
    let later = world.clock.now() + TimeDelta::seconds(1);
    assert_eq!(world.store.unconfirmed(later, 10).await.unwrap(), []);
    world.finish(id, true).await;
    assert_eq!(world.store.unconfirmed(since, 10).await.unwrap(), []);
}

pub async fn an_answer_is_kept_as_it_came<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = world.queue().await;
    let claimed = world.claim_one().await;
    let report = AttemptReport {
        answer: Some("<html>\0 nonsense".to_owned()),
        ..acknowledged()
    };
    world.store.settle(&claimed, &report).await.unwrap();
    let found = world.store.execution(&default_tenant(), id).await.unwrap();
    let answer = found.unwrap().attempts[0].answer.clone();
    assert_eq!(answer.as_deref(), Some("<html>\u{fffd} nonsense"));
}

pub async fn an_act_goes_on_record<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let actor = Actor {
        subject: "callback".to_owned(),
        request_id: Some("request-9".to_owned()),
    };
    let act = Act {
        action: "callback_refused",
        target: "execution:x".to_owned(),
        message: "no".to_owned(),
    };
    let tenant = default_tenant();
    world.clock.advance(TimeDelta::milliseconds(1));
    world.store.record(&tenant, &actor, &act).await.unwrap();
    let filter = Default::default();
    let records = world.store.audit(&tenant, &filter, page(1)).await;
    let record = records.unwrap().remove(0);
    assert_eq!(record.action, "callback_refused");
    assert_eq!(record.actor, "callback");
    assert_eq!(record.request_id.as_deref(), Some("request-9"));
    assert_eq!(record.target.as_deref(), Some("execution:x"));
}

pub async fn every_version_of_a_rule_is_found<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let id = RuleId::parse("recover").unwrap();
    world
        .publish(
            "rules: [{ id: recover, event_type: backup_failed, action: { trigger_playbook: { name: other } } }]",
        )
        .await;
    let version = async |version| {
        let found = world.store.version(&default_tenant(), &id, version).await;
        found.unwrap().map(|rule| rule.definition)
    };
    assert!(version(1).await.unwrap().contains(r#""recover""#));
    assert!(version(2).await.unwrap().contains(r#""other""#));
    assert_eq!(version(3).await, None);
}

//! Cases of the ledger.

use chrono::TimeDelta;
use guard_app::ports::{Actor, CommitOutcome, Consequence, PauseScope, PublishMode};
use guard_domain::{DecisionKind, EscalationReason, ExecutionState, RuleId};

use super::{Storage, World, default_tenant, recorded};
use crate::{event_body, intake_key, publish_rules, tenant};

pub async fn a_decision_is_recorded_with_everything<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let receipt = world
        .record(
            "security_threat",
            "critical",
            r#"{"host": "web-17",  "n":1.50}"#,
        )
        .await;
    assert_eq!(receipt.decision.kind, DecisionKind::PlaybookTriggered);
    assert_eq!(receipt.decision.revision, 1);
    assert_eq!(receipt.consequence, Consequence::Dispatch);
    let brief = receipt.execution.clone().expect("an execution");
    assert_eq!(brief.state, ExecutionState::Queued);

    let event = world
        .store
        .event(&default_tenant(), receipt.event_id)
        .await
        .unwrap()
        .expect("the event");
    assert!(
        event.body.contains(r#"{"host": "web-17",  "n":1.50}"#),
        "{}",
        event.body
    );
    assert_eq!(event.decision, receipt.decision);
    assert_eq!(event.execution, Some(brief.clone()));

    let detail = world
        .store
        .execution(&default_tenant(), brief.id)
        .await
        .unwrap()
        .expect("the execution");
    assert_eq!(detail.params, r#"{"host": "web-17",  "n":1.50}"#);
    assert_eq!(detail.execution.event_id, receipt.event_id);
    assert_eq!(detail.attempts, []);

    let (audit, _) = world
        .store
        .audit_after(&default_tenant(), &Default::default(), 10)
        .await
        .unwrap();
    let record = audit.last().expect("a record");
    assert_eq!(record.action, "decision");
    assert_eq!(record.actor, "key:test");
    assert_eq!(record.request_id.as_deref(), Some("request-1"));
    assert_eq!(record.event_id, Some(receipt.event_id));
    assert_eq!(record.execution_id, Some(brief.id));
    assert_eq!(record.rule_version, Some(1));
}

pub async fn a_batch_is_decided_in_order<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let mut batch = Vec::new();
    for host in ["a", "b", "a"] {
        let body = event_body(
            "security_threat",
            "high",
            &format!(r#"{{"host":"{host}"}}"#),
        );
        batch.push(world.intake(&body, None).await);
    }
    batch.push(
        world
            .intake(&event_body("user_offboarding", "low", "{}"), None)
            .await,
    );
    let kinds: Vec<_> = world
        .commit(&batch)
        .await
        .iter()
        .map(|outcome| recorded(outcome).decision.kind)
        .collect();
    use DecisionKind::{NoAction, PlaybookTriggered, Suppressed};
    assert_eq!(
        kinds,
        [PlaybookTriggered, PlaybookTriggered, Suppressed, NoAction]
    );
}

pub async fn a_cooldown_is_claimed_once_and_ends<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let fire = || world.record("security_threat", "high", r#"{"host":"a"}"#);
    let first = fire().await;
    // Delivered, so that only the cooldown holds it back.
    let claimed = world.claim(1, &[]).await.remove(0);
    world
        .store
        .settle(&claimed, &super::acknowledged())
        .await
        .unwrap();
    world
        .clock
        .advance(TimeDelta::minutes(10) - TimeDelta::microseconds(1));
    let second = fire().await;
    assert_eq!(second.decision.kind, DecisionKind::Suppressed);
    assert!(
        second.decision.message.contains("in cooldown until"),
        "{}",
        second.decision.message
    );
    world.clock.advance(TimeDelta::microseconds(1));
    let third = fire().await;
    assert_eq!(third.decision.kind, DecisionKind::PlaybookTriggered);
    assert_ne!(third.execution, first.execution);
    assert_eq!(world.store.forget_expired(10).await.unwrap(), 0);
    world.clock.advance(TimeDelta::minutes(11));
    assert_eq!(
        world.store.forget_expired(10).await.unwrap(),
        1,
        "it has ended"
    );
}

pub async fn an_undelivered_execution_suppresses<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let fire = || world.record("backup_failed", "high", "{}");
    assert_eq!(fire().await.decision.kind, DecisionKind::PlaybookTriggered);
    let held = fire().await;
    assert_eq!(
        held.decision.message,
        "Suppressed: recover has an execution that is undelivered"
    );
    let claimed = world.claim(1, &[]).await.remove(0);
    assert_eq!(
        fire().await.decision.kind,
        DecisionKind::Suppressed,
        "while it is being delivered"
    );
    world
        .store
        .settle(&claimed, &super::acknowledged())
        .await
        .unwrap();
    assert_eq!(
        fire().await.decision.kind,
        DecisionKind::PlaybookTriggered,
        "once it is delivered"
    );
}

pub async fn a_repeated_key_replays<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let body = event_body("backup_failed", "high", "{}");
    let intake = |key: &'static str, body: String| {
        let world = &world;
        async move { world.intake(&body, Some(intake_key(key, &body))).await }
    };
    // Twice in one batch, and once more later.
    let batch = [
        intake("k", body.clone()).await,
        intake("k", body.clone()).await,
    ];
    let outcomes = world.commit(&batch).await;
    let first = recorded(&outcomes[0]);
    let CommitOutcome::Replayed(second) = &outcomes[1] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(
        (second.event_id, &second.decision),
        (first.event_id, &first.decision)
    );
    assert_eq!(second.consequence, Consequence::None);

    let claimed = world.claim(1, &[]).await.remove(0);
    world
        .store
        .settle(&claimed, &super::acknowledged())
        .await
        .unwrap();
    let outcomes = world.commit(&[intake("k", body.clone()).await]).await;
    let CommitOutcome::Replayed(third) = &outcomes[0] else {
        panic!("{outcomes:?}")
    };
    assert_eq!(
        third.execution.as_ref().unwrap().state,
        ExecutionState::Acknowledged,
        "its state now"
    );
    assert_eq!(
        third.execution.as_ref().unwrap().id,
        first.execution.unwrap().id
    );

    let other = event_body("backup_failed", "low", "{}");
    let outcomes = world.commit(&[intake("k", other.clone()).await]).await;
    assert!(
        matches!(outcomes[0], CommitOutcome::KeyReused),
        "{outcomes:?}"
    );
    let elsewhere = body.replace(r#""source":"sentinel""#, r#""source":"other""#);
    let outcomes = world.commit(&[intake("k", elsewhere).await]).await;
    assert!(
        matches!(outcomes[0], CommitOutcome::Recorded(_)),
        "another source: {outcomes:?}"
    );

    let events = world
        .store
        .events(&default_tenant(), &Default::default(), super::page(10))
        .await
        .unwrap();
    assert_eq!(events.len(), 2);
}

pub async fn a_key_is_forgotten_after_a_day<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let body = event_body("user_offboarding", "low", "{}");
    let again = || async {
        let intake = world.intake(&body, Some(intake_key("k", &body))).await;
        world.commit(&[intake]).await.remove(0)
    };
    let first = recorded(&again().await);
    world.clock.advance(TimeDelta::hours(24));
    assert!(matches!(again().await, CommitOutcome::Replayed(_)));
    assert_eq!(world.store.forget_expired(10).await.unwrap(), 0);
    world.clock.advance(TimeDelta::microseconds(1));
    let second = recorded(&again().await);
    assert_ne!(first.event_id, second.event_id);
    assert!(
        matches!(again().await, CommitOutcome::Replayed(_)),
        "the key is taken again"
    );
    world.clock.advance(TimeDelta::hours(25));
    assert_eq!(world.store.forget_expired(10).await.unwrap(), 1);
}

pub async fn an_outdated_evaluation_is_sent_back<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let body = event_body("backup_failed", "high", "{}");
    let old = world.intake(&body, None).await;
    world
        .publish("rules: [{ id: quiet, event_type: '*', action: ignore }]")
        .await;
    let new = world.intake(&body, None).await;
    let outcomes = world.commit(&[old, new]).await;
    assert!(
        matches!(outcomes[0], CommitOutcome::Outdated),
        "{outcomes:?}"
    );
    assert_eq!(recorded(&outcomes[1]).decision.kind, DecisionKind::Ignored);
    let events = world
        .store
        .events(&default_tenant(), &Default::default(), super::page(10))
        .await
        .unwrap();
    assert_eq!(events.len(), 1, "what was sent back is not recorded");
}

pub async fn a_pause_holds_decisions_and_deliveries<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let (tenant, actor) = (default_tenant(), Actor::system("test"));
    world.record("backup_failed", "high", "{}").await;
    for text in ["all", "rule:recover", "playbook:recover"] {
        let scope = PauseScope::parse(text).unwrap();
        let pauses = world
            .store
            .pause(&tenant, &scope, "a storm", &actor)
            .await
            .unwrap();
        assert_eq!(pauses.len(), 1);
        world
            .store
            .pause(&tenant, &scope, "still a storm", &actor)
            .await
            .unwrap();
        assert_eq!(
            world.store.pauses(&tenant).await.unwrap()[0].reason,
            "still a storm"
        );
        assert_eq!(world.claim(10, &[]).await.len(), 0, "{text}");
        let held = world.record("backup_failed", "high", "{}").await;
        assert_eq!(
            held.decision.message,
            format!("Suppressed: recover is paused ({text})")
        );
        assert_eq!(
            world
                .store
                .resume(&tenant, &scope, "over", &actor)
                .await
                .unwrap(),
            []
        );
    }
    assert_eq!(world.claim(10, &[]).await.len(), 1);
    let (audit, _) = world
        .store
        .audit_after(&tenant, &Default::default(), 100)
        .await
        .unwrap();
    let acts: Vec<_> = audit.iter().map(|record| record.action.as_str()).collect();
    assert_eq!(acts.iter().filter(|act| **act == "paused").count(), 6);
    assert_eq!(acts.iter().filter(|act| **act == "resumed").count(), 3);
}

pub async fn a_dry_run_is_recorded_and_not_delivered<S: Storage + 'static>(world: World<S>) {
    world.publish("rules: [{ id: r, event_type: '*', mode: dry_run, cooldown_minutes: 5, action: { trigger_playbook: { name: p } } }]").await;
    let first = world.record("backup_failed", "high", "{}").await;
    assert_eq!(first.decision.kind, DecisionKind::DryRun);
    assert_eq!(first.consequence, Consequence::None);
    assert_eq!(first.execution.unwrap().state, ExecutionState::DryRun);
    assert_eq!(world.claim(10, &[]).await.len(), 0);
    assert_eq!(
        world
            .record("backup_failed", "high", "{}")
            .await
            .decision
            .kind,
        DecisionKind::Suppressed
    );
}

pub async fn an_escalation_is_recorded<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let receipt = world
        .record("health_check_failed", "critical", r#"{"service":"db"}"#)
        .await;
    let Consequence::Announce(announced) = receipt.consequence else {
        panic!("{receipt:?}")
    };
    let listed = world
        .store
        .escalations(&default_tenant(), &Default::default(), super::page(10))
        .await
        .unwrap();
    assert_eq!(listed, std::slice::from_ref(&announced));
    assert_eq!(announced.reason, EscalationReason::Rule);
    assert_eq!(announced.message, "service db");
    assert_eq!(announced.event_id, Some(receipt.event_id));
    let hole = world.record("health_check_failed", "critical", "{}").await;
    assert_eq!(hole.decision.kind, DecisionKind::Escalated);
    let Consequence::Announce(announced) = hole.consequence else {
        panic!("no escalation")
    };
    assert_eq!(announced.reason, EscalationReason::RenderingFailed);
}

pub async fn receipts_are_found<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let known = world.record("backup_failed", "high", "{}").await;
    let unknown = world
        .intake(&event_body("backup_failed", "high", "{}"), None)
        .await;
    let asked = [
        (default_tenant(), known.event_id),
        (default_tenant(), unknown.event_id),
    ];
    let found = world.store.find_receipts(&asked).await.unwrap();
    assert_eq!(found[0].as_ref().unwrap().decision, known.decision);
    assert_eq!(found[0].as_ref().unwrap().execution, known.execution);
    assert_eq!(
        found[0].as_ref().unwrap().consequence,
        Consequence::Dispatch
    );
    assert_eq!(found[1], None);
    let paged = world
        .record("health_check_failed", "high", r#"{"service":"db"}"#)
        .await;
    let found = world
        .store
        .find_receipts(&[(default_tenant(), paged.event_id)])
        .await
        .unwrap();
    assert_eq!(
        found[0].as_ref().unwrap().consequence,
        paged.consequence,
        "it is still to be announced"
    );
}

pub async fn awkward_texts_are_kept<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let context = format!(
        r#"{{"nul":"a\u0000b","digits":1.10e400,"emoji":"😀\ud83d\ude00","twice":1,"twice":2,"host":"{}"}}"#,
        "x".repeat(5000)
    );
    let receipt = world.record("security_threat", "high", &context).await;
    let event = world
        .store
        .event(&default_tenant(), receipt.event_id)
        .await
        .unwrap()
        .unwrap();
    assert!(event.body.contains(&context));
    let claimed = world.claim(1, &[]).await.remove(0);
    world
        .store
        .settle(&claimed, &super::acknowledged())
        .await
        .unwrap();
    let again = world.record("security_threat", "high", &context).await;
    assert!(
        again.decision.message.contains("in cooldown"),
        "{}",
        again.decision.message
    );
    assert_eq!(
        again.decision.kind,
        DecisionKind::Suppressed,
        "a long cooldown value is one value"
    );
    let other = world
        .record("security_threat", "high", &context.replace("xx\"", "xy\""))
        .await;
    assert_eq!(other.decision.kind, DecisionKind::PlaybookTriggered);
}

pub async fn tenants_do_not_meet<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let other = tenant("other");
    publish_rules(
        world.store.as_ref(),
        &other,
        super::RULES,
        PublishMode::Differs,
    )
    .await;
    let mine = world
        .record("security_threat", "high", r#"{"host":"a"}"#)
        .await;
    let body = event_body("security_threat", "high", r#"{"host":"a"}"#);
    let theirs = world.intake_of(&other, &body, None).await;
    let theirs = recorded(&world.commit(&[theirs]).await[0]);
    assert_eq!(
        theirs.decision.kind,
        DecisionKind::PlaybookTriggered,
        "cooldowns and deliveries are apart"
    );
    let store = &world.store;
    let execution = mine.execution.unwrap().id;
    assert_eq!(store.event(&other, mine.event_id).await.unwrap(), None);
    assert_eq!(store.execution(&other, execution).await.unwrap(), None);
    let actor = Actor::system("test");
    let cancelled = store.cancel(&other, execution, &actor).await.unwrap();
    assert_eq!(cancelled, guard_app::ports::CancelOutcome::NotFound);
    let result = guard_app::ports::WorkflowResult {
        succeeded: true,
        message: None,
        data: None,
    };
    let finished = store.finish(&other, execution, &result).await.unwrap();
    assert_eq!(finished, guard_app::ports::FinishOutcome::NotFound);
    let started = store
        .start(&other, execution, "7", TimeDelta::minutes(1))
        .await
        .unwrap();
    assert_eq!(started, guard_app::ports::StartOutcome::NotFound);
    let redriven = store
        .redrive(&other, execution, TimeDelta::minutes(1), &actor)
        .await
        .unwrap();
    assert_eq!(redriven, guard_app::ports::RedriveOutcome::NotFound);
    let audit = store
        .audit_after(&other, &Default::default(), 100)
        .await
        .unwrap()
        .0;
    assert!(
        audit
            .iter()
            .all(|record| record.event_id != Some(mine.event_id))
    );
    assert_eq!(
        store
            .events(&other, &Default::default(), super::page(10))
            .await
            .unwrap()
            .len(),
        1
    );
    assert_eq!(
        store
            .executions(&other, &Default::default(), super::page(10))
            .await
            .unwrap()
            .len(),
        1
    );
    let pause = PauseScope::Rule(RuleId::parse("lockdown").unwrap());
    store.pause(&other, &pause, "x", &actor).await.unwrap();
    assert_eq!(store.pauses(&default_tenant()).await.unwrap(), []);
    assert_eq!(
        world.claim(10, &[]).await.len(),
        1,
        "only the other tenant is paused"
    );
}

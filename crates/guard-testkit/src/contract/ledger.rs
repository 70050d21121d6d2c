//! Cases of the ledger.

use chrono::TimeDelta;
use guard_app::ports::{Actor, CommitOutcome, Consequence, PauseScope};
use guard_domain::{DecisionKind, EscalationReason, ExecutionState};

use super::{Storage, World, default_tenant, recorded};
use crate::event_body;

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
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].escalation, announced);
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

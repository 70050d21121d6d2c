//! Cases of keys, receipts and what is kept of events.

use chrono::TimeDelta;
use guard_app::ports::{
    Actor, CommitOutcome, Consequence, FinishOutcome, PauseScope, PublishMode, StartOutcome,
    WorkflowResult,
};
use guard_domain::{DecisionKind, ExecutionState, RuleId};

use super::{Storage, World, default_tenant, recorded};
use crate::{event_body, intake_key, publish_rules, tenant};

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
        .start(&other, execution, "7", &TimeDelta::minutes(1).into())
        .await
        .unwrap();
    assert_eq!(started, guard_app::ports::StartOutcome::NotFound);
    let redriven = store
        .redrive(&other, execution, TimeDelta::minutes(1), &actor)
        .await
        .unwrap();
    assert_eq!(redriven, guard_app::ports::OrderOutcome::NotFound);
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

/// PostgreSQL knows no NUL, and n8n may answer one: it must not keep an attempt or a result off the record.
pub async fn a_nul_stops_nothing<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let body = event_body("security_threat", "high", r#"{"host":"a\u0000b"}"#);
    let key = intake_key("key\0", &body);
    let intake = world.intake(&body, Some(key)).await;
    let receipt = recorded(&world.commit(std::slice::from_ref(&intake)).await[0]);
    let again = world.commit(&[intake]).await;
    assert!(matches!(again[0], CommitOutcome::Replayed(_)), "{again:?}");

    let claimed = world.claim(1, &[]).await.remove(0);
    let mut report = super::acknowledged();
    report.detail = "n8n\0answered".to_owned();
    world.store.settle(&claimed, &report).await.unwrap();
    let (tenant, id) = (&claimed.tenant, receipt.execution.unwrap().id);
    let within = chrono::TimeDelta::minutes(15);
    for _ in 0..2 {
        let started = world.store.start(tenant, id, "run\0", &within.into()).await;
        assert!(
            matches!(started, Ok(StartOutcome::Started(_))),
            "{started:?}"
        );
    }
    let result = WorkflowResult {
        succeeded: false,
        message: Some("it\0failed".to_owned()),
        data: None,
    };
    let finished = world.store.finish(tenant, id, &result).await;
    assert!(
        matches!(finished, Ok(FinishOutcome::Finished(_))),
        "{finished:?}"
    );
}

//! Cases of reading back.

use chrono::TimeDelta;
use guard_app::ports::{AuditFilter, AuditPosition, Clock, EventFilter, ExecutionFilter, IdPage};
use guard_domain::{DecisionKind, EventType, ExecutionState, PlaybookName, RuleId, Source};

use super::{Storage, World, default_tenant, page};
use crate::event_body;

pub async fn pages_are_stable<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let tenant = default_tenant();
    let mut ids = Vec::new();
    for _ in 0..7 {
        ids.push(world.record("user_offboarding", "low", "{}").await.event_id);
        world.clock.advance(TimeDelta::milliseconds(1));
    }
    ids.reverse();
    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let page = IdPage { before, limit: 3 };
        let events = world
            .store
            .events(&tenant, &EventFilter::default(), page)
            .await
            .unwrap();
        let Some(last) = events.last() else { break };
        before = Some(last.id.as_uuid());
        seen.extend(events.iter().map(|event| event.id));
        // What comes in meanwhile is newer, and does not move the pages.
        world.record("user_offboarding", "low", "{}").await;
    }
    assert_eq!(seen, ids);
}

pub async fn lists_are_filtered<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let (tenant, store) = (default_tenant(), world.store.clone());
    let since = world.clock.now();
    world.record("user_offboarding", "low", "{}").await;
    world.record("backup_failed", "high", "{}").await;
    world.clock.advance(TimeDelta::seconds(10));
    let until = world.clock.now();
    world.record("security_threat", "high", "{}").await;
    let other = event_body("backup_failed", "low", "{}").replace("sentinel", "other");
    let other = world.intake(&other, None).await;
    world.commit(&[other]).await;

    let events = |filter: EventFilter| {
        let (store, tenant) = (store.clone(), tenant.clone());
        async move {
            store
                .events(&tenant, &filter, page(50))
                .await
                .unwrap()
                .len()
        }
    };
    let any = EventFilter::default;
    let failed = EventType::parse("backup_failed");
    assert_eq!(events(any()).await, 4);
    assert_eq!(
        events(EventFilter {
            source: Source::parse("other").ok(),
            ..any()
        })
        .await,
        1
    );
    assert_eq!(
        events(EventFilter {
            event_type: failed.clone(),
            ..any()
        })
        .await,
        2
    );
    let suppressed = Some(DecisionKind::Suppressed);
    assert_eq!(
        events(EventFilter {
            decision: suppressed,
            ..any()
        })
        .await,
        1
    );
    let both = EventFilter {
        source: Source::parse("sentinel").ok(),
        event_type: failed.clone(),
        decision: suppressed,
        ..any()
    };
    assert_eq!(events(both).await, 0);
    assert_eq!(
        events(EventFilter {
            event_type: failed,
            decision: suppressed,
            ..any()
        })
        .await,
        1
    );
    assert_eq!(
        events(EventFilter {
            since: Some(until),
            ..any()
        })
        .await,
        2
    );
    assert_eq!(
        events(EventFilter {
            since: Some(since),
            until: Some(until),
            ..any()
        })
        .await,
        2
    );

    let executions = |filter: ExecutionFilter| {
        let (store, tenant) = (store.clone(), tenant.clone());
        async move {
            store
                .executions(&tenant, &filter, page(50))
                .await
                .unwrap()
                .len()
        }
    };
    let all = ExecutionFilter::default;
    assert_eq!(executions(all()).await, 2);
    assert_eq!(
        executions(ExecutionFilter {
            state: Some(ExecutionState::Queued),
            ..all()
        })
        .await,
        2
    );
    assert_eq!(
        executions(ExecutionFilter {
            state: Some(ExecutionState::Dead),
            ..all()
        })
        .await,
        0
    );
    let recover = PlaybookName::parse("recover").ok();
    assert_eq!(
        executions(ExecutionFilter {
            playbook: recover.clone(),
            ..all()
        })
        .await,
        1
    );
    let lockdown = RuleId::parse("lockdown").ok();
    assert_eq!(
        executions(ExecutionFilter {
            rule_id: lockdown.clone(),
            ..all()
        })
        .await,
        1
    );
    assert_eq!(
        executions(ExecutionFilter {
            rule_id: lockdown,
            playbook: recover,
            ..all()
        })
        .await,
        0
    );
    assert_eq!(
        executions(ExecutionFilter {
            until: Some(until),
            ..all()
        })
        .await,
        1
    );
}

pub async fn the_audit_is_walked_in_order<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let tenant = default_tenant();
    let mut expected = vec![None];
    for _ in 0..3 {
        let bodies = [
            event_body("user_offboarding", "low", "{}"),
            event_body("user_offboarding", "high", "{}"),
        ];
        let mut batch = Vec::new();
        for body in &bodies {
            batch.push(world.intake(body, None).await);
        }
        expected.extend(batch.iter().map(|intake| Some(intake.event_id)));
        world.commit(&batch).await;
    }
    let (mut seen, mut position) = (Vec::new(), AuditPosition::new());
    loop {
        let (records, reached) = world
            .store
            .audit_after(&tenant, &position, 2)
            .await
            .unwrap();
        if records.is_empty() {
            assert_eq!(reached, position, "a reader can come back from where it is");
            break;
        }
        assert!(records.len() <= 2);
        seen.extend(records.iter().map(|record| record.event_id));
        position = reached;
    }
    assert_eq!(seen, expected);
    world.clock.advance(TimeDelta::milliseconds(1));
    let late = world.record("user_offboarding", "low", "{}").await;
    let (records, _) = world
        .store
        .audit_after(&tenant, &position, 10)
        .await
        .unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].event_id, Some(late.event_id));

    let newest = world
        .store
        .audit(&tenant, &AuditFilter::default(), page(1))
        .await
        .unwrap();
    assert_eq!(newest[0].event_id, Some(late.event_id));
    let one = AuditFilter {
        event_id: Some(late.event_id),
        ..AuditFilter::default()
    };
    assert_eq!(
        world
            .store
            .audit(&tenant, &one, page(10))
            .await
            .unwrap()
            .len(),
        1
    );
    let none = AuditFilter {
        rule_id: RuleId::parse("recover").ok(),
        ..AuditFilter::default()
    };
    assert_eq!(
        world
            .store
            .audit(&tenant, &none, page(10))
            .await
            .unwrap()
            .len(),
        0
    );
}

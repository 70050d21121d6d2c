//! Cases of reading back.

use chrono::TimeDelta;
use guard_app::ports::{
    AuditFilter, AuditPosition, Clock, CommitOutcome, EventFilter, EventRecord, ExecutionFilter,
    IdPage,
};
use guard_domain::{
    DecisionKind, EventId, EventType, ExecutionState, PlaybookName, RuleId, Source,
};

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

pub async fn events_are_found_by_all_that_they_have<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let tenant = default_tenant();
    let begin = world.clock.now();
    // Some together, some a span or many apart; what is of one source or type comes now and then, or not for long.
    let steps = [0, 1, 400, 1024, 3, 90_000, 0, 1023, 5000];
    let types = ["user_offboarding", "backup_failed", "health_check_failed"];
    for number in 0..70_usize {
        let body = event_body(types[number * number % 3], "low", "{}");
        let source = ["\"a\"", "\"b\"", "\"rare\""][if number % 23 == 7 { 2 } else { number % 2 }];
        let body = body.replace("\"sentinel\"", source);
        let intake = world.intake(&body, None).await;
        world.commit(&[intake]).await;
        let step = steps[number % steps.len()];
        world.clock.advance(TimeDelta::milliseconds(step));
    }
    let all = world
        .store
        .events(&tenant, &EventFilter::default(), page(500))
        .await
        .unwrap();
    assert_eq!(all.len(), 70);
    let sources = [None, Source::parse("a").ok(), Source::parse("rare").ok()];
    let event_types = [None, EventType::parse("backup_failed")];
    let decisions = [
        None,
        Some(DecisionKind::NoAction),
        Some(DecisionKind::PlaybookTriggered),
    ];
    let moments = [None, Some(begin + TimeDelta::milliseconds(190_900))];
    for source in &sources {
        for event_type in &event_types {
            for decision in decisions {
                for (since, until) in [(0, 0), (1, 0), (0, 1)] {
                    let filter = EventFilter {
                        source: source.clone(),
                        event_type: event_type.clone(),
                        decision,
                        since: moments[since],
                        until: moments[until],
                    };
                    let expected: Vec<_> = all
                        .iter()
                        .filter(|event| is_of(event, &filter))
                        .map(|event| event.id)
                        .collect();
                    for limit in [1, 4, 500] {
                        let found = every_page(&world, &filter, limit).await;
                        assert_eq!(found, expected, "{filter:?}, {limit} a page");
                    }
                }
            }
        }
    }
}

fn is_of(event: &EventRecord, filter: &EventFilter) -> bool {
    let says = |name: &str, value: &str| event.body.contains(&format!(r#""{name}":"{value}""#));
    let source = filter.source.as_ref().map(Source::as_str);
    let event_type = filter.event_type.as_ref().map(EventType::as_str);
    source.is_none_or(|source| says("source", source))
        && event_type.is_none_or(|event_type| says("event_type", event_type))
        && filter
            .decision
            .is_none_or(|decision| decision == event.decision.kind)
        && filter.since.is_none_or(|since| event.received_at >= since)
        && filter.until.is_none_or(|until| event.received_at < until)
}

/// The ids of all pages.
async fn every_page<S: Storage + 'static>(
    world: &World<S>,
    filter: &EventFilter,
    limit: u32,
) -> Vec<EventId> {
    let (tenant, mut ids, mut before) = (default_tenant(), Vec::new(), None);
    loop {
        let page = IdPage { before, limit };
        let events = world.store.events(&tenant, filter, page).await.unwrap();
        let Some(last) = events.last() else {
            return ids;
        };
        before = Some(last.id.as_uuid());
        ids.extend(events.iter().map(|event| event.id));
    }
}

pub async fn what_was_refused_hides_no_other_event<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let first = world.record("user_offboarding", "low", "{}").await;
    let body = event_body("user_offboarding", "low", "{}").replace("sentinel", "other");
    let mut refused = world.intake(&body, None).await;
    refused.event_id = first.event_id;
    let outcomes = world.commit(&[refused]).await;
    assert!(
        matches!(outcomes[..], [CommitOutcome::Rejected(_)]),
        "{outcomes:?}"
    );
    // Of the same source, in the same span.
    let intake = world.intake(&body, None).await;
    let id = intake.event_id;
    world.commit(&[intake]).await;
    let filter = EventFilter {
        source: Source::parse("other").ok(),
        ..EventFilter::default()
    };
    assert_eq!(every_page(&world, &filter, 5).await, [id]);
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

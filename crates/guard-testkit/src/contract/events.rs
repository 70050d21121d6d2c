//! Cases of finding events.

use chrono::TimeDelta;
use guard_app::ports::{Clock, CommitOutcome, EventFilter, EventRecord, IdPage};
use guard_domain::{DecisionKind, EventId, EventType, Source};

use super::{Storage, World, default_tenant, page};
use crate::event_body;

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

/// The ids of all pages, of which a short one is the last.
async fn every_page<S: Storage + 'static>(
    world: &World<S>,
    filter: &EventFilter,
    limit: u32,
) -> Vec<EventId> {
    let (tenant, mut ids, mut before) = (default_tenant(), Vec::new(), None);
    loop {
        let page = IdPage { before, limit };
        let events = world.store.events(&tenant, filter, page).await.unwrap();
        ids.extend(events.iter().map(|event| event.id));
        if events.len() < limit as usize {
            return ids;
        }
        before = ids.last().map(EventId::as_uuid);
    }
}

pub async fn events_of_many_spans_are_all_found<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let mut batch = Vec::new();
    // More spans than are read at once, none next to another; and more rows than one statement takes.
    for _ in 0..270 {
        let body = event_body("user_offboarding", "low", "{}");
        batch.push(world.intake(&body, None).await);
        world.clock.advance(TimeDelta::milliseconds(2100));
    }
    world.commit(&batch).await;
    let filter = EventFilter {
        source: Source::parse("sentinel").ok(),
        ..EventFilter::default()
    };
    let expected: Vec<_> = batch.iter().rev().map(|intake| intake.event_id).collect();
    for limit in [40, 500] {
        assert_eq!(every_page(&world, &filter, limit).await, expected);
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

//! Cases of rules that act from a number of matches on.

use chrono::TimeDelta;
use guard_app::ports::{CommitOutcome, PublishMode, Receipt};
use guard_domain::{DecisionKind, TenantId};

use super::{Storage, World, default_tenant, recorded};
use crate::{event_body, intake_key, publish_rules, tenant};

/// Acts on the third match of a host within ten minutes.
const THIRD: &str = "rules: [{ id: third, event_type: '*', window: { count: 3, within: 10m, by: [context.host] }, action: ignore }]";

/// Commits events of these hosts as one batch, and tells for each whether the rule acted.
async fn batch<S: Storage + 'static>(world: &World<S>, hosts: &[&str]) -> Vec<bool> {
    batch_of(world, &default_tenant(), hosts).await
}

async fn batch_of<S: Storage + 'static>(
    world: &World<S>,
    tenant: &TenantId,
    hosts: &[&str],
) -> Vec<bool> {
    let mut intakes = Vec::new();
    for host in hosts {
        let body = body_at(world, &format!(r#"{{"host":"{host}"}}"#));
        intakes.push(world.intake_of(tenant, &body, None).await);
    }
    let outcomes = world.commit(&intakes).await;
    let receipts = outcomes.iter().map(recorded);
    receipts.map(|receipt| acted(&receipt)).collect()
}

/// The body of an event that happens now.
fn body_at<S>(world: &World<S>, context: &str) -> String {
    use guard_app::ports::Clock;
    let now = guard_domain::timestamp::format(world.clock.now());
    event_body("backup_failed", "high", context).replace("2026-11-20T03:00:00", &now)
}

#[track_caller]
fn acted(receipt: &Receipt) -> bool {
    match receipt.decision.kind {
        DecisionKind::Ignored => true,
        DecisionKind::NoAction => false,
        other => panic!("{other}"),
    }
}

pub async fn a_window_counts_across_batches_and_slides<S: Storage + 'static>(world: World<S>) {
    world.publish(THIRD).await;
    let step = TimeDelta::minutes(5);
    assert_eq!(batch(&world, &["a"]).await, [false]);
    world.clock.advance(step);
    assert_eq!(batch(&world, &["a"]).await, [false]);
    world.clock.advance(step - TimeDelta::microseconds(1));
    assert_eq!(
        batch(&world, &["a"]).await,
        [true],
        "the first still counts"
    );
    world.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(
        batch(&world, &["a"]).await,
        [true],
        "acting does not reset it"
    );
    world.clock.advance(step * 2);
    assert_eq!(
        batch(&world, &["a"]).await,
        [false],
        "all of them are too old"
    );
}

pub async fn events_of_one_batch_count_one_by_one<S: Storage + 'static>(world: World<S>) {
    world.publish(THIRD).await;
    assert_eq!(batch(&world, &["a", "a"]).await, [false, false]);
    assert_eq!(batch(&world, &["a", "a"]).await, [true, true]);
    world.clock.advance(TimeDelta::minutes(10));
    assert_eq!(batch(&world, &["a"; 4]).await, [false, false, true, true]);
}

pub async fn a_window_counts_each_value_apart<S: Storage + 'static>(world: World<S>) {
    world.publish(THIRD).await;
    assert_eq!(batch(&world, &["a", "b", "a"]).await, [false; 3]);
    // A value of any length is one.
    let (long, longer) = ("x".repeat(5000), "x".repeat(5001));
    assert_eq!(batch(&world, &[&long, &longer, &long]).await, [false; 3]);
    assert_eq!(
        batch(&world, &["b", "a", &longer, &long]).await,
        [false, true, false, true]
    );
}

pub async fn a_window_counts_each_tenant_apart<S: Storage + 'static>(world: World<S>) {
    let other = tenant("other");
    world.publish(THIRD).await;
    publish_rules(world.store.as_ref(), &other, THIRD, PublishMode::Differs).await;
    assert_eq!(batch(&world, &["a", "a"]).await, [false, false]);
    assert_eq!(batch_of(&world, &other, &["a", "a"]).await, [false, false]);
    assert_eq!(batch(&world, &["a"]).await, [true]);
    assert_eq!(batch_of(&world, &other, &["a"]).await, [true]);
}

pub async fn a_window_keeps_no_more_than_its_count<S: Storage + 'static>(world: World<S>) {
    world.publish(THIRD).await;
    batch(&world, &["a"; 10]).await;
    for _ in 0..10 {
        world.clock.advance(TimeDelta::seconds(1));
        assert_eq!(batch(&world, &["a"]).await, [true]);
    }
    world
        .clock
        .advance(TimeDelta::minutes(10) - TimeDelta::microseconds(1));
    let newest = world.store.forget_expired(100).await.unwrap();
    assert_eq!(newest, 2, "the two before the newest");
    world.clock.advance(TimeDelta::microseconds(1));
    assert_eq!(world.store.forget_expired(100).await.unwrap(), 1);
    assert_eq!(world.store.forget_expired(100).await.unwrap(), 0);
}

pub async fn matches_that_count_no_longer_are_forgotten<S: Storage + 'static>(world: World<S>) {
    world.publish(THIRD).await;
    batch(&world, &["a", "b", "c"]).await;
    world.clock.advance(TimeDelta::minutes(9));
    batch(&world, &["a"]).await;
    assert_eq!(world.store.forget_expired(100).await.unwrap(), 0);
    world.clock.advance(TimeDelta::minutes(1));
    assert_eq!(
        world.store.forget_expired(2).await.unwrap(),
        2,
        "no more at once"
    );
    assert_eq!(world.store.forget_expired(2).await.unwrap(), 1);
    assert_eq!(world.store.forget_expired(2).await.unwrap(), 0);
    assert_eq!(
        batch(&world, &["a", "a"]).await,
        [false, true],
        "one is kept"
    );
}

pub async fn what_is_stale_repeated_or_disabled_does_not_count<S: Storage + 'static>(
    world: World<S>,
) {
    world.publish(THIRD).await;
    let old = body_at(&world, r#"{"host":"a"}"#);
    world.clock.advance(TimeDelta::minutes(61));
    for _ in 0..3 {
        let intake = world.intake(&old, None).await;
        let receipt = recorded(&world.commit(&[intake]).await[0]);
        assert_eq!(receipt.decision.kind, DecisionKind::Stale);
    }
    let body = body_at(&world, r#"{"host":"a"}"#);
    let key = || Some(intake_key("k", &body));
    let twice = [
        world.intake(&body, key()).await,
        world.intake(&body, key()).await,
    ];
    let outcomes = world.commit(&twice).await;
    assert!(!acted(&recorded(&outcomes[0])));
    let again = world.commit(&[world.intake(&body, key()).await]).await;
    for outcome in [&outcomes[1], &again[0]] {
        assert!(matches!(outcome, CommitOutcome::Replayed(_)), "{outcome:?}");
    }
    world
        .publish(&THIRD.replace("id: third", "id: third, mode: disabled"))
        .await;
    assert_eq!(batch(&world, &["a", "a"]).await, [false, false]);
    world.publish(THIRD).await;
    assert_eq!(
        batch(&world, &["a", "a"]).await,
        [false, true],
        "one counted before"
    );
}

pub async fn a_shadow_counts_and_shows_when_it_would_act<S: Storage + 'static>(world: World<S>) {
    let shadow = THIRD.replace("id: third", "id: third, mode: shadow");
    world.publish(&shadow).await;
    for _ in 0..3 {
        assert_eq!(batch(&world, &["a"]).await, [false]);
    }
    let (tenant, filter) = (default_tenant(), Default::default());
    let walked = world.store.audit_after(&tenant, &filter, 100).await;
    let (audit, _) = walked.unwrap();
    let decisions = audit.iter().filter(|record| record.action == "decision");
    let shadows: Vec<_> = decisions.map(|record| record.shadows.join(" ")).collect();
    assert_eq!(shadows, ["", "", "third"]);
    world.publish(THIRD).await;
    assert_eq!(
        batch(&world, &["a"]).await,
        [true],
        "what it counted goes on"
    );
}

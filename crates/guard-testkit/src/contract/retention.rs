//! Cases of letting go of what is old.

use chrono::TimeDelta;
use guard_app::ports::{
    Actor, AuditFilter, CommitOutcome, Dropped, OrderOutcome, Receipt, StartOutcome, WorkflowResult,
};
use guard_domain::ExecutionState;

use super::{Storage, World, acknowledged, default_tenant, page, recorded};
use crate::{event_body, intake_key, tenant};

const KEPT: TimeDelta = TimeDelta::days(2);

impl<S: Storage + 'static> World<S> {
    /// Drops what is old, a few rows at a time, and gives what was dropped in all.
    pub(super) async fn drop_old(&self) -> Dropped {
        let floor = self.store.floor(KEPT).await.expect("a floor");
        let mut all = Dropped::default();
        loop {
            let step = self.store.drop_old(floor, 2).await.expect("dropped");
            for (what, count) in &step.counts {
                assert!(*count <= 2 || what.ends_with("_days"), "{step:?}");
                all.add(what, *count);
            }
            all.held_up |= step.held_up;
            if !step.more {
                return all;
            }
        }
    }

    /// Records an event of today.
    async fn record_on(&self, event_type: &str, date: &str) -> Receipt {
        let body = event_body(event_type, "high", "{}").replace("2026-11-20", date);
        let intake = self.intake(&body, None).await;
        recorded(&self.commit(&[intake]).await[0])
    }

    pub(super) async fn actions(&self) -> Vec<String> {
        let (records, _) = self
            .store
            .audit_after(&default_tenant(), &Default::default(), 100)
            .await
            .unwrap();
        records.into_iter().map(|record| record.action).collect()
    }

    /// Lets the one due execution run to its end.
    async fn run_one(&self) {
        let claimed = self.claim(10, &[]).await.remove(0);
        let id = claimed.execution.id;
        self.store.settle(&claimed, &acknowledged()).await.unwrap();
        let quarter = TimeDelta::minutes(15);
        let started = self
            .store
            .start(&default_tenant(), id, "n8n", &quarter.into())
            .await;
        assert!(matches!(started.unwrap(), StartOutcome::Started(_)));
        let result = WorkflowResult {
            succeeded: true,
            message: None,
            data: None,
        };
        self.store
            .finish(&default_tenant(), id, &result)
            .await
            .unwrap();
    }
}

pub async fn what_is_old_goes_and_the_rest_stays<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let default = default_tenant();
    let mut old = Vec::new();
    for host in 0..5 {
        let context = format!(r#"{{"host":"{host}"}}"#);
        old.push(world.record("security_threat", "high", &context).await);
        world.run_one().await;
    }
    world.record("health_check_failed", "high", "{}").await;
    let other = tenant("other");
    let body = event_body("user_offboarding", "low", "{}");
    let theirs = world.intake_of(&other, &body, None).await;
    let theirs = recorded(&world.commit(&[theirs]).await[0]);

    // At three in the morning of the third day the first day has not ended long enough ago.
    world.clock.advance(TimeDelta::days(2));
    world.store.prepare_days().await.unwrap();
    let kept = world.record_on("user_offboarding", "2026-11-22").await;
    let dropped = world.drop_old().await;
    let rows = dropped
        .counts
        .keys()
        .filter(|what| !what.ends_with("_days"));
    assert_eq!(rows.count(), 0, "{dropped:?}");
    assert_eq!(world.actions().await.len(), 8);

    world.clock.advance(TimeDelta::days(1));
    let dropped = world.drop_old().await;
    assert_eq!(dropped.counts.get("rule_executions"), Some(&5));
    assert_eq!(dropped.counts.get("execution_attempts"), Some(&5));
    assert_eq!(dropped.counts.get("escalations"), Some(&1));
    // One source, two types and two decisions of the one tenant, one of each of the other.
    assert_eq!(dropped.counts.get("event_spans"), Some(&8));
    assert!(!dropped.held_up);
    for receipt in &old {
        let (event, execution) = (receipt.event_id, receipt.execution.as_ref().unwrap().id);
        assert_eq!(world.store.event(&default, event).await.unwrap(), None);
        let found = world.store.execution(&default, execution).await.unwrap();
        assert_eq!(found, None);
        let filter = AuditFilter {
            event_id: Some(event),
            ..AuditFilter::default()
        };
        let records = world.store.audit(&default, &filter, page(10)).await;
        assert_eq!(records.unwrap(), []);
    }
    let theirs = world.store.event(&other, theirs.event_id).await.unwrap();
    assert_eq!(theirs, None, "of every tenant");
    let kept = world.store.event(&default, kept.event_id).await.unwrap();
    assert!(kept.is_some());
    assert_eq!(world.actions().await, ["decision"]);
    let escalations = world
        .store
        .escalations(&default, &Default::default(), page(10))
        .await;
    assert_eq!(escalations.unwrap(), []);
    assert_eq!(world.drop_old().await, Dropped::default(), "all at once");
    // What is live does not depend on what is old.
    world.record_on("backup_failed", "2026-11-23").await;
    world.run_one().await;
}

pub async fn an_open_execution_keeps_its_event<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let default = default_tenant();
    let before = world.record("user_offboarding", "low", "{}").await;
    world.clock.advance(TimeDelta::days(1));
    let body = event_body("backup_failed", "high", "{}").replace("2026-11-20", "2026-11-21");
    let terms = guard_app::ports::CommitTerms {
        execution_deadline: TimeDelta::days(30),
        ..World::<S>::terms()
    };
    let open = world.intake(&body, None).await;
    let open = recorded(&world.store.commit(&[open], &terms).await.unwrap()[0]);
    world.clock.advance(TimeDelta::days(9));
    world.drop_old().await;
    let gone = world.store.event(&default, before.event_id).await.unwrap();
    assert_eq!(gone, None, "the day before goes");
    let found = world.store.event(&default, open.event_id).await.unwrap();
    let found = found.expect("the event of an execution that is queued");
    assert_eq!(found.execution, open.execution);
    assert_eq!(world.actions().await, ["decision"]);

    let claimed = world.claim(1, &[]).await.remove(0);
    world.drop_old().await;
    world.store.settle(&claimed, &acknowledged()).await.unwrap();
    world.drop_old().await;
    let id = claimed.execution.id;
    let quarter = TimeDelta::minutes(15);
    world
        .store
        .start(&default, id, "n8n", &quarter.into())
        .await
        .unwrap();
    world.drop_old().await;
    let found = world.store.event(&default, open.event_id).await.unwrap();
    let state = found.unwrap().execution.unwrap().state;
    assert_eq!(state, ExecutionState::Started);

    world.clock.advance(quarter);
    assert_eq!(world.store.expire(10).await.unwrap().len(), 1);
    world.drop_old().await;
    let found = world.store.event(&default, open.event_id).await.unwrap();
    assert_eq!(found, None, "it has ended");
    let found = world.store.execution(&default, id).await.unwrap();
    assert_eq!(found, None);
}

pub async fn a_key_whose_event_is_gone_is_new<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let body = event_body("user_offboarding", "low", "{}");
    let first = world.intake(&body, Some(intake_key("k", &body))).await;
    let first = recorded(&world.commit(&[first]).await[0]);
    world.clock.advance(TimeDelta::days(3));
    world.drop_old().await;
    let gone = world.store.event(&default_tenant(), first.event_id).await;
    assert_eq!(gone.unwrap(), None);
    let again = world.intake(&body, Some(intake_key("k", &body))).await;
    let outcome = world.commit(&[again]).await.remove(0);
    assert!(
        matches!(&outcome, CommitOutcome::Recorded(receipt) if receipt.event_id != first.event_id),
        "{outcome:?}"
    );
}

pub async fn an_execution_outlives_its_event_and_is_not_redriven<S: Storage + 'static>(
    world: World<S>,
) {
    let world = world.with_rules().await;
    let (default, actor) = (default_tenant(), Actor::system("test"));
    let hour = TimeDelta::hours(1);
    let receipt = world.record("backup_failed", "high", "{}").await;
    let first = receipt.execution.unwrap().id;
    world.store.cancel(&default, first, &actor).await.unwrap();
    world.clock.advance(TimeDelta::days(1));
    let redriven = world.store.redrive(&default, first, hour, &actor).await;
    let OrderOutcome::Ordered(second) = redriven.unwrap() else {
        panic!("not redriven")
    };
    world
        .store
        .cancel(&default, second.id, &actor)
        .await
        .unwrap();
    world.clock.advance(TimeDelta::days(2));
    world.drop_old().await;
    let found = world.store.execution(&default, second.id).await.unwrap();
    assert_eq!(
        found.expect("it is younger").execution.event_id,
        receipt.event_id
    );
    let listed = world
        .store
        .executions(&default, &Default::default(), page(10))
        .await;
    assert_eq!(listed.unwrap().len(), 1);
    let events = world
        .store
        .events(&default, &Default::default(), page(10))
        .await;
    assert_eq!(events.unwrap(), []);
    let redriven = world
        .store
        .redrive(&default, second.id, hour, &actor)
        .await
        .unwrap();
    assert_eq!(redriven, OrderOutcome::EventGone);
}

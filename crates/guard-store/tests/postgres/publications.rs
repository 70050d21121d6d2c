//! What another instance publishes while events are decided here.

use guard_app::ports::{CommitOutcome, PublishMode};
use guard_domain::TenantId;
use guard_testkit::contract::recorded;
use guard_testkit::{TestDatabase, event_body, publish_rules, tenant};

use super::instances;

#[tokio::test(flavor = "multi_thread")]
async fn what_another_instance_published_for_one_tenant_is_not_taken_for_that_of_another() {
    let database = TestDatabase::create().await;
    let [here, there] = instances::<2>(&database).await;
    let rules = |action: &str| format!("rules: [{{ id: one, event_type: '*', action: {action} }}]");
    let [behind, ahead] = ["behind", "ahead"].map(tenant);
    let publish = async |tenant: &TenantId, action: &str| {
        let store = there.store.as_ref();
        publish_rules(store, tenant, &rules(action), PublishMode::Differs).await;
    };
    publish(&behind, "ignore").await;
    publish(&ahead, "ignore").await;
    publish(&ahead, "{ escalate: { to: default, message: m } }").await;
    let body = event_body("backup_failed", "high", "{}");
    let mut intakes = Vec::new();
    for tenant in [&behind, &ahead, &behind, &ahead] {
        intakes.push(here.intake_of(tenant, &body, None).await);
    }
    for outcome in here.commit(&intakes[..2]).await {
        recorded(&outcome);
    }
    // Now both have the same revision and the same pauses.
    publish(&behind, "{ escalate: { to: default, message: m } }").await;
    let outcomes = here.commit(&intakes[2..]).await;
    assert!(
        matches!(outcomes[0], CommitOutcome::Outdated),
        "{outcomes:?}"
    );
    recorded(&outcomes[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_appear_or_vanish_outdate_what_was_decided_without_or_by_them() {
    let database = TestDatabase::create().await;
    let [here, there] = instances::<2>(&database).await;
    let tenant = tenant("late");
    let body = event_body("backup_failed", "high", "{}");
    let without = here.intake_of(&tenant, &body, None).await;
    let late = here.intake_of(&tenant, &body, None).await;
    recorded(&here.commit(&[without]).await[0]);
    let rules = "rules: [{ id: one, event_type: '*', action: ignore }]";
    publish_rules(there.store.as_ref(), &tenant, rules, PublishMode::Differs).await;
    let outcomes = here.commit(&[late]).await;
    assert!(
        matches!(outcomes[0], CommitOutcome::Outdated),
        "{outcomes:?}"
    );
    let with = here.intake_of(&tenant, &body, None).await;
    let early = here.intake_of(&tenant, &body, None).await;
    recorded(&here.commit(&[with]).await[0]);
    // As after a failover that lost the last commits.
    sqlx::query("DELETE FROM control WHERE tenant = 'late'")
        .execute(&mut database.connect().await)
        .await
        .unwrap();
    let outcomes = here.commit(&[early]).await;
    assert!(
        matches!(outcomes[0], CommitOutcome::Outdated),
        "{outcomes:?}"
    );
}

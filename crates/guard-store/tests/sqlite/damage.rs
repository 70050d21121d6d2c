//! Rows that are damaged.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use guard_app::ports::{CommitOutcome, NotificationRequest, Notifications, RuleStore};
use guard_domain::{ChannelAddress, ChannelName, ContactName, TenantId};
use guard_testkit::event_body;

use super::{PAGES, fixture};

#[tokio::test]
async fn a_damaged_execution_is_set_aside_and_the_others_go_on() {
    let fixture = fixture().await;
    for host in ["a", "b", "c", "d"] {
        fixture
            .world
            .record(
                "security_threat",
                "high",
                &format!(r#"{{"host":"{host}"}}"#),
            )
            .await;
    }
    fixture
        .execute(
            r#"UPDATE rule_executions SET playbook = 'NOT A SLUG' WHERE params LIKE '%"a"%';
               UPDATE rule_executions SET params = CAST(x'ff' AS TEXT) WHERE params LIKE '%"c"%';
               UPDATE events SET body = CAST(x'ff' AS TEXT) WHERE body LIKE '%"d"%'"#,
        )
        .await;
    let claimed = fixture.world.claim(10, &[]).await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].params, r#"{"host":"b"}"#);
    assert_eq!(
        fixture
            .count("SELECT count(*) FROM rule_executions WHERE state = 'dead'")
            .await,
        3
    );
}

#[tokio::test]
async fn damage_of_one_tenant_is_no_fault_of_the_event_and_spares_the_others() {
    let fixture = fixture().await;
    let mine = fixture.batch(&["{}"]).await.remove(0);
    let other = guard_testkit::tenant("other");
    let yaml = "rules: [{ id: quiet, event_type: '*', action: ignore }]";
    let mode = guard_app::ports::PublishMode::Differs;
    guard_testkit::publish_rules(fixture.world.store.as_ref(), &other, yaml, mode).await;
    let body = event_body("user_offboarding", "low", "{}");
    let theirs = fixture.world.intake_of(&other, &body, None).await;
    fixture
        .execute("UPDATE control SET pauses = 'damaged' WHERE tenant = 'default'")
        .await;
    let outcomes = fixture.world.commit(&[mine, theirs]).await;
    assert!(
        matches!(outcomes[0], CommitOutcome::Lost),
        "its sender is to try again: {outcomes:?}"
    );
    assert!(
        matches!(outcomes[1], CommitOutcome::Recorded(_)),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn damaged_rules_are_named_by_table_column_and_key() {
    let fixture = fixture().await;
    fixture
        .execute("UPDATE rules SET version = -1 WHERE rule_id = 'page'")
        .await;
    fixture
        .execute("UPDATE rule_revisions SET members = '[[\"page\",-1]]' WHERE revision = 1")
        .await;
    let error = fixture
        .world
        .store
        .live(&TenantId::default_tenant())
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("inconsistent data in `rules.version` of `page`"),
        "{error}"
    );
}

#[tokio::test]
async fn a_damaged_notification_is_set_aside_and_holds_nobody_up() {
    let fixture = fixture().await;
    fixture.world.publish(PAGES).await;
    for _ in 0..5 {
        fixture.world.record("user_offboarding", "low", "{}").await;
        fixture.world.clock.advance(TimeDelta::milliseconds(1));
    }
    let nth = "(SELECT escalation_id FROM escalations ORDER BY escalation_id LIMIT 1 OFFSET";
    for damage in [
        format!("UPDATE notifications SET channel_type = 'pigeon' WHERE escalation_id = {nth} 0)"),
        format!(
            "UPDATE notifications SET channel_type = CAST(x'ff' AS TEXT) WHERE escalation_id = {nth} 2)"
        ),
        format!("DELETE FROM escalations WHERE escalation_id = {nth} 1)"),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(damage))
            .execute(&mut fixture.connect().await)
            .await
            .unwrap();
    }
    let request = NotificationRequest {
        instance: "test".to_owned(),
        ready: BTreeSet::from([ChannelAddress {
            contact: ContactName::parse("oncall").unwrap(),
            channel: ChannelName::parse("pager").unwrap(),
        }]),
        lease: Duration::from_secs(20),
        repeat_after: TimeDelta::zero(),
    };
    let mut claimed = 0;
    for _ in 0..8 {
        let store = &fixture.world.store;
        let round = store.claim_notification(&request, 10).await.unwrap();
        claimed += usize::from(round.claimed.is_some());
    }
    assert_eq!(claimed, 2);
    let dead = "SELECT count(*) FROM notifications WHERE state = 'dead'";
    assert_eq!(fixture.count(dead).await, 3);
}

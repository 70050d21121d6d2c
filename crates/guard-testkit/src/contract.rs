//! What every storage adapter must do.
//!
//! [`storage_contract!`](crate::storage_contract) makes one test of each case; an adapter's test gives a function that
//! opens a fresh database.

mod archive;
mod checkpoints;
mod events;
mod keys;
mod leases;
mod ledger;
mod links;
mod notifications;
mod operators;
mod orders;
mod outbox;
mod records;
mod reports;
mod retention;
mod rules;
mod tenants;
mod windows;

use std::sync::Arc;

use guard_app::RuleBook;
use guard_app::ports::{
    ApiKeys, Archive, AuditExports, AuditLog, Checkpoints, ClaimRequest, Claimed, Clock,
    CommitOutcome, CommitTerms, Controls, IdempotencyKey, Intake, Leases, Ledger, Notifications,
    Origin, Outbox, PublishMode, Receipt, Retention, RuleStore, TenantSource, Tenants, random_tail,
};
use guard_domain::{Event, EventId, EventTypes, PlaybookName, TenantId};
use guard_policy::RuleSet;

use crate::{FakeClock, SeededRandom, event_body, publish_rules, tenant};

pub use archive::*;
pub use checkpoints::*;
pub use events::*;
pub use keys::*;
pub use leases::*;
pub use ledger::*;
pub use links::*;
pub use notifications::*;
pub use operators::*;
pub use orders::*;
pub use outbox::*;
pub use records::*;
pub use reports::*;
pub use retention::*;
pub use rules::*;
pub use tenants::*;
pub use windows::*;

/// Every storage port.
pub trait Storage:
    Ledger
    + Outbox
    + Notifications
    + RuleStore
    + Controls
    + Archive
    + AuditLog
    + AuditExports
    + ApiKeys
    + Leases
    + Retention
    + Checkpoints
    + Tenants
    + TenantSource
{
}
impl<T> Storage for T where
    T: Ledger
        + Outbox
        + Notifications
        + RuleStore
        + Controls
        + Archive
        + AuditLog
        + AuditExports
        + ApiKeys
        + Leases
        + Retention
        + Checkpoints
        + Tenants
        + TenantSource
{
}

/// A fresh database and what surrounds it.
pub struct World<S> {
    /// The adapter under test.
    pub store: Arc<S>,
    /// Its clock.
    pub clock: Arc<FakeClock>,
    /// Its randomness.
    pub random: Arc<SeededRandom>,
}

/// The rules of most cases: a playbook with a cooldown of ten minutes for each host; without a cooldown; an escalation.
pub const RULES: &str = "
rules:
  - id: lockdown
    event_type: security_threat
    cooldown_minutes: 10
    cooldown_by: [context.host]
    action: { trigger_playbook: { name: lockdown } }
  - id: recover
    event_type: backup_failed
    action: { trigger_playbook: { name: recover } }
  - id: page
    event_type: health_check_failed
    action: { escalate: { to: default, message: 'service {{ context.service }}' } }
";

impl<S: Storage + 'static> World<S> {
    /// Publishes [`RULES`].
    pub async fn with_rules(self) -> Self {
        self.publish(RULES).await;
        self
    }

    /// Publishes rules for tenant `default`.
    pub async fn publish(&self, yaml: &str) {
        let tenant = TenantId::default_tenant();
        publish_rules(self.store.as_ref(), &tenant, yaml, PublishMode::Differs).await;
    }

    /// The live rules of a tenant.
    pub async fn live(&self, tenant: &TenantId) -> Arc<RuleSet> {
        let book = RuleBook::new(self.store.clone());
        book.refresh(tenant).await.expect("rules")
    }

    /// An intake of a body, evaluated by the live rules.
    pub async fn intake(&self, body: &str, key: Option<IdempotencyKey>) -> Intake {
        self.intake_of(&TenantId::default_tenant(), body, key).await
    }

    /// An intake of a tenant.
    pub async fn intake_of(
        &self,
        tenant: &TenantId,
        body: &str,
        key: Option<IdempotencyKey>,
    ) -> Intake {
        let rules = self.live(tenant).await;
        let now = self.clock.now();
        let event = Event::parse(body.as_bytes(), &EventTypes::default(), now).expect("an event");
        Intake {
            tenant: tenant.clone(),
            event_id: EventId::new(now, random_tail(self.random.as_ref())),
            received_at: now,
            evaluation: rules.evaluate(event.body()).expect("evaluated"),
            body_sha256: guard_audit::sha256(event.body()),
            event: Arc::new(event),
            key,
            rules,
            origin: Origin {
                subject: "key:test".to_owned(),
                request_id: "request-1".to_owned(),
                traceparent: Some("00-trace-1".to_owned()),
            },
        }
    }

    /// The terms of most cases: a deadline of an hour.
    pub fn terms() -> CommitTerms {
        CommitTerms {
            execution_deadline: chrono::TimeDelta::hours(1),
            ..CommitTerms::default()
        }
    }

    /// Commits intakes.
    pub async fn commit(&self, intakes: &[Intake]) -> Vec<CommitOutcome> {
        self.store
            .commit(intakes, &Self::terms())
            .await
            .expect("committed")
    }

    /// Commits one event, and gives its receipt.
    pub async fn record(&self, event_type: &str, severity: &str, context: &str) -> Receipt {
        let body = event_body(event_type, severity, context);
        let intake = self.intake(&body, None).await;
        recorded(&self.commit(&[intake]).await[0])
    }

    /// Claims what is due, but of some playbooks.
    pub async fn claim(&self, limit: u32, skip: &[&str]) -> Vec<Claimed> {
        let none_of: Vec<_> = skip.iter().map(|name| (*name, 0)).collect();
        self.claim_some(limit, limit, &none_of).await
    }

    /// Claims what is due, so many of each playbook and fewer of some.
    pub async fn claim_some(
        &self,
        limit: u32,
        of_each: u32,
        fewer_of: &[(&str, u32)],
    ) -> Vec<Claimed> {
        let playbook = |name| PlaybookName::parse(name).expect("a slug");
        let request = ClaimRequest {
            instance: "test".to_owned(),
            limit,
            lease: std::time::Duration::from_secs(60),
            of_each,
            fewer_of: fewer_of
                .iter()
                .map(|(name, room)| (playbook(name), *room))
                .collect(),
        };
        self.store.claim_due(&request).await.expect("claimed")
    }
}

/// The receipt of a recorded intake.
#[track_caller]
pub fn recorded(outcome: &CommitOutcome) -> Receipt {
    match outcome {
        CommitOutcome::Recorded(receipt) => receipt.clone(),
        other => panic!("not recorded: {other:?}"),
    }
}

fn default_tenant() -> TenantId {
    tenant("default")
}

/// Makes a test of every case of the contract. `$world` is an async function that opens a fresh database; it gives a
/// [`World`] and whatever must live as long.
#[macro_export]
macro_rules! storage_contract {
    ($world:path) => {
        $crate::storage_contract!(@cases $world:
            a_decision_is_recorded_with_everything
            a_batch_is_decided_in_order
            a_cooldown_is_claimed_once_and_ends
            an_undelivered_execution_suppresses
            a_window_counts_across_batches_and_slides
            events_of_one_batch_count_one_by_one
            a_window_counts_each_value_apart
            a_window_counts_each_tenant_apart
            a_window_keeps_no_more_than_its_count
            matches_that_count_no_longer_are_forgotten
            what_is_stale_repeated_or_disabled_does_not_count
            a_shadow_counts_and_shows_when_it_would_act
            a_repeated_key_replays
            a_key_is_forgotten_after_a_day
            an_outdated_evaluation_is_sent_back
            a_pause_holds_decisions_and_deliveries
            a_dry_run_is_recorded_and_not_delivered
            an_escalation_is_recorded
            receipts_are_found
            awkward_texts_are_kept
            a_nul_stops_nothing
            tenants_do_not_meet
            the_most_severe_is_claimed_first
            a_claim_takes_of_each_playbook_what_there_is_room_for
            a_lease_ends_and_fences
            an_acknowledgement_is_no_result
            a_retry_waits
            giving_up_without_a_run_is_dead_and_frees_the_cooldown
            giving_up_after_a_run_is_unconfirmed_and_keeps_the_cooldown
            a_workflow_that_failed_has_failed
            only_one_delivery_starts
            a_workflow_that_speaks_first_is_not_delivered_again
            results_are_taken_once_and_late
            time_runs_out
            a_run_that_began_is_never_dead
            the_failure_of_a_repeated_delivery_is_not_that_of_the_run
            a_cooldown_is_released_only_by_who_claimed_it
            an_execution_is_cancelled
            an_execution_is_redriven
            an_execution_is_undone
            an_undoing_that_fails_changes_nothing_and_may_be_repeated
            what_had_no_effect_is_not_undone
            an_undoing_holds_no_rule_back
            a_rehearsal_is_delivered_and_holds_nothing_back
            a_rehearsal_that_is_lost_calls_nobody
            what_ended_without_proof_is_found
            an_answer_is_kept_as_it_came
            an_act_goes_on_record
            every_version_of_a_rule_is_found
            an_escalation_is_raised_once
            rules_are_versions_in_revisions
            a_start_does_not_revert_and_an_operator_does
            the_first_key_is_the_only_one
            a_key_is_kept_as_it_was_made
            a_key_that_is_revoked_or_expired_is_not_found
            keys_are_listed_by_tenant_and_page
            the_last_use_of_a_key_is_noted
            a_tenant_is_created_once_on_record
            the_limits_of_a_tenant_are_replaced_on_record
            a_tenant_is_disabled_and_enabled_on_record
            tenants_are_listed_by_name
            tenants_come_into_being_with_what_they_have
            a_change_of_any_tenant_is_noticed
            a_callback_key_is_made_once
            pages_are_stable
            events_are_found_by_all_that_they_have
            events_of_many_spans_are_all_found
            what_was_refused_hides_no_other_event
            lists_are_filtered
            the_audit_is_walked_in_order
            a_link_is_found_whole_whoever_shares_it
            what_waited_is_found_in_the_link_that_it_got_into
            what_retention_leaves_of_a_link_is_found
            the_heads_are_the_last_links
            a_checkpoint_is_kept_once
            what_is_about_to_go_is_known
            a_lease_has_one_holder
            a_lease_is_taken_over_when_it_has_ended
            a_released_lease_is_free_at_once
            what_is_old_goes_and_the_rest_stays
            an_open_execution_keeps_its_event
            a_key_whose_event_is_gone_is_new
            an_execution_outlives_its_event_and_is_not_redriven
            an_escalation_has_a_notification_for_each_channel
            what_an_attempt_escalates_is_notified_once
            the_most_severe_notification_is_claimed_first
            the_lease_of_a_notification_ends_and_fences
            a_notification_is_tried_again_and_sent_or_dead
            a_notification_past_its_deadline_is_dead
            what_repeats_a_notification_is_not_sent
            a_repeat_waits_for_what_is_being_sent
            notifications_go_with_their_escalation
        );
    };
    (@cases $world:path: $($case:ident)*) => {
        $(
            #[tokio::test]
            async fn $case() {
                let (world, _alive) = $world().await;
                $crate::contract::$case(world).await;
            }
        )*
    };
}

/// The first page of so many items.
pub fn page(limit: u32) -> guard_app::ports::IdPage {
    guard_app::ports::IdPage {
        before: None,
        limit,
    }
}

/// The report of an attempt that n8n acknowledged; the workflow has 15 minutes to report.
pub fn acknowledged() -> guard_app::ports::AttemptReport {
    guard_app::ports::AttemptReport {
        outcome: guard_domain::AttemptOutcome::Acknowledged,
        status_code: Some(200),
        detail: "n8n answered 200".to_owned(),
        may_have_run: true,
        answer: None,
        unregistered_since: None,
        escalation: None,
        next: guard_app::ports::NextStep::Acknowledge {
            confirm_within: chrono::TimeDelta::minutes(15),
        },
    }
}

/// The report of an attempt that failed.
pub fn failed(
    may_have_run: bool,
    next: guard_app::ports::NextStep,
) -> guard_app::ports::AttemptReport {
    guard_app::ports::AttemptReport {
        outcome: guard_domain::AttemptOutcome::Retry,
        status_code: None,
        detail: "it failed".to_owned(),
        may_have_run,
        answer: None,
        unregistered_since: None,
        escalation: None,
        next,
    }
}

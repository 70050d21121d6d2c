//! What is tried, in order. Each says what it saw, or what was not as it should be.

mod core;
mod flood;
mod outages;
mod refusals;

use std::pin::Pin;

use super::world::World;

/// What a scenario saw, or what was wrong.
pub(crate) type Outcome = Result<String, String>;
/// A scenario.
pub(crate) type Scenario = fn(&mut World) -> Pin<Box<dyn Future<Output = Outcome> + '_>>;

/// Every scenario with its name.
pub(crate) fn all() -> Vec<(&'static str, Scenario)> {
    vec![
        ("a failed backup is made again", |world| {
            Box::pin(core::a_failed_backup_is_made_again(world))
        }),
        ("a backup is rehearsed and undone", |world| {
            Box::pin(core::a_backup_is_rehearsed_and_undone(world))
        }),
        ("an address is blocked, rehearsed and undone", |world| {
            Box::pin(core::an_address_is_blocked_rehearsed_and_undone(world))
        }),
        ("a service is remediated, rehearsed and undone", |world| {
            Box::pin(core::a_service_is_remediated_rehearsed_and_undone(world))
        }),
        ("failsafe, offboarding and integrity check", |world| {
            Box::pin(core::the_other_playbooks_do_their_work(world))
        }),
        ("what cannot be done is reported as failed", |world| {
            Box::pin(core::what_cannot_be_done_is_reported(world))
        }),
        ("the same delivery ten times at once acts once", |world| {
            Box::pin(refusals::ten_deliveries_at_once_act_once(world))
        }),
        (
            "a workflow that n8n does not have is a dead letter",
            |world| Box::pin(refusals::what_n8n_does_not_have_is_a_dead_letter(world)),
        ),
        (
            "a wrong token is told, and the right one goes on",
            |world| Box::pin(refusals::a_wrong_token_is_told(world)),
        ),
        ("n8n is down for 20 s: queued, then run once", |world| {
            Box::pin(outages::n8n_is_down_for_a_while(world))
        }),
        (
            "n8n is killed in mid-run: unconfirmed, escalated",
            |world| Box::pin(outages::n8n_is_killed_in_mid_run(world)),
        ),
        ("the guard is killed before the callback", |world| {
            Box::pin(outages::the_guard_is_killed_before_the_callback(world))
        }),
        ("300 triggers at once: n8n stays responsive", |world| {
            Box::pin(flood::three_hundred_triggers(world))
        }),
    ]
}

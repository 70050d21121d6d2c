//! The names of the metrics, and what they count.

use guard_domain::ChannelType;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Events taken in, by `event_type`.
pub const EVENTS_RECEIVED: &str = "neural_guard_events_received_total";
/// Decisions to trigger a playbook, by `playbook`.
pub const PLAYBOOKS_TRIGGERED: &str = "neural_guard_playbooks_triggered_total";
/// Seconds from the last byte of an event's body to its commit.
pub const EVENT_DURATION: &str = "neural_guard_event_processing_duration_seconds";
/// Rules that decide, of all tenants.
pub const ACTIVE_RULES: &str = "neural_guard_active_rules";
/// Decisions on record, by `decision`.
pub const DECISIONS: &str = "neural_guard_decisions_total";
/// Requests that were refused, by `status`.
pub const REFUSED: &str = "neural_guard_requests_refused_total";
/// Escalations raised, by `reason`.
pub const ESCALATIONS: &str = "neural_guard_escalations_total";
/// Attempts to send a notification and those that were not sent, by `channel_type` and `outcome`: `sent`, `retry`,
/// `repeated`, `dead`.
pub const NOTIFICATIONS: &str = "neural_guard_notifications_total";
/// Notifications in the database that are queued or being sent.
pub const NOTIFICATIONS_OPEN: &str = "neural_guard_notifications_open";
/// Deliveries attempted, by `playbook` and `outcome`.
pub const DELIVERIES: &str = "neural_guard_deliveries_total";
/// Executions that ended, by `playbook` and `state`.
pub const EXECUTIONS_ENDED: &str = "neural_guard_executions_ended_total";
/// Seconds from the beginning of a workflow to the result that it reported, by `playbook`.
pub const EXECUTION_DURATION: &str = "neural_guard_execution_duration_seconds";
/// Seconds from a decision to the proof that its playbook did its work, by `playbook`: the time to resolve.
pub const RESOLUTION_TIME: &str = "neural_guard_resolution_time_seconds";
/// Whether n8n has a playbook that a rule names, by `playbook`: 1, 0, or NaN if that is not known.
pub const PLAYBOOK_PRESENT: &str = "neural_guard_playbook_present";
/// Callbacks that were refused because of their token.
pub const CALLBACKS_REFUSED: &str = "neural_guard_callbacks_refused_total";
/// When the certificate of the server ends, in seconds since 1970; NaN if that cannot be read.
pub const CERTIFICATE_EXPIRY: &str = "neural_guard_tls_certificate_expiry_timestamp_seconds";
/// Connections that were closed because the other end kept to no bound, by `reason`: `too_many`, `handshake`, `slow_headers`,
/// `unread`.
pub const CONNECTIONS_CLOSED: &str = "neural_guard_connections_closed_total";
/// Bearer tokens that were refused, by `reason`.
pub const LOGINS_REFUSED: &str = "neural_guard_logins_refused_total";
/// Slow hashes that were worked out to check a key with a chosen secret.
pub const KEY_HASHES: &str = "neural_guard_key_hashes_total";
/// Circuit breakers that are open, by `scope`.
pub const BREAKERS_OPEN: &str = "neural_guard_breakers_open";
/// Intakes in one commit.
pub const COMMIT_BATCH: &str = "neural_guard_commit_batch_events";
/// Commits that failed.
pub const COMMIT_FAILURES: &str = "neural_guard_commit_failures_total";
/// What was dropped because it is older than it is kept, by `what`: rows of a table, or days of it.
pub const RETENTION_DROPPED: &str = "neural_guard_retention_dropped_total";
/// Events that were refused because their source had sent too many, by `class`.
pub const RATE_LIMITED: &str = "neural_guard_rate_limited_total";
/// Requests that were counted in this process because Redis did not answer.
pub const RATE_LIMITER_FALLBACKS: &str = "neural_guard_rate_limiter_fallbacks_total";

/// The buckets of [`EVENT_DURATION`], in seconds: from 0.5 ms.
pub const EVENT_DURATION_BUCKETS: [f64; 14] = [
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// The buckets of [`EXECUTION_DURATION`] and [`RESOLUTION_TIME`], in seconds.
pub const EXECUTION_DURATION_BUCKETS: [f64; 10] = [
    0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0,
];
/// The buckets of [`COMMIT_BATCH`], in events.
pub const COMMIT_BATCH_BUCKETS: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 512.0];

/// Describes every metric to the recorder that is installed.
pub fn describe() {
    describe_counter!(EVENTS_RECEIVED, "Events taken in");
    describe_counter!(PLAYBOOKS_TRIGGERED, "Decisions to trigger a playbook");
    describe_histogram!(
        EVENT_DURATION,
        "Seconds from the last byte of an event to its commit"
    );
    describe_gauge!(ACTIVE_RULES, "Rules that decide");
    describe_counter!(DECISIONS, "Decisions on record");
    describe_counter!(REFUSED, "Requests that were refused");
    describe_counter!(ESCALATIONS, "Escalations raised");
    describe_counter!(NOTIFICATIONS, "Notifications, by what came of them");
    describe_gauge!(
        NOTIFICATIONS_OPEN,
        "Notifications that are queued or being sent"
    );
    describe_counter!(DELIVERIES, "Deliveries attempted");
    describe_counter!(EXECUTIONS_ENDED, "Executions that ended");
    describe_histogram!(
        EXECUTION_DURATION,
        "Seconds from the beginning of a workflow to its result"
    );
    describe_histogram!(
        RESOLUTION_TIME,
        "Seconds from a decision to the proof that its playbook did its work"
    );
    describe_gauge!(
        PLAYBOOK_PRESENT,
        "Whether n8n has a playbook that a rule names"
    );
    describe_counter!(
        CALLBACKS_REFUSED,
        "Callbacks that were refused because of their token"
    );
    describe_gauge!(
        CERTIFICATE_EXPIRY,
        "When the certificate of the server ends, in seconds since 1970"
    );
    describe_counter!(
        CONNECTIONS_CLOSED,
        "Connections that were closed because the other end kept to no bound"
    );
    describe_counter!(LOGINS_REFUSED, "Bearer tokens that were refused");
    describe_counter!(KEY_HASHES, "Slow hashes worked out to check a key");
    describe_gauge!(BREAKERS_OPEN, "Circuit breakers that are open");
    describe_histogram!(COMMIT_BATCH, "Intakes in one commit");
    describe_counter!(COMMIT_FAILURES, "Commits that failed");
    describe_counter!(
        RETENTION_DROPPED,
        "Rows or days that were dropped for their age"
    );
    describe_counter!(
        RATE_LIMITED,
        "Events that were refused because their source had sent too many"
    );
    describe_counter!(
        RATE_LIMITER_FALLBACKS,
        "Requests that were counted in this process because Redis did not answer"
    );
}

/// Counts one more.
pub(crate) fn count(name: &'static str, label: &'static str, value: &str) {
    counter!(name, label => value.to_owned()).increment(1);
}

/// Counts so many more.
pub(crate) fn add(name: &'static str, label: &'static str, value: &'static str, count: u64) {
    counter!(name, label => value).increment(count);
}

/// Counts one more, by two labels.
pub(crate) fn count_by(name: &'static str, playbook: &str, label: &'static str, value: &str) {
    counter!(name, "playbook" => playbook.to_owned(), label => value.to_owned()).increment(1);
}

/// Counts what came of a notification.
pub(crate) fn count_notification(channel_type: ChannelType, outcome: &'static str) {
    counter!(NOTIFICATIONS, "channel_type" => channel_type.as_str(), "outcome" => outcome)
        .increment(1);
}

/// Notes how long something took, in seconds.
pub(crate) fn observe(name: &'static str, seconds: f64) {
    histogram!(name).record(seconds);
}

/// Sets a level.
#[expect(clippy::cast_precision_loss, reason = "levels are far below 2^52")]
pub(crate) fn level(name: &'static str, value: usize) {
    gauge!(name).set(value as f64);
}

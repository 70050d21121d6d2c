//! 1,000 rules, of which one triggers a playbook when an event says so.

use std::fmt::Write;

/// The rules as YAML.
pub(crate) fn yaml() -> String {
    let mut text = String::from(
        "rules:
  - id: trigger
    event_type: anomaly_detected
    conditions: [{ field: context.trigger, op: eq, value: true }]
    cooldown_minutes: 10
    cooldown_by: [context.number]
    action: { trigger_playbook: { name: bench } }
",
    );
    let types = [
        "backup_failed",
        "security_threat",
        "health_check_failed",
        "anomaly_detected",
    ];
    for number in 0..999_usize {
        let event_type = types[number % types.len()];
        _ = writeln!(
            text,
            "  - id: rule-{number}
    event_type: {event_type}
    conditions:
      - {{ field: context.service, op: eq, value: service-{number} }}
      - {{ field: context.error_rate, op: gt, value: {} }}
    action: ignore",
            number % 100
        );
    }
    text
}

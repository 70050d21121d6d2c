//! The playbooks, each with its inverse.

mod backup;
mod health;
mod integrity;
mod intrusion;
mod people;
mod remediation;

use super::flow::Playbook;

/// Every playbook.
pub(crate) const ALL: &[&Playbook] = &[
    &backup::RECOVERY,
    &backup::DISCARD,
    &intrusion::LOCKDOWN,
    &intrusion::UNLOCK,
    &remediation::REMEDIATION,
    &remediation::RESTORE,
    &health::FAILSAFE,
    &health::FAILBACK,
    &people::OFFBOARDING,
    &people::REVERSAL,
    &integrity::CHECK,
];

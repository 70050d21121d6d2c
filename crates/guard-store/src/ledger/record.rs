//! What a batch of decisions comes to.

mod effects;
mod recorded_event;
mod trail;

use chrono::{DateTime, Utc};
use guard_app::ports::{CommitTerms, Consequence, ExecutionBrief, Intake, Receipt, random_tail};
use guard_domain::{Escalation, EscalationId, ExecutionId, ExecutionState, id};
use guard_policy::{Effect, Verdict};

use crate::audit::{AuditWriter, Record, Subject};
use crate::row::text;
use crate::spans::Sighting;
use crate::store::Store;

/// What a transaction is to write.
pub(super) struct Batch<'a> {
    store: &'a Store,
    pub(super) terms: &'a CommitTerms,
    /// When everything in it is decided.
    pub(super) now: DateTime<Utc>,
    entries: Vec<Entry<'a>>,
}

/// What is to be written about one intake.
struct Entry<'a> {
    intake: &'a Intake,
    verdict: Verdict,
    execution: Option<ExecutionBrief>,
    escalation: Option<Escalation>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(
        store: &'a Store,
        terms: &'a CommitTerms,
        now: DateTime<Utc>,
        intakes: usize,
    ) -> Self {
        Self {
            store,
            terms,
            now,
            entries: Vec::with_capacity(intakes),
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether there is nothing to write but the record.
    pub(super) fn has_no_effects(&self) -> bool {
        self.entries.iter().all(|entry| {
            let claim = entry.verdict.claim.as_ref();
            entry.intake.key.is_none()
                && entry.execution.is_none()
                && entry.escalation.is_none()
                && claim.is_none_or(|claim| claim.until.is_none())
                && entry.verdict.windows.is_empty()
        })
    }

    /// What the events are to be found by.
    pub(super) fn sightings(&self) -> impl Iterator<Item = Sighting<'_>> {
        self.entries.iter().flat_map(|entry| {
            let intake = entry.intake;
            let decision = entry.verdict.decision.kind;
            Sighting::of(&intake.tenant, intake.event_id, &intake.event, decision)
        })
    }

    /// Adds what was decided about an intake. The receipt holds once the batch is committed.
    pub(super) fn add(&mut self, intake: &'a Intake, mut verdict: Verdict) -> Receipt {
        let message = text(&verdict.decision.message).into_owned();
        verdict.decision.message = message;
        let execution = self.execution(&verdict);
        let escalation = self.escalation(intake, &verdict, execution.as_ref());
        let consequence = match (&verdict.effect, &verdict.decision.rule_id, &escalation) {
            (Effect::Playbook { dry_run: false, .. }, ..) => Consequence::Dispatch,
            (Effect::Log(level), Some(rule_id), _) => Consequence::Log(*level, rule_id.clone()),
            (Effect::Escalate { .. }, _, Some(escalation)) => {
                Consequence::Announce(escalation.clone())
            }
            _ => Consequence::None,
        };
        let receipt = Receipt {
            event_id: intake.event_id,
            decision: verdict.decision.clone(),
            execution: execution.clone(),
            consequence,
        };
        self.entries.push(Entry {
            intake,
            verdict,
            execution,
            escalation,
        });
        receipt
    }

    /// The records of the decisions, in the order of the entries.
    fn records(&self) -> AuditWriter<'_> {
        let mut audit = AuditWriter::begin(self.now, self.entries.len());
        for entry in &self.entries {
            let (intake, decision) = (entry.intake, &entry.verdict.decision);
            let record = Record {
                tenant: &intake.tenant,
                action: "decision",
                actor: &intake.origin.subject,
                request_id: Some(&intake.origin.request_id),
                target: None,
                subject: Subject {
                    event: Some((intake.event_id, intake.body_sha256)),
                    decision: Some(decision),
                    execution_id: entry.execution.as_ref().map(|found| found.id),
                    shadows: &entry.verdict.shadows,
                },
                message: &decision.message,
            };
            audit.add(self.store.random.as_ref(), record);
        }
        audit
    }

    fn execution(&self, verdict: &Verdict) -> Option<ExecutionBrief> {
        let Effect::Playbook { name, dry_run, .. } = &verdict.effect else {
            return None;
        };
        let tail = id::counted(self.entries.len(), random_tail(self.store.random.as_ref()));
        Some(ExecutionBrief {
            id: ExecutionId::new(self.now, tail),
            playbook: name.clone(),
            state: if *dry_run {
                ExecutionState::DryRun
            } else {
                ExecutionState::Queued
            },
        })
    }

    fn escalation(
        &self,
        intake: &Intake,
        verdict: &Verdict,
        execution: Option<&ExecutionBrief>,
    ) -> Option<Escalation> {
        let Effect::Escalate {
            contact,
            reason,
            message,
        } = &verdict.effect
        else {
            return None;
        };
        Some(Escalation {
            id: EscalationId::new(self.now, random_tail(self.store.random.as_ref())),
            reason: *reason,
            contact: contact.clone(),
            severity: intake.event.severity(),
            message: message.clone(),
            event_id: Some(intake.event_id),
            execution_id: execution.map(|execution| execution.id),
            rule_id: verdict.decision.rule_id.clone(),
            created_at: self.now,
        })
    }
}

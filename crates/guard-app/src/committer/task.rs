//! The work of committing.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use guard_domain::DecisionKind;
use tokio::sync::{Mutex, Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{CommitError, Job, Reply};
use crate::escalate::announce;
use crate::metric;
use crate::ports::{
    CommitOutcome, CommitTerms, Consequence, Intake, Ledger, Receipt, StorageError,
};
use crate::rule_book::RuleBook;

/// How often an intake is evaluated again because other rules went live meanwhile.
pub(super) const MAX_EVALUATIONS: usize = 3;
/// How long to wait before looking again for what may have been committed.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// A task that commits.
#[derive(Clone)]
pub(super) struct Task {
    /// What waits, for this task and those that share it.
    pub(super) jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) rules: Arc<RuleBook>,
    pub(super) terms: CommitTerms,
    pub(super) batch: usize,
    pub(super) timeout: Duration,
    pub(super) wake_dispatcher: Arc<Notify>,
}

impl Task {
    /// A task that does the same for other jobs.
    pub(super) fn sharing(&self, jobs: Arc<Mutex<mpsc::Receiver<Job>>>) -> Self {
        Self {
            jobs,
            ..self.clone()
        }
    }

    pub(super) async fn run(self, stop: CancellationToken) {
        let mut jobs = Vec::with_capacity(self.batch);
        loop {
            self.take(&mut jobs, &stop).await;
            if jobs.is_empty() {
                return;
            }
            // Who has given up meanwhile was told that nothing is written.
            jobs.retain(|job| job.claim.take());
            if !jobs.is_empty() {
                let (intakes, replies) = jobs.drain(..).map(|job| (job.intake, job.reply)).unzip();
                self.commit(intakes, replies).await;
            }
        }
    }

    /// Takes what waits; nothing if that was all, and no more will come.
    async fn take(&self, jobs: &mut Vec<Job>, stop: &CancellationToken) {
        let mut waiting = self.jobs.lock().await;
        let taken = tokio::select! {
            taken = waiting.recv_many(jobs, self.batch) => taken,
            () = stop.cancelled(), if !waiting.is_closed() => 0,
        };
        if taken == 0 {
            waiting.close();
            waiting.recv_many(jobs, self.batch).await;
        }
    }

    async fn commit(&self, mut intakes: Vec<Intake>, mut replies: Vec<Reply>) {
        for evaluation in 0..MAX_EVALUATIONS {
            if evaluation > 0 {
                self.evaluate_again(&mut intakes).await;
            }
            let outcomes = match self.try_commit(&intakes).await {
                Ok(outcomes) => outcomes,
                Err(error) => {
                    for reply in replies {
                        let _ = reply.send((Err(error.clone()), None));
                    }
                    return;
                }
            };
            count_decisions(&outcomes);
            let mut outdated = (Vec::new(), Vec::new());
            for ((intake, reply), outcome) in intakes.into_iter().zip(replies).zip(outcomes) {
                if matches!(outcome, CommitOutcome::Outdated) {
                    outdated.0.push(intake);
                    outdated.1.push(reply);
                } else {
                    if let CommitOutcome::Recorded(receipt) = &outcome {
                        self.follow_up(&intake, receipt);
                    }
                    let outcome = match outcome {
                        CommitOutcome::Lost => Err(CommitError::Unavailable),
                        outcome => Ok(outcome),
                    };
                    let _ = reply.send((outcome, Some(intake)));
                }
            }
            (intakes, replies) = outdated;
            if intakes.is_empty() {
                return;
            }
        }
        for reply in replies {
            let _ = reply.send((Err(CommitError::Unavailable), None));
        }
    }

    async fn try_commit(&self, intakes: &[Intake]) -> Result<Vec<CommitOutcome>, CommitError> {
        let commit = self.ledger.commit(intakes, &self.terms);
        let error = match tokio::time::timeout(self.timeout, commit).await {
            Ok(Ok(outcomes)) => {
                #[expect(clippy::cast_precision_loss, reason = "a batch is far below 2^52")]
                metric::observe(metric::COMMIT_BATCH, intakes.len() as f64);
                return Ok(outcomes);
            }
            Ok(Err(error)) => error,
            Err(elapsed) => StorageError::OutcomeUnknown(elapsed.into()),
        };
        metric::count(metric::COMMIT_FAILURES, "kind", kind(&error));
        tracing::error!(
            error = &error as &dyn std::error::Error,
            events = intakes.len(),
            "commit failed"
        );
        match error {
            StorageError::OutcomeUnknown(_) => self.look_up(intakes).await,
            StorageError::Unavailable(_) | StorageError::Inconsistent { .. } => {
                Err(CommitError::Unavailable)
            }
        }
    }

    /// Finds out which intakes of a commit of unknown outcome were recorded.
    async fn look_up(&self, intakes: &[Intake]) -> Result<Vec<CommitOutcome>, CommitError> {
        let events: Vec<_> = intakes
            .iter()
            .map(|intake| (intake.tenant.clone(), intake.event_id))
            .collect();
        let look = async {
            loop {
                match self.ledger.find_receipts(&events).await {
                    Ok(receipts) => return receipts,
                    Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
                }
            }
        };
        let receipts: Vec<Option<Receipt>> = tokio::time::timeout(self.timeout, look)
            .await
            .map_err(|_| CommitError::OutcomeUnknown)?;
        Ok(receipts
            .into_iter()
            .map(|found| found.map_or(CommitOutcome::Lost, CommitOutcome::Recorded))
            .collect())
    }

    async fn evaluate_again(&self, intakes: &mut [Intake]) {
        let tenants: HashSet<_> = intakes.iter().map(|intake| intake.tenant.clone()).collect();
        for tenant in tenants {
            let refreshed = tokio::time::timeout(self.timeout, self.rules.refresh(&tenant)).await;
            match refreshed {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "rules cannot be read"
                    );
                }
                Err(_) => tracing::error!("rules cannot be read in time"),
            }
        }
        for intake in intakes {
            let rules = self.rules.current(&intake.tenant);
            if let Ok(evaluation) = rules.evaluate(intake.event.body()) {
                intake.evaluation = evaluation;
                intake.rules = rules;
            }
        }
    }

    /// What a durable decision brings about in this process, whether or not its caller is still there.
    fn follow_up(&self, intake: &Intake, receipt: &Receipt) {
        if let (DecisionKind::PlaybookTriggered, Some(execution)) =
            (receipt.decision.kind, &receipt.execution)
        {
            let playbook = execution.playbook.as_str();
            metric::count(metric::PLAYBOOKS_TRIGGERED, "playbook", playbook);
        }
        match &receipt.consequence {
            Consequence::None => {}
            Consequence::Dispatch => self.wake_dispatcher.notify_one(),
            Consequence::Announce(escalation) => announce(&intake.tenant, escalation),
            Consequence::Log(level, rule) => log(*level, intake, rule),
        }
    }
}

/// Counts what was decided, once for each kind: a batch has few.
fn count_decisions(outcomes: &[CommitOutcome]) {
    let mut counts = BTreeMap::new();
    for outcome in outcomes {
        if let CommitOutcome::Recorded(receipt) = outcome {
            *counts.entry(receipt.decision.kind.as_str()).or_default() += 1;
        }
    }
    for (decision, count) in counts {
        metric::add(metric::DECISIONS, "decision", decision, count);
    }
}

fn log(level: guard_domain::LogLevel, intake: &Intake, rule: &guard_domain::RuleId) {
    use guard_domain::LogLevel;
    macro_rules! write_line {
        ($level:ident) => {
            tracing::$level!(
                tenant = %intake.tenant,
                event_id = %intake.event_id,
                event_type = %intake.event.event_type(),
                severity = %intake.event.severity(),
                source = %intake.event.source(),
                rule_id = %rule,
                "a rule logs this event"
            )
        };
    }
    match level {
        LogLevel::Debug => write_line!(debug),
        LogLevel::Info => write_line!(info),
        LogLevel::Warn => write_line!(warn),
        LogLevel::Error => write_line!(error),
    }
}

const fn kind(error: &StorageError) -> &'static str {
    match error {
        StorageError::Unavailable(_) => "unavailable",
        StorageError::OutcomeUnknown(_) => "outcome_unknown",
        StorageError::Inconsistent { .. } => "inconsistent",
    }
}

//! Group commit: what arrived while the previous commit was running is committed in one transaction.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use guard_domain::DecisionKind;
use thiserror::Error;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::escalate::announce;
use crate::metric;
use crate::ports::{
    CommitOutcome, CommitTerms, Consequence, Intake, Ledger, Receipt, StorageError,
};
use crate::rule_book::RuleBook;

/// How often an intake is evaluated again because other rules went live meanwhile.
const MAX_EVALUATIONS: usize = 3;
/// How long to wait before looking again for what may have been committed.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Why an intake was not committed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommitError {
    /// Too much is waiting; nothing was written.
    #[error("too many events are waiting to be recorded")]
    Overloaded,
    /// The database does not take it; nothing was written.
    #[error("the database is unavailable")]
    Unavailable,
    /// It may have been written.
    #[error("it is unknown whether the event was recorded")]
    OutcomeUnknown,
    /// The server is stopping; nothing was written.
    #[error("the server is stopping")]
    Stopping,
}

/// The bounds of a committer.
#[derive(Debug, Clone)]
pub struct CommitterSettings {
    /// How many intakes may wait.
    pub queue: usize,
    /// How many intakes one transaction takes.
    pub batch: usize,
    /// How long an intake waits for its commit, and a commit for the database.
    pub timeout: Duration,
}

impl Default for CommitterSettings {
    fn default() -> Self {
        Self {
            queue: 8192,
            batch: 512,
            timeout: Duration::from_secs(5),
        }
    }
}

type Reply = oneshot::Sender<Result<CommitOutcome, CommitError>>;

struct Job {
    intake: Intake,
    reply: Reply,
    claim: Arc<Claim>,
}

/// Who had the first say about a job: the task that began its commit, or the caller who gave up on it.
#[derive(Debug, Default)]
struct Claim(AtomicBool);

impl Claim {
    /// Whether the other side had no say yet.
    fn take(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// Hands intakes to the one task that commits.
#[derive(Clone)]
pub struct Committer {
    jobs: mpsc::Sender<Job>,
    timeout: Duration,
}

/// An intake that waits for its commit.
pub(crate) struct Pending {
    answer: oneshot::Receiver<Result<CommitOutcome, CommitError>>,
    claim: Arc<Claim>,
    deadline: Instant,
}

impl Pending {
    /// What became of the intake. Who gives up before its commit has begun has it left out, and knows that nothing was
    /// written.
    pub(crate) async fn outcome(self) -> Result<CommitOutcome, CommitError> {
        match tokio::time::timeout_at(self.deadline, self.answer).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) | Err(_) if self.claim.take() => Err(CommitError::Unavailable),
            Ok(Err(_)) | Err(_) => Err(CommitError::OutcomeUnknown),
        }
    }
}

impl Committer {
    /// A committer and the task that does its work: run it beside everything else. The task ends when `stop` is
    /// cancelled and everything that waited has been committed.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        rules: Arc<RuleBook>,
        terms: CommitTerms,
        settings: &CommitterSettings,
        wake_dispatcher: Arc<Notify>,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (sender, jobs) = mpsc::channel(settings.queue);
        let task = Task {
            jobs,
            ledger,
            rules,
            terms,
            batch: settings.batch,
            timeout: settings.timeout,
            wake_dispatcher,
        };
        (
            Self {
                jobs: sender,
                timeout: settings.timeout,
            },
            task.run(stop),
        )
    }

    /// Hands an intake over, in the order of the calls. The time that the whole commit may take begins here.
    ///
    /// # Errors
    /// [`CommitError::Overloaded`] or [`CommitError::Stopping`]; nothing is written then.
    pub(crate) async fn enqueue(&self, intake: Intake) -> Result<Pending, CommitError> {
        let deadline = Instant::now() + self.timeout;
        let (reply, answer) = oneshot::channel();
        let claim = Arc::new(Claim::default());
        let job = Job {
            intake,
            reply,
            claim: claim.clone(),
        };
        match tokio::time::timeout_at(deadline, self.jobs.send(job)).await {
            Err(_) => Err(CommitError::Overloaded),
            Ok(Err(_)) => Err(CommitError::Stopping),
            Ok(Ok(())) => Ok(Pending {
                answer,
                claim,
                deadline,
            }),
        }
    }
}

struct Task {
    jobs: mpsc::Receiver<Job>,
    ledger: Arc<dyn Ledger>,
    rules: Arc<RuleBook>,
    terms: CommitTerms,
    batch: usize,
    timeout: Duration,
    wake_dispatcher: Arc<Notify>,
}

impl Task {
    async fn run(mut self, stop: CancellationToken) {
        let mut jobs = Vec::with_capacity(self.batch);
        loop {
            let taken = tokio::select! {
                taken = self.jobs.recv_many(&mut jobs, self.batch) => taken,
                () = stop.cancelled(), if !self.jobs.is_closed() => {
                    self.jobs.close();
                    continue;
                }
            };
            if taken == 0 {
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

    async fn commit(&self, mut intakes: Vec<Intake>, mut replies: Vec<Reply>) {
        for _ in 0..MAX_EVALUATIONS {
            let outcomes = match self.try_commit(&intakes).await {
                Ok(outcomes) => outcomes,
                Err(error) => {
                    for reply in replies {
                        let _ = reply.send(Err(error.clone()));
                    }
                    return;
                }
            };
            let mut outdated = (Vec::new(), Vec::new());
            for ((intake, reply), outcome) in intakes.into_iter().zip(replies).zip(outcomes) {
                if matches!(outcome, CommitOutcome::Outdated) {
                    outdated.0.push(intake);
                    outdated.1.push(reply);
                } else {
                    self.follow_up(&intake, &outcome);
                    let _ = reply.send(match outcome {
                        CommitOutcome::Lost => Err(CommitError::Unavailable),
                        outcome => Ok(outcome),
                    });
                }
            }
            (intakes, replies) = outdated;
            if intakes.is_empty() {
                return;
            }
            self.evaluate_again(&mut intakes).await;
        }
        for reply in replies {
            let _ = reply.send(Err(CommitError::Unavailable));
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
    fn follow_up(&self, intake: &Intake, outcome: &CommitOutcome) {
        let CommitOutcome::Recorded(receipt) = outcome else {
            return;
        };
        metric::count(
            metric::DECISIONS,
            "decision",
            receipt.decision.kind.as_str(),
        );
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

#[cfg(test)]
mod tests;

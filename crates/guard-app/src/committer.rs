//! Group commit: what arrived while the previous commit was running is committed in one transaction.

use std::sync::Arc;
use std::time::Duration;

use guard_domain::DecisionKind;
use thiserror::Error;
use tokio::sync::{Notify, mpsc, oneshot};
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
}

/// Hands intakes to the one task that commits.
#[derive(Clone)]
pub struct Committer {
    jobs: mpsc::Sender<Job>,
    timeout: Duration,
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

    /// Commits an intake. Returns when it is durable.
    ///
    /// # Errors
    /// [`CommitError`]; only [`CommitError::OutcomeUnknown`] leaves open whether it was written.
    pub async fn commit(&self, intake: Intake) -> Result<CommitOutcome, CommitError> {
        let (reply, answer) = oneshot::channel();
        let job = Job { intake, reply };
        match tokio::time::timeout(self.timeout, self.jobs.send(job)).await {
            Err(_) => return Err(CommitError::Overloaded),
            Ok(Err(_)) => return Err(CommitError::Stopping),
            Ok(Ok(())) => {}
        }
        match tokio::time::timeout(self.timeout, answer).await {
            // Who gives up drops the reply: a job whose commit has not begun is then left out.
            Err(_) => Err(CommitError::OutcomeUnknown),
            Ok(Err(_)) => Err(CommitError::OutcomeUnknown),
            Ok(Ok(outcome)) => outcome,
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
            jobs.retain(|job| !job.reply.is_closed());
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
                    let _ = reply.send(Ok(outcome));
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

    /// Finds out whether a commit of unknown outcome took effect: all of the batch is there, or none of it.
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
        let found: Option<Vec<_>> = receipts
            .into_iter()
            .map(|found| found.map(CommitOutcome::Recorded))
            .collect();
        // A part of them may be repetitions of a key, which have no row of their own.
        self.wake_dispatcher.notify_one();
        found.ok_or(CommitError::OutcomeUnknown)
    }

    async fn evaluate_again(&self, intakes: &mut [Intake]) {
        for intake in intakes {
            match self.rules.refresh(&intake.tenant).await {
                Ok(rules) => {
                    if let Ok(evaluation) = rules.evaluate(intake.event.body()) {
                        intake.evaluation = evaluation;
                        intake.rules = rules;
                    }
                }
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "rules cannot be read"
                    );
                }
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

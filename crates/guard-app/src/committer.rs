//! Group commit: what arrived while the previous commit was running is committed in one transaction.

mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ports::{CommitOutcome, CommitTerms, Intake, Ledger};
use crate::rule_book::RuleBook;
use task::Task;

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

#[cfg(test)]
mod tests;

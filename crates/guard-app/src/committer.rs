//! Group commit: what arrived while the previous commit was running is committed in one transaction.
//!
//! What has a past is decided in the order of its arrival, by one task. Where the database commits several transactions at once,
//! other tasks commit what has none meanwhile.

mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::task::JoinSet;
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
    /// How many tasks commit what has no past, beside the one that commits what has one; with none, that one commits all.
    pub lanes: usize,
    /// How long an intake waits for its commit, and a commit for the database.
    pub timeout: Duration,
}

impl Default for CommitterSettings {
    fn default() -> Self {
        Self {
            queue: 8192,
            batch: 512,
            lanes: 0,
            timeout: Duration::from_secs(5),
        }
    }
}

/// What became of an intake, and the intake itself unless its commit failed: memory costs least to give back where it was taken.
type Done = (Result<CommitOutcome, CommitError>, Option<Intake>);
type Reply = oneshot::Sender<Done>;

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

/// Hands intakes to the tasks that commit.
#[derive(Clone)]
pub struct Committer {
    /// To the task that keeps the order.
    ordered: mpsc::Sender<Job>,
    /// To whoever is free.
    free: mpsc::Sender<Job>,
    timeout: Duration,
}

/// An intake that waits for its commit.
pub(crate) struct Pending {
    answer: oneshot::Receiver<Done>,
    claim: Arc<Claim>,
    deadline: Instant,
}

impl Pending {
    /// What became of the intake. Who gives up before its commit has begun has it left out, and knows that nothing was
    /// written.
    pub(crate) async fn outcome(self) -> Result<CommitOutcome, CommitError> {
        match tokio::time::timeout_at(self.deadline, self.answer).await {
            Ok(Ok((outcome, _intake))) => outcome,
            Ok(Err(_)) | Err(_) if self.claim.take() => Err(CommitError::Unavailable),
            Ok(Err(_)) | Err(_) => Err(CommitError::OutcomeUnknown),
        }
    }
}

impl Committer {
    /// A committer and what does its work: run it beside everything else. It ends when `stop` is cancelled and everything
    /// that waited has been committed.
    pub fn new(
        ledger: Arc<dyn Ledger>,
        rules: Arc<RuleBook>,
        terms: CommitTerms,
        settings: &CommitterSettings,
        wake_dispatcher: Arc<Notify>,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + use<>) {
        let (ordered, jobs) = mpsc::channel(settings.queue);
        let task = Task {
            jobs: Arc::new(Mutex::new(jobs)),
            ledger,
            rules,
            terms,
            batch: settings.batch,
            timeout: settings.timeout,
            wake_dispatcher,
        };
        let (mut beside, mut free) = (Vec::new(), ordered.clone());
        if settings.lanes > 0 {
            let (sender, jobs) = mpsc::channel(settings.queue);
            free = sender;
            let jobs = Arc::new(Mutex::new(jobs));
            beside.extend((0..settings.lanes).map(|_| task.sharing(jobs.clone())));
        }
        let committer = Self {
            ordered,
            free,
            timeout: settings.timeout,
        };
        (committer, run_all(task, beside, stop))
    }

    /// Hands an intake over, in the order of the calls if it has a past. The time that the whole commit may take begins here.
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
        let jobs = if job.intake.has_a_past() {
            &self.ordered
        } else {
            &self.free
        };
        let pending = Pending {
            answer,
            claim,
            deadline,
        };
        let job = match jobs.try_send(job) {
            Ok(()) => return Ok(pending),
            Err(TrySendError::Closed(_)) => return Err(CommitError::Stopping),
            // There may be room in time.
            Err(TrySendError::Full(job)) => job,
        };
        match tokio::time::timeout_at(deadline, jobs.send(job)).await {
            Err(_) => Err(CommitError::Overloaded),
            Ok(Err(_)) => Err(CommitError::Stopping),
            Ok(Ok(())) => Ok(pending),
        }
    }
}

/// Runs one task here and others beside it, until all have ended. If one breaks off, so does this.
async fn run_all(here: Task, beside: Vec<Task>, stop: CancellationToken) {
    let mut running = JoinSet::new();
    for task in beside {
        running.spawn(task.run(stop.clone()));
    }
    let others = async {
        while let Some(ended) = running.join_next().await {
            if let Err(broken) = ended
                && let Ok(panic) = broken.try_into_panic()
            {
                std::panic::resume_unwind(panic);
            }
        }
    };
    tokio::join!(here.run(stop), others);
}

#[cfg(test)]
mod tests;

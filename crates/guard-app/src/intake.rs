//! Taking an event in.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use guard_audit::sha256;
use guard_domain::{DecisionKind, Event, EventError, EventId, EventTypes, ExecutionState};
use thiserror::Error;
use tokio_util::sync::CancellationToken;

use crate::acknowledgements::{Acknowledgements, Waiting};
use crate::committer::{CommitError, Committer, Pending};
use crate::metric;
use crate::ports::{
    Clock, CommitOutcome, IdempotencyKey, Intake, Origin, Principal, Random, Receipt, random_tail,
};
use crate::rate_limits::{RateGate, RateStanding};
use crate::rule_book::RuleBook;

/// The longest idempotency key, in characters.
const MAX_KEY: usize = 255;

/// An event as it was posted.
#[derive(Debug, Clone, Default)]
pub struct Submission {
    /// The bytes of the body.
    pub body: Vec<u8>,
    /// The key of the `Idempotency-Key` header.
    pub key: Option<String>,
    /// Where it came from.
    pub origin: Origin,
}

/// What is answered to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The durable decision.
    pub receipt: Receipt,
    /// Whether the same request was answered before.
    pub replayed: bool,
    /// How the source stands; `None` if it is not limited.
    pub rate: Option<RateStanding>,
}

impl Answer {
    /// Whether the decision triggers a playbook that n8n has not acknowledged.
    #[must_use]
    pub fn is_queued(&self) -> bool {
        self.receipt.decision.kind == DecisionKind::PlaybookTriggered
            && self.receipt.execution.as_ref().is_some_and(|execution| {
                !matches!(
                    execution.state,
                    ExecutionState::Acknowledged
                        | ExecutionState::Started
                        | ExecutionState::Succeeded
                        | ExecutionState::Failed
                        | ExecutionState::RolledBack
                )
            })
    }
}

/// Why an event was not taken in.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// It is no event.
    #[error(transparent)]
    Event(#[from] EventError),
    /// The `Idempotency-Key` header and the `id` field differ.
    #[error("the `Idempotency-Key` header and the `id` of the event differ")]
    TwoKeys,
    /// The key is empty, too long or holds a NUL.
    #[error("an idempotency key has 1 to {MAX_KEY} characters and no NUL")]
    BadKey,
    /// The source has sent too many events.
    #[error("the source has sent its {} {} events of {:?}", .0.quota.requests(), .0.class.as_str(), .0.quota.window())]
    RateLimited(RateStanding),
    /// The key was used with another body.
    #[error("the idempotency key was used before with another body")]
    KeyReused,
    /// The database refuses the event.
    #[error("the event cannot be stored: {0}")]
    Rejected(String),
    /// It could not be committed.
    #[error(transparent)]
    Commit(#[from] CommitError),
}

/// How events are taken in.
#[derive(Debug, Clone)]
pub struct IntakeSettings {
    /// The event types that are accepted.
    pub event_types: EventTypes,
    /// How long to wait for n8n's acknowledgement before answering; zero for not at all.
    pub ack_wait: Duration,
}

/// Takes events in.
pub struct IntakeService {
    /// Commits what was evaluated.
    pub committer: Committer,
    /// The live rules.
    pub rules: Arc<RuleBook>,
    /// Who waits for an acknowledgement.
    pub acknowledgements: Arc<Acknowledgements>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids.
    pub random: Arc<dyn Random>,
    /// How many events each source may send.
    pub rates: RateGate,
    /// How events are taken in.
    pub settings: IntakeSettings,
    /// Cancelled when the server stops: nobody is kept waiting then.
    pub stop: CancellationToken,
}

/// An event that was read.
struct Read {
    begun: Instant,
    received_at: DateTime<Utc>,
    event: Event,
    key: Option<IdempotencyKey>,
    origin: Origin,
    rate: Option<RateStanding>,
}

/// An event that waits for its commit.
struct TakenIn {
    begun: Instant,
    rate: Option<RateStanding>,
    pending: Pending,
    waiting: Option<Waiting>,
    ack_wait: Duration,
}

impl IntakeService {
    /// Takes one event in. When this returns, the event and what was decided about it are durable.
    ///
    /// # Errors
    /// [`IntakeError`]; nothing was recorded then, except where the error says that this is unknown.
    pub async fn receive(
        &self,
        principal: &Principal,
        submission: Submission,
    ) -> Result<Answer, IntakeError> {
        let mut read = self.read(submission)?;
        let admission = self.rates.admit(&principal.tenant, &read.event).await;
        read.rate = admission.map_err(IntakeError::RateLimited)?;
        let ack_wait = self.settings.ack_wait;
        let taken = self.take_in(principal, read, ack_wait).await?;
        self.answer(taken).await
    }

    /// Takes several events in, each on its own, in the order given. Waits for no acknowledgement.
    pub async fn receive_all(
        &self,
        principal: &Principal,
        submissions: Vec<Submission>,
    ) -> Vec<Result<Answer, IntakeError>> {
        let read: Vec<_> = submissions
            .into_iter()
            .map(|submission| self.read(submission))
            .collect();
        let events = read
            .iter()
            .map(|read| read.as_ref().ok().map(|read| &read.event));
        let admissions = self.rates.admit_all(&principal.tenant, events).await;
        let mut taken = Vec::with_capacity(read.len());
        for (read, admission) in read.into_iter().zip(admissions) {
            let read = read.and_then(|read| {
                let rate = admission.map_err(IntakeError::RateLimited)?;
                Ok(Read { rate, ..read })
            });
            taken.push(match read {
                Ok(read) => self.take_in(principal, read, Duration::ZERO).await,
                Err(error) => Err(error),
            });
        }
        let mut answers = Vec::with_capacity(taken.len());
        for taken in taken {
            answers.push(match taken {
                Ok(taken) => self.answer(taken).await,
                Err(error) => Err(error),
            });
        }
        answers
    }

    /// Reads an event. What is none has no source, and is not counted.
    fn read(&self, submission: Submission) -> Result<Read, IntakeError> {
        let begun = Instant::now();
        let received_at = self.clock.now();
        let event = Event::parse(&submission.body, &self.settings.event_types, received_at)?;
        let key = key_of(&event, submission.key, &submission.body)?;
        Ok(Read {
            begun,
            received_at,
            event,
            key,
            origin: submission.origin,
            rate: None,
        })
    }

    /// Evaluates an event and hands it to the committer.
    async fn take_in(
        &self,
        principal: &Principal,
        read: Read,
        ack_wait: Duration,
    ) -> Result<TakenIn, IntakeError> {
        let (begun, rate) = (read.begun, read.rate);
        let intake = self.evaluate(principal, read)?;
        metric::count(
            metric::EVENTS_RECEIVED,
            "event_type",
            intake.event.event_type().as_str(),
        );
        let waits = !ack_wait.is_zero() && !intake.evaluation.matches.is_empty();
        let waiting = waits.then(|| self.acknowledgements.register(intake.event_id));
        let pending = self.committer.enqueue(intake).await?;
        Ok(TakenIn {
            begun,
            rate,
            pending,
            waiting,
            ack_wait,
        })
    }

    /// Waits for the commit, and for the acknowledgement if somebody wants to.
    async fn answer(&self, taken: TakenIn) -> Result<Answer, IntakeError> {
        let outcome = taken.pending.outcome().await;
        metric::observe(metric::EVENT_DURATION, taken.begun.elapsed().as_secs_f64());
        let mut answer = match outcome? {
            CommitOutcome::Recorded(receipt) => Answer {
                receipt,
                replayed: false,
                rate: taken.rate,
            },
            CommitOutcome::Replayed(receipt) => Answer {
                receipt,
                replayed: true,
                rate: taken.rate,
            },
            CommitOutcome::KeyReused => return Err(IntakeError::KeyReused),
            CommitOutcome::Rejected(detail) => return Err(IntakeError::Rejected(detail)),
            CommitOutcome::Outdated | CommitOutcome::Lost => {
                return Err(CommitError::Unavailable.into());
            }
        };
        if let Some(waiting) = taken.waiting {
            self.await_acknowledgement(&mut answer, waiting, taken.ack_wait)
                .await;
        }
        Ok(answer)
    }

    fn evaluate(&self, principal: &Principal, read: Read) -> Result<Intake, IntakeError> {
        let Read {
            received_at,
            event,
            key,
            origin,
            ..
        } = read;
        let rules = self.rules.current(&principal.tenant);
        let evaluation = rules.evaluate(event.body()).map_err(|malformed| {
            EventError::Invalid(vec![guard_domain::FieldError::new(
                "",
                malformed.to_string(),
            )])
        })?;
        Ok(Intake {
            tenant: principal.tenant.clone(),
            event_id: EventId::new(received_at, random_tail(self.random.as_ref())),
            received_at,
            body_sha256: sha256(event.body()),
            event: Arc::new(event),
            key,
            rules,
            evaluation,
            origin,
        })
    }

    async fn await_acknowledgement(
        &self,
        answer: &mut Answer,
        mut waiting: Waiting,
        ack_wait: Duration,
    ) {
        if answer.replayed || !answer.is_queued() {
            return;
        }
        let state = tokio::select! {
            state = waiting.state() => state,
            () = tokio::time::sleep(ack_wait) => None,
            () = self.stop.cancelled() => None,
        };
        if let (Some(state), Some(execution)) = (state, &mut answer.receipt.execution) {
            execution.state = state;
        }
    }
}

/// The key of an event: that of the header or its own id, which are the same thing.
fn key_of(
    event: &Event,
    header: Option<String>,
    body: &[u8],
) -> Result<Option<IdempotencyKey>, IntakeError> {
    let key = match (header, event.id()) {
        (Some(header), Some(id)) if header != id => return Err(IntakeError::TwoKeys),
        (Some(header), _) => header,
        (None, Some(id)) => id.to_owned(),
        (None, None) => return Ok(None),
    };
    if key.is_empty() || key.chars().count() > MAX_KEY || key.contains('\0') {
        return Err(IntakeError::BadKey);
    }
    Ok(Some(IdempotencyKey {
        key,
        body_sha256: sha256(body),
    }))
}

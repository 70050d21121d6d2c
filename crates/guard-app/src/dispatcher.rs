//! Delivering executions.

mod feed;
mod judge;

use std::sync::Arc;
use std::time::Duration;

use guard_domain::{ContactName, Event, PlaybookName};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::acknowledgements::Acknowledgements;
use crate::breaker::Breakers;
use crate::callback_token::CallbackTokens;
use crate::escalate::announce;
use crate::in_flight::InFlight;
use crate::metric;
use crate::ports::{
    AttemptReport, ClaimRequest, Claimed, Clock, ConfirmTimes, Delivery, Outbox, Playbooks, Random,
    Settled, StorageError,
};

/// Executions that one round ends for lack of time, at most.
const EXPIRE_LIMIT: u32 = 100;
/// How often and how long apart it is tried to record an attempt.
const SETTLE_TRIES: u32 = 20;
const SETTLE_PAUSE: Duration = Duration::from_millis(500);

/// How executions are delivered.
#[derive(Debug, Clone)]
pub struct DispatcherSettings {
    /// The name of this instance.
    pub instance: String,
    /// Deliveries under way at once, at most; one playbook has at most half of them.
    pub max_in_flight: usize,
    /// How long a claim holds.
    pub lease: Duration,
    /// How long a workflow may take to report, after the acknowledgement.
    pub confirm_within: ConfirmTimes,
    /// How often to look for work that this process was not woken for.
    pub poll: Duration,
    /// How long deliveries under way may take when the server stops.
    pub drain: Duration,
    /// The address at which workflows reach this server, without a slash at the end.
    pub public_url: String,
    /// Who is called when something is wrong with delivering.
    pub default_contact: ContactName,
}

/// Takes due executions from the outbox and delivers them.
pub struct Dispatcher {
    /// Where executions wait.
    pub outbox: Arc<dyn Outbox>,
    /// What runs them.
    pub playbooks: Arc<dyn Playbooks>,
    /// Makes callback tokens.
    pub tokens: Arc<CallbackTokens>,
    /// What is left alone for a while.
    pub breakers: Arc<Breakers>,
    /// Who waits for an acknowledgement.
    pub acknowledgements: Arc<Acknowledgements>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for jitter and ids.
    pub random: Arc<dyn Random>,
    /// Wakes the dispatcher when there is work.
    pub wake: Arc<Notify>,
    /// How executions are delivered.
    pub settings: DispatcherSettings,
}

impl Dispatcher {
    /// Delivers until `stop` is cancelled, then lets deliveries under way end.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let mut in_flight = InFlight::<PlaybookName>::default();
        let mut poll = tokio::time::interval(self.settings.poll);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Whether more may be due than was begun: then each end of a delivery makes room for it.
        let mut left = true;
        while !stop.is_cancelled() {
            // The first tick comes at once.
            let mut ticked = false;
            tokio::select! {
                () = stop.cancelled() => break,
                broken = in_flight.next_end() => {
                    if let Some(playbook) = broken {
                        self.breakers.abandon(&playbook);
                    }
                    if !left {
                        continue;
                    }
                }
                () = self.wake.notified() => {}
                _ = poll.tick() => ticked = true,
            }
            left = match self.round(&mut in_flight, ticked).await {
                Ok(left) => left,
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "the outbox cannot be read"
                    );
                    true
                }
            };
        }
        let drained = tokio::time::timeout(self.settings.drain, in_flight.drain());
        if drained.await.is_err() {
            tracing::warn!("deliveries are still under way; another start takes them over");
        }
    }

    /// Begins deliveries while there is room and work; now and then ends before that what ran out of time. Gives whether more
    /// may be due than there was room for.
    async fn round(
        self: &Arc<Self>,
        in_flight: &mut InFlight<PlaybookName>,
        ends_overdue: bool,
    ) -> Result<bool, StorageError> {
        let open = self.breakers.report(self.clock.now()).len();
        metric::level(metric::BREAKERS_OPEN, open);
        if ends_overdue {
            for settled in self.outbox.expire(EXPIRE_LIMIT).await? {
                self.tell(&settled);
            }
        }
        loop {
            let request = self.request(in_flight);
            if request.limit == 0 {
                return Ok(true);
            }
            let claimed = self.outbox.claim_due(&request).await?;
            let playbooks = claimed.iter().map(|one| &one.execution.playbook);
            let (left, found) = (request.leaves(playbooks), !claimed.is_empty());
            for claimed in claimed {
                let playbook = claimed.execution.playbook.clone();
                self.breakers.begin(&playbook);
                in_flight.begin(playbook, self.clone().deliver(claimed));
            }
            if !(left && found) {
                return Ok(left);
            }
        }
    }

    /// What there is room for.
    fn request(&self, in_flight: &InFlight<PlaybookName>) -> ClaimRequest {
        let now = self.clock.now();
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let all = self.settings.max_in_flight;
        let of_each = number((all / 2).max(1));
        let mut fewer_of = self.breakers.playbook_rooms(now);
        for (playbook, count) in in_flight.counts() {
            let left = of_each.saturating_sub(number(count));
            let room = fewer_of.entry(playbook.clone()).or_insert(left);
            *room = left.min(*room);
        }
        ClaimRequest {
            instance: self.settings.instance.clone(),
            limit: number(all.saturating_sub(in_flight.tasks.len()))
                .min(self.breakers.host_room(now)),
            lease: self.settings.lease,
            of_each,
            fewer_of,
        }
    }

    async fn deliver(self: Arc<Self>, claimed: Claimed) {
        let execution = &claimed.execution;
        let answered = match self.delivery(&claimed).await {
            Ok(delivery) => self.playbooks.deliver(&delivery).await,
            Err(error) => {
                // The lease ends, and the execution is claimed again.
                self.breakers.abandon(&execution.playbook);
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "the callback key cannot be read"
                );
                return;
            }
        };
        let mut report = self.judge(&claimed, &answered.outcome);
        report.answer = answered.body;
        metric::count_by(
            metric::DELIVERIES,
            execution.playbook.as_str(),
            "outcome",
            report.outcome.as_str(),
        );
        tracing::info!(
            tenant = %claimed.tenant,
            execution_id = %execution.id,
            playbook = %execution.playbook,
            attempt = execution.attempts,
            outcome = %report.outcome,
            "{}",
            report.detail
        );
        report.escalation = self.feed_breakers(&claimed, &answered.outcome);
        self.settle(&claimed, &report).await;
    }

    async fn delivery(&self, claimed: &Claimed) -> Result<Delivery, StorageError> {
        let execution = &claimed.execution;
        let token = self
            .tokens
            .issue(&claimed.tenant, execution.id, execution.deadline)
            .await?;
        Ok(Delivery {
            tenant: claimed.tenant.clone(),
            execution_id: execution.id,
            attempt: execution.attempts,
            playbook: execution.playbook.clone(),
            params: claimed.params.clone(),
            event: Event::with_identity(&claimed.event, execution.event_id, claimed.received_at),
            rule_id: execution.rule_id.clone(),
            rule_version: execution.rule_version,
            dry_run: execution.dry_run,
            undoes: claimed.undoes.clone(),
            callback_url: format!(
                "{}/v1/executions/{}",
                self.settings.public_url, execution.id
            ),
            callback_token: token,
            deadline: execution.deadline,
            traceparent: claimed.traceparent.clone(),
        })
    }

    /// Records the attempt. If the database is away, the lease decides: the execution is delivered again under the same
    /// id, and `start` lets one delivery act.
    async fn settle(&self, claimed: &Claimed, report: &AttemptReport) {
        for _ in 0..SETTLE_TRIES {
            match self.outbox.settle(claimed, report).await {
                Ok(settled) => return self.tell(&settled),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        execution_id = %claimed.execution.id,
                        "an attempt cannot be recorded"
                    );
                    tokio::time::sleep(SETTLE_PAUSE).await;
                }
            }
        }
    }

    fn tell(&self, settled: &Settled) {
        let execution = &settled.execution;
        if let Some(escalation) = &settled.escalation {
            announce(&settled.tenant, escalation);
        }
        if settled.ended && !execution.dry_run {
            metric::count_by(
                metric::EXECUTIONS_ENDED,
                execution.playbook.as_str(),
                "state",
                execution.state.as_str(),
            );
        }
        if !execution.state.is_undelivered() {
            self.acknowledgements
                .tell(execution.event_id, execution.state);
        }
    }
}

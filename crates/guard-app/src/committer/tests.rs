//! What callers hear, whatever the database does.

use std::sync::Mutex;

use async_trait::async_trait;
use chrono::DateTime;
use guard_domain::{Decision, DecisionKind, Event, EventId, EventTypes, RuleId, TenantId};
use guard_policy::{Evaluation, RuleSet};

use super::task::MAX_EVALUATIONS;
use super::*;
use crate::ports::{
    Actor, Consequence, LiveRules, MockLedger, Origin, PublishMode, Published, Receipt,
    RuleDefinition, RuleStore, StorageError,
};

/// A tenant without rules.
struct NoRules;

#[async_trait]
impl RuleStore for NoRules {
    async fn publish(
        &self,
        _: &TenantId,
        _: &[RuleDefinition],
        _: &str,
        _: PublishMode,
        _: &Actor,
    ) -> Result<Published, StorageError> {
        unreachable!()
    }

    async fn live(&self, _: &TenantId) -> Result<Option<LiveRules>, StorageError> {
        Ok(None)
    }

    async fn version(
        &self,
        _: &TenantId,
        _: &RuleId,
        _: u32,
    ) -> Result<Option<RuleDefinition>, StorageError> {
        unreachable!()
    }

    async fn live_revisions(&self) -> Result<Vec<(TenantId, u64)>, StorageError> {
        Ok(Vec::new())
    }
}

fn intake(n: u8) -> Intake {
    let body = r#"{"event_type":"backup_failed","severity":"low","source":"s","timestamp":"1970-01-01T00:00:00","context":{}}"#;
    let now = DateTime::UNIX_EPOCH;
    Intake {
        tenant: TenantId::default_tenant(),
        event_id: EventId::new(now, [n; 10]),
        received_at: now,
        body_sha256: [0; 32],
        event: Arc::new(Event::parse(body.as_bytes(), &EventTypes::default(), now).unwrap()),
        key: None,
        rules: Arc::new(RuleSet::default()),
        evaluation: Evaluation::default(),
        origin: Origin::default(),
    }
}

fn receipt(event_id: EventId) -> Receipt {
    let decision = Decision {
        kind: DecisionKind::NoAction,
        rule_id: None,
        rule_version: None,
        revision: 0,
        message: String::new(),
    };
    Receipt {
        event_id,
        decision,
        execution: None,
        consequence: Consequence::None,
    }
}

fn recorded(batch: &[Intake]) -> Vec<CommitOutcome> {
    batch
        .iter()
        .map(|intake| CommitOutcome::Recorded(receipt(intake.event_id)))
        .collect()
}

fn lost_connection() -> StorageError {
    StorageError::OutcomeUnknown("the connection broke".into())
}

/// A committer on a ledger; it stops when the token is cancelled.
fn start(
    ledger: impl Ledger + 'static,
) -> (Committer, CancellationToken, tokio::task::JoinHandle<()>) {
    let stop = CancellationToken::new();
    let (committer, task) = Committer::new(
        Arc::new(ledger),
        Arc::new(RuleBook::new(Arc::new(NoRules))),
        CommitTerms::default(),
        &CommitterSettings {
            queue: 100,
            batch: 10,
            timeout: Duration::from_secs(5),
            ..CommitterSettings::default()
        },
        Arc::default(),
        stop.clone(),
    );
    (committer, stop, tokio::spawn(task))
}

async fn commit(committer: &Committer, n: u8) -> Result<CommitOutcome, CommitError> {
    committer.enqueue(intake(n)).await.unwrap().outcome().await
}

/// A ledger whose first commit waits to be let go, and that keeps the size of every batch.
struct Gate {
    open: Notify,
    sizes: Arc<Mutex<Vec<usize>>>,
}

#[async_trait]
impl Ledger for Gate {
    async fn commit(
        &self,
        batch: &[Intake],
        _: &CommitTerms,
    ) -> Result<Vec<CommitOutcome>, StorageError> {
        let first = {
            let mut sizes = self.sizes.lock().unwrap();
            sizes.push(batch.len());
            sizes.len() == 1
        };
        if first {
            self.open.notified().await;
        }
        Ok(recorded(batch))
    }

    async fn find_receipts(
        &self,
        events: &[(TenantId, EventId)],
    ) -> Result<Vec<Option<Receipt>>, StorageError> {
        Ok(vec![None; events.len()])
    }

    async fn forget_expired(&self, _: u32) -> Result<u64, StorageError> {
        Ok(0)
    }
}

#[tokio::test]
async fn what_arrives_during_a_commit_is_the_next_batch() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let gate = Arc::new(Gate {
        open: Notify::new(),
        sizes: sizes.clone(),
    });
    let stop = CancellationToken::new();
    let (committer, task) = Committer::new(
        gate.clone(),
        Arc::new(RuleBook::new(Arc::new(NoRules))),
        CommitTerms::default(),
        &CommitterSettings {
            batch: 10,
            ..CommitterSettings::default()
        },
        Arc::default(),
        stop.clone(),
    );
    let task = tokio::spawn(task);
    let mut pending = vec![committer.enqueue(intake(0)).await.unwrap()];
    while sizes.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    for n in 1..=15 {
        pending.push(committer.enqueue(intake(n)).await.unwrap());
    }
    // Stopping commits what waits.
    stop.cancel();
    gate.open.notify_one();
    for pending in pending {
        assert!(matches!(
            pending.outcome().await,
            Ok(CommitOutcome::Recorded(_))
        ));
    }
    task.await.unwrap();
    assert_eq!(*sizes.lock().unwrap(), [1, 10, 5]);
    assert_eq!(
        committer.enqueue(intake(99)).await.err(),
        Some(CommitError::Stopping)
    );
}

#[tokio::test]
async fn a_failure_that_wrote_nothing_says_so() {
    let mut ledger = MockLedger::new();
    ledger
        .expect_commit()
        .returning(|_, _| Err(StorageError::Unavailable("locked".into())));
    let (committer, ..) = start(ledger);
    assert_eq!(
        commit(&committer, 1).await.err(),
        Some(CommitError::Unavailable)
    );
}

#[tokio::test]
async fn an_unknown_outcome_is_found_out_for_each_event() {
    let mut ledger = MockLedger::new();
    ledger
        .expect_commit()
        .returning(|_, _| Err(lost_connection()));
    let kept = intake(1).event_id;
    let mut tries = 0;
    ledger.expect_find_receipts().returning(move |events| {
        tries += 1;
        if tries < 3 {
            return Err(lost_connection());
        }
        Ok(events
            .iter()
            .map(|(_, id)| (*id == kept).then(|| receipt(*id)))
            .collect())
    });
    let (committer, ..) = start(ledger);
    let pending = [
        committer.enqueue(intake(1)).await.unwrap(),
        committer.enqueue(intake(2)).await.unwrap(),
    ];
    let [first, second] = pending.map(Pending::outcome);
    assert!(matches!(first.await, Ok(CommitOutcome::Recorded(_))));
    assert_eq!(
        second.await.err(),
        Some(CommitError::Unavailable),
        "it is known not to be there"
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_found_out_is_called_unknown() {
    let mut ledger = MockLedger::new();
    ledger
        .expect_commit()
        .returning(|_, _| Err(lost_connection()));
    ledger
        .expect_find_receipts()
        .returning(|_| Err(lost_connection()));
    let (committer, ..) = start(ledger);
    assert_eq!(
        commit(&committer, 1).await.err(),
        Some(CommitError::OutcomeUnknown)
    );
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_before_the_commit_began_is_left_out() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let (committer, ..) = start(Gate {
        open: Notify::new(),
        sizes: sizes.clone(),
    });
    let stuck = committer.enqueue(intake(1)).await.unwrap();
    while sizes.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    let waiting = committer.enqueue(intake(2)).await.unwrap();
    assert_eq!(
        waiting.outcome().await.err(),
        Some(CommitError::Unavailable),
        "nothing of it was written"
    );
    assert_eq!(
        stuck.outcome().await.err(),
        Some(CommitError::OutcomeUnknown)
    );
    tokio::time::sleep(Duration::from_secs(20)).await;
    assert_eq!(*sizes.lock().unwrap(), [1], "nor will be");
}

#[tokio::test]
async fn an_intake_that_stays_outdated_is_given_up() {
    let mut ledger = MockLedger::new();
    ledger
        .expect_commit()
        .times(MAX_EVALUATIONS)
        .returning(|batch, _| Ok(vec![CommitOutcome::Outdated; batch.len()]));
    let (committer, ..) = start(ledger);
    assert_eq!(
        commit(&committer, 1).await.err(),
        Some(CommitError::Unavailable)
    );
}

/// A ledger that notes whether commits run side by side, and which intakes with a key came in which order.
#[derive(Default)]
struct Lanes {
    under_way: Mutex<usize>,
    most: Mutex<usize>,
    keyed: Mutex<Vec<EventId>>,
}

#[async_trait]
impl Ledger for Lanes {
    async fn commit(
        &self,
        batch: &[Intake],
        _: &CommitTerms,
    ) -> Result<Vec<CommitOutcome>, StorageError> {
        {
            let mut under_way = self.under_way.lock().unwrap();
            *under_way += 1;
            let mut most = self.most.lock().unwrap();
            *most = under_way.max(*most);
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        let with_past = batch.iter().filter(|intake| intake.has_a_past());
        let ids: Vec<_> = with_past.map(|intake| intake.event_id).collect();
        assert!(
            ids.is_empty() || ids.len() == batch.len(),
            "what has a past is committed apart"
        );
        self.keyed.lock().unwrap().extend(ids);
        *self.under_way.lock().unwrap() -= 1;
        Ok(recorded(batch))
    }

    async fn find_receipts(
        &self,
        events: &[(TenantId, EventId)],
    ) -> Result<Vec<Option<Receipt>>, StorageError> {
        Ok(vec![None; events.len()])
    }

    async fn forget_expired(&self, _: u32) -> Result<u64, StorageError> {
        Ok(0)
    }
}

#[tokio::test(start_paused = true)]
async fn what_has_a_past_keeps_its_order_beside_what_has_none() {
    let ledger = Arc::new(Lanes::default());
    let stop = CancellationToken::new();
    let (committer, task) = Committer::new(
        ledger.clone(),
        Arc::new(RuleBook::new(Arc::new(NoRules))),
        CommitTerms::default(),
        &CommitterSettings {
            batch: 3,
            lanes: 2,
            ..CommitterSettings::default()
        },
        Arc::default(),
        stop.clone(),
    );
    let task = tokio::spawn(task);
    let (mut pending, mut expected) = (Vec::new(), Vec::new());
    for n in 0..40 {
        let mut intake = intake(n);
        if n % 2 == 0 {
            intake.key = Some(crate::ports::IdempotencyKey {
                key: n.to_string(),
                body_sha256: [n; 32],
            });
            expected.push(intake.event_id);
        }
        pending.push(committer.enqueue(intake).await.unwrap());
    }
    stop.cancel();
    for pending in pending {
        assert!(matches!(
            pending.outcome().await,
            Ok(CommitOutcome::Recorded(_))
        ));
    }
    task.await.unwrap();
    assert_eq!(*ledger.keyed.lock().unwrap(), expected);
    assert_eq!(
        *ledger.most.lock().unwrap(),
        3,
        "one in order, two beside it"
    );
}

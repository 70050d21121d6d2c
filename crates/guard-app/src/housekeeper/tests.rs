//! Who keeps house, and what is done.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use super::*;
use crate::ports::MockLedger;

/// One lease, and the steps that were taken.
#[derive(Default)]
struct Storage {
    holder: Mutex<Option<String>>,
    steps: AtomicUsize,
    days: AtomicUsize,
    held_up: bool,
    signed: Mutex<Option<DateTime<Utc>>>,
}

#[async_trait]
impl Leases for Storage {
    async fn try_acquire(
        &self,
        name: &str,
        owner: &str,
        _: Duration,
    ) -> Result<Option<Lease>, StorageError> {
        let mut holder = self.holder.lock().unwrap();
        if holder.is_some() {
            return Ok(None);
        }
        *holder = Some(owner.to_owned());
        let (name, owner) = (name.to_owned(), owner.to_owned());
        Ok(Some(Lease {
            name,
            owner,
            epoch: 1,
        }))
    }

    async fn renew(&self, lease: &Lease, _: Duration) -> Result<bool, StorageError> {
        Ok(self.holder.lock().unwrap().as_ref() == Some(&lease.owner))
    }

    async fn release(&self, lease: &Lease) -> Result<bool, StorageError> {
        let mut holder = self.holder.lock().unwrap();
        Ok(holder.take_if(|holder| *holder == lease.owner).is_some())
    }
}

#[async_trait]
impl Retention for Storage {
    async fn prepare_days(&self) -> Result<(), StorageError> {
        self.days.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn floor(&self, kept: TimeDelta) -> Result<DateTime<Utc>, StorageError> {
        Ok(DateTime::UNIX_EPOCH + kept)
    }

    /// Three steps at a time until nothing is left, and nothing that is not signed.
    async fn drop_old(&self, floor: DateTime<Utc>, limit: u32) -> Result<Dropped, StorageError> {
        assert_eq!(*self.signed.lock().unwrap(), Some(floor));
        let step = self.steps.fetch_add(1, Ordering::Relaxed);
        let mut dropped = Dropped {
            more: step % 3 < 2,
            held_up: self.held_up,
            ..Dropped::default()
        };
        dropped.add("events", u64::from(limit));
        Ok(dropped)
    }
}

#[async_trait]
impl Roots for Storage {
    async fn sign_roots(&self, floor: DateTime<Utc>) -> Result<(), StorageError> {
        *self.signed.lock().unwrap() = Some(floor);
        Ok(())
    }
}

fn housekeeper(storage: &Arc<Storage>, instance: &str) -> Housekeeper {
    let mut ledger = MockLedger::new();
    ledger.expect_forget_expired().returning(|_| Ok(0));
    Housekeeper {
        leases: storage.clone(),
        ledger: Arc::new(ledger),
        retention: storage.clone(),
        roots: storage.clone(),
        instance: instance.to_owned(),
        kept: TimeDelta::days(90),
    }
}

#[tokio::test(start_paused = true)]
async fn one_instance_keeps_house_and_another_takes_over() {
    let storage = Arc::new(Storage::default());
    let (stop_one, stop_two) = (CancellationToken::new(), CancellationToken::new());
    let one = tokio::spawn(housekeeper(&storage, "one").run(stop_one.clone()));
    tokio::time::sleep(ROUND / 2).await;
    let two = tokio::spawn(housekeeper(&storage, "two").run(stop_two.clone()));
    tokio::time::sleep(ROUND * 3).await;
    let counts = |storage: &Storage| {
        (
            storage.days.load(Ordering::Relaxed),
            storage.steps.load(Ordering::Relaxed),
        )
    };
    assert_eq!(counts(&storage), (1, 3), "by one, to the end of the old");
    stop_one.cancel();
    one.await.unwrap();
    tokio::time::sleep(ROUND + ROUND / 4).await;
    assert_eq!(storage.holder.lock().unwrap().as_deref(), Some("two"));
    assert_eq!(counts(&storage), (2, 6), "at once, not after the lease");
    // An hour later again.
    tokio::time::sleep(ROUND * DAYS_EVERY).await;
    assert_eq!(counts(&storage), (3, 9));
    stop_two.cancel();
    two.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_is_held_up_is_tried_again_in_the_next_round() {
    let storage = Arc::new(Storage {
        held_up: true,
        ..Storage::default()
    });
    let stop = CancellationToken::new();
    let one = tokio::spawn(housekeeper(&storage, "one").run(stop.clone()));
    tokio::time::sleep(ROUND * 2 + ROUND / 2).await;
    assert_eq!(storage.steps.load(Ordering::Relaxed), 9);
    stop.cancel();
    one.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn who_lost_the_job_stops_at_the_next_step() {
    let storage = Arc::new(Storage::default());
    let keeper = housekeeper(&storage, "one");
    let lease = keeper.leases.try_acquire(JOB, "one", LEASE).await.unwrap();
    let mut tenure = Some(Tenure {
        lease: lease.unwrap(),
        renewed: Instant::now(),
        rounds: 0,
    });
    *storage.holder.lock().unwrap() = Some("two".to_owned());
    tokio::time::advance(ROUND).await;
    let stop = CancellationToken::new();
    assert!(!keeper.drop_old(&mut tenure, &stop).await.unwrap());
    assert!(tenure.is_none());
    assert_eq!(storage.steps.load(Ordering::Relaxed), 1);
}

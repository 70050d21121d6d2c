//! Who signs, and what.

use std::io;
use std::sync::Mutex as Shared;

use guard_audit::GENESIS;
use uuid::Uuid;

use super::*;
use crate::ports::OldLinks;

/// Chains, checkpoints, and one lease.
#[derive(Default)]
struct Storage {
    heads: Shared<Vec<Head>>,
    kept: Shared<Vec<(Checkpoint, SignedCheckpoint)>>,
    witnessed: Shared<Vec<SignedCheckpoint>>,
    holder: Shared<Option<String>>,
}

impl Storage {
    fn grow(&self, chain: u128, link: u64) {
        let mut heads = self.heads.lock().unwrap();
        let chain = Uuid::from_u128(chain);
        heads.retain(|head| head.chain != chain);
        let at = i64::try_from(link).unwrap();
        heads.push(Head {
            chain,
            link,
            hash: GENESIS,
            at,
        });
        heads.sort_by_key(|head| head.chain);
    }

    fn kept(&self) -> Vec<Checkpoint> {
        let kept = self.kept.lock().unwrap();
        kept.iter()
            .map(|(_, signed)| signed.read().unwrap())
            .collect()
    }
}

#[async_trait]
impl Checkpoints for Storage {
    async fn heads(&self) -> Result<Vec<Head>, StorageError> {
        Ok(self.heads.lock().unwrap().clone())
    }

    async fn last_checkpoint(&self) -> Result<Option<(u64, SignedCheckpoint)>, StorageError> {
        let kept = self.kept.lock().unwrap();
        let last = kept.last();
        Ok(last.map(|(checkpoint, signed)| (checkpoint.number, signed.clone())))
    }

    async fn append_checkpoint(
        &self,
        checkpoint: &Checkpoint,
        signed: &SignedCheckpoint,
    ) -> Result<bool, StorageError> {
        let mut kept = self.kept.lock().unwrap();
        if kept.len() as u64 + 1 != checkpoint.number {
            return Ok(false);
        }
        kept.push((checkpoint.clone(), signed.clone()));
        Ok(true)
    }

    async fn old_links(&self, _: DateTime<Utc>) -> Result<Option<OldLinks>, StorageError> {
        let roots = self.heads.lock().unwrap().clone();
        Ok(Some(OldLinks {
            roots,
            first_checkpoint: None,
        }))
    }
}

impl Witness for Storage {
    fn keep(&self, signed: &SignedCheckpoint) -> io::Result<()> {
        self.witnessed.lock().unwrap().push(signed.clone());
        Ok(())
    }
}

impl Clock for Storage {
    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }
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

const EVERY: Duration = Duration::from_secs(10);

fn checkpointer(storage: &Arc<Storage>, instance: &str) -> Arc<Checkpointer> {
    Arc::new(Checkpointer {
        leases: storage.clone(),
        checkpoints: storage.clone(),
        witness: storage.clone(),
        clock: storage.clone(),
        key: SigningKey::generate().unwrap(),
        instance: instance.to_owned(),
        every: EVERY,
        last: Mutex::default(),
    })
}

/// What was signed: whether everything, and the links.
fn said(checkpoint: &Checkpoint) -> (bool, Vec<u64>) {
    let links = checkpoint.heads.iter().map(|head| head.link);
    (checkpoint.full, links.collect())
}

#[tokio::test(start_paused = true)]
async fn what_has_grown_is_signed_and_nothing_else() {
    let storage = Arc::new(Storage::default());
    let stop = CancellationToken::new();
    let running = tokio::spawn(checkpointer(&storage, "one").run(stop.clone()));
    tokio::time::sleep(EVERY * 2).await;
    assert_eq!(storage.kept(), [], "there is nothing to sign");
    storage.grow(1, 1);
    storage.grow(2, 5);
    tokio::time::sleep(EVERY * 3).await;
    storage.grow(2, 6);
    storage.grow(3, 1);
    tokio::time::sleep(EVERY * 3).await;
    storage.heads.lock().unwrap().remove(0);
    tokio::time::sleep(EVERY * 3).await;
    // The last one is signed when it stops.
    storage.grow(3, 2);
    stop.cancel();
    running.await.unwrap();
    let kept = storage.kept();
    let said: Vec<_> = kept.iter().map(said).collect();
    assert_eq!(
        said,
        [
            (true, vec![1, 5]),
            (false, vec![6, 1]),
            (true, vec![6, 1]),
            (false, vec![2]),
        ],
        "a chain that is gone shows in what is said of all"
    );
    assert_eq!(storage.holder.lock().unwrap().as_ref(), None, "released");
    let signed = storage.kept.lock().unwrap();
    for (before, (after, _)) in signed.iter().zip(signed.iter().skip(1)) {
        assert_eq!(after.previous, before.1.hash());
    }
    let witnessed = storage.witnessed.lock().unwrap();
    assert!(witnessed.iter().eq(signed.iter().map(|(_, signed)| signed)));
}

#[tokio::test(start_paused = true)]
async fn one_instance_signs_and_another_takes_over() {
    let storage = Arc::new(Storage::default());
    let stops = [CancellationToken::new(), CancellationToken::new()];
    storage.grow(1, 1);
    let one = tokio::spawn(checkpointer(&storage, "one").run(stops[0].clone()));
    tokio::time::sleep(EVERY / 2).await;
    let two = tokio::spawn(checkpointer(&storage, "two").run(stops[1].clone()));
    tokio::time::sleep(EVERY * 2).await;
    assert_eq!(storage.kept().len(), 1);
    stops[0].cancel();
    one.await.unwrap();
    tokio::time::sleep(EVERY * 2).await;
    assert_eq!(storage.kept().len(), 1, "nothing has changed");
    storage.grow(1, 2);
    tokio::time::sleep(EVERY * 2).await;
    let kept = storage.kept();
    assert_eq!(said(&kept[1]), (false, vec![2]));
    assert_ne!(kept[0].key, kept[1].key);
    stops[1].cancel();
    two.await.unwrap();
}

#[tokio::test]
async fn who_was_overtaken_follows_from_what_there_is() {
    let storage = Arc::new(Storage::default());
    let [one, two] = ["one", "two"].map(|instance| checkpointer(&storage, instance));
    storage.grow(1, 1);
    let mut lease = None;
    one.round(&mut lease).await.unwrap();
    two.sign_roots(DateTime::UNIX_EPOCH).await.unwrap();
    storage.grow(1, 2);
    one.round(&mut lease).await.unwrap();
    let kept = storage.kept();
    assert_eq!(kept.len(), 3);
    let retention = kept[1].retention.as_ref().unwrap();
    assert_eq!(retention.first_checkpoint, 2, "itself, if no other stays");
    assert_eq!(kept[2].previous, storage.kept.lock().unwrap()[1].1.hash());
    assert_eq!(said(&kept[2]), (true, vec![2]));
}

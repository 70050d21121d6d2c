//! Cases of signing the audit trail.

use chrono::TimeDelta;
use guard_app::ports::{Clock, OldLinks};
use guard_audit::{Checkpoint, Head, Kept, SigningKey};

use super::{Storage, World};

impl<S: Storage + 'static> World<S> {
    async fn head(&self) -> Head {
        let heads = self.store.heads().await.expect("heads");
        *heads.last().expect("a chain")
    }

    /// Keeps a checkpoint of now.
    async fn keep(&self, number: u64, retention: Option<Kept>) -> bool {
        let before = number.checked_sub(1).map(|before| (before, [1; 32]));
        let mut checkpoint = Checkpoint::after(before, self.clock.now().timestamp_micros());
        checkpoint.retention = retention;
        let signed = checkpoint
            .clone()
            .sign(&SigningKey::generate().expect("a key"));
        let kept = self.store.append_checkpoint(&checkpoint, &signed).await;
        kept.expect("kept or not")
    }
}

pub async fn the_heads_are_the_last_links<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let before = world.head().await;
    world.record("backup_failed", "high", "{}").await;
    let after = world.head().await;
    assert_eq!(after.at, world.clock.now().timestamp_micros());
    assert!(after.link > before.link || after.chain != before.chain);
    assert_ne!(after.hash, before.hash);
    let heads = world.store.heads().await.unwrap();
    assert!(heads.is_sorted_by_key(|head| head.chain), "{heads:?}");
}

pub async fn a_checkpoint_is_kept_once<S: Storage + 'static>(world: World<S>) {
    assert_eq!(world.store.last_checkpoint().await.unwrap(), None);
    assert!(world.keep(1, None).await);
    assert!(!world.keep(1, None).await, "there is one");
    assert!(world.keep(2, None).await);
    let (number, signed) = world.store.last_checkpoint().await.unwrap().unwrap();
    assert_eq!(number, 2);
    assert_eq!(signed.read().unwrap().number, 2);
}

pub async fn what_is_about_to_go_is_known<S: Storage + 'static>(world: World<S>) {
    let world = world.with_rules().await;
    let begin = world.clock.now();
    let mut heads = Vec::new();
    for day in 0..4 {
        world.keep(day + 1, None).await;
        for _ in 0..3 {
            world.record("security_threat", "high", "{}").await;
            heads.push(world.head().await);
        }
        world.clock.advance(TimeDelta::days(1));
    }
    assert_eq!(
        world
            .store
            .old_links(begin - TimeDelta::days(1))
            .await
            .unwrap(),
        None,
        "nothing is that old"
    );
    // The second day and what came before it.
    let floor = begin + TimeDelta::hours(36);
    let old = world.store.old_links(floor).await.unwrap().unwrap();
    let OldLinks {
        roots,
        first_checkpoint,
    } = old;
    assert_eq!(roots.last(), Some(&heads[5]));
    assert!(roots.iter().all(|root| root.at < floor.timestamp_micros()));
    assert_eq!(first_checkpoint, Some(3));
    let kept = Kept {
        floor: floor.timestamp_micros(),
        first_checkpoint: 3,
        roots,
    };
    assert!(world.keep(5, Some(kept)).await);
    assert_eq!(
        world.store.old_links(floor).await.unwrap(),
        None,
        "it is signed"
    );
    let all = world.clock.now() + TimeDelta::days(1);
    let old = world.store.old_links(all).await.unwrap().unwrap();
    assert_eq!(old.roots.last(), heads.last());
    assert_eq!(old.first_checkpoint, None);
}

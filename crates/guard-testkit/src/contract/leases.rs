//! Cases of leases.

use std::time::Duration;

use chrono::TimeDelta;

use super::{Storage, World};

const MINUTE: Duration = Duration::from_secs(60);

pub async fn a_lease_has_one_holder<S: Storage + 'static>(world: World<S>) {
    let store = &world.store;
    let held = store.try_acquire("job", "one", MINUTE).await.unwrap();
    assert_eq!(held.unwrap().epoch, 1);
    for owner in ["two", "one"] {
        let refused = store.try_acquire("job", owner, MINUTE).await.unwrap();
        assert_eq!(refused, None, "{owner}");
    }
    let other = store.try_acquire("other", "two", MINUTE).await.unwrap();
    assert!(other.is_some(), "another job is another lease");
}

pub async fn a_lease_is_taken_over_when_it_has_ended<S: Storage + 'static>(world: World<S>) {
    let store = &world.store;
    let first = store.try_acquire("job", "one", MINUTE).await.unwrap();
    let first = first.unwrap();
    world.clock.advance(TimeDelta::seconds(40));
    assert!(store.renew(&first, MINUTE).await.unwrap());
    world.clock.advance(TimeDelta::seconds(59));
    let early = store.try_acquire("job", "two", MINUTE).await.unwrap();
    assert_eq!(early, None, "it was renewed");
    world.clock.advance(TimeDelta::seconds(1));
    let second = store.try_acquire("job", "two", MINUTE).await.unwrap();
    let second = second.unwrap();
    assert!(second.epoch > first.epoch);
    assert!(!store.renew(&first, MINUTE).await.unwrap());
    assert!(!store.release(&first).await.unwrap());
    let third = store.try_acquire("job", "three", MINUTE).await.unwrap();
    assert_eq!(third, None, "what is outdated has no effect");
    // The owner alone does not tell: it may have lost the job and got it again.
    world.clock.advance(TimeDelta::seconds(60));
    let again = store.try_acquire("job", "two", MINUTE).await.unwrap();
    assert!(again.is_some());
    assert!(!store.release(&second).await.unwrap());
}

pub async fn a_released_lease_is_free_at_once<S: Storage + 'static>(world: World<S>) {
    let store = &world.store;
    let first = store.try_acquire("job", "one", MINUTE).await.unwrap();
    let first = first.unwrap();
    assert!(store.release(&first).await.unwrap());
    assert!(
        !store.renew(&first, MINUTE).await.unwrap(),
        "what was given back is not held"
    );
    let second = store.try_acquire("job", "two", MINUTE).await.unwrap();
    assert!(second.unwrap().epoch > first.epoch);
}

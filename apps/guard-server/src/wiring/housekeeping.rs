//! What has to be done now and then.

use std::sync::Arc;
use std::time::Duration;

use guard_app::RuleBook;
use guard_app::ports::{Ledger, StorageError};
use guard_http::Api;
use guard_store::{DatabaseClock, Store};
use tokio_util::sync::CancellationToken;

/// How often old idempotency keys are forgotten, and how many at once.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
const KEYS_AT_ONCE: u32 = 1000;
/// How often to look at what other instances have published, and after how many looks to read the clock.
const KEEP_UP: Duration = Duration::from_millis(500);
const CLOCK_EVERY: u32 = 20;
/// How often partitions are made for the days ahead, in rounds of housekeeping.
const PARTITIONS_EVERY: u32 = 12 * 60;

pub(super) async fn keep_house(store: Arc<Store>, api: Arc<Api>, stop: CancellationToken) {
    let mut rounds = 0_u32;
    while !stop.is_cancelled() {
        // Histograms are folded now and then, or they would grow until somebody reads them.
        api.metrics.run_upkeep();
        if rounds.is_multiple_of(12) {
            while let Ok(done) = forget(&store).await
                && done >= u64::from(KEYS_AT_ONCE)
                && !stop.is_cancelled()
            {}
        }
        if rounds.is_multiple_of(PARTITIONS_EVERY)
            && let Err(error) = store.make_partitions().await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "partitions cannot be made for the days ahead"
            );
        }
        rounds = rounds.wrapping_add(1);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(HOUSEKEEPING / 12) => {}
        }
    }
}

/// Follows what other instances do, on a database that instances share: which rules are live, and what time it is.
pub(super) async fn keep_up(
    store: Arc<Store>,
    clock: Option<Arc<DatabaseClock>>,
    book: Arc<RuleBook>,
    stop: CancellationToken,
) {
    let Some(clock) = clock else {
        return stop.cancelled().await;
    };
    let mut rounds = 0_u32;
    while !stop.is_cancelled() {
        // Who commits is told of it at once; queries and rule tests go by what is held here.
        if let Err(error) = book.refresh_all().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "rules cannot be read"
            );
        }
        if rounds.is_multiple_of(CLOCK_EVERY)
            && let Err(error) = store.read_clock(&clock).await
        {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the time cannot be read"
            );
        }
        rounds = rounds.wrapping_add(1);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(KEEP_UP) => {}
        }
    }
}

/// Forgets what has no effect any more, a little at a time so that intakes are not held up.
async fn forget(store: &Store) -> Result<u64, StorageError> {
    let forgotten = store.forget_expired(KEYS_AT_ONCE).await;
    if let Err(error) = &forgotten {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "what has expired cannot be forgotten"
        );
    }
    forgotten
}

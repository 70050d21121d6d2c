//! What has to be done now and then.

use std::sync::Arc;
use std::time::Duration;

use guard_app::ports::{Ledger, StorageError};
use guard_http::Api;
use guard_store::SqliteStore;
use tokio_util::sync::CancellationToken;

/// How often old idempotency keys are forgotten, and how many at once.
const HOUSEKEEPING: Duration = Duration::from_secs(60);
const KEYS_AT_ONCE: u32 = 1000;

pub(super) async fn keep_house(store: Arc<SqliteStore>, api: Arc<Api>, stop: CancellationToken) {
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
        rounds = rounds.wrapping_add(1);
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(HOUSEKEEPING / 12) => {}
        }
    }
}

/// Forgets what has no effect any more, a little at a time so that intakes are not held up.
async fn forget(store: &SqliteStore) -> Result<u64, StorageError> {
    let forgotten = store.forget_expired(KEYS_AT_ONCE).await;
    if let Err(error) = &forgotten {
        tracing::warn!(
            error = error as &dyn std::error::Error,
            "what has expired cannot be forgotten"
        );
    }
    forgotten
}

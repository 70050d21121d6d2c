//! What has to be done now and then.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use guard_app::{Checkpointer, Housekeeper, RuleBook};
use guard_http::Api;
use guard_store::{DatabaseClock, Store};
use tokio_util::sync::CancellationToken;

/// How often the histograms of the metrics are folded.
const FOLD: Duration = Duration::from_secs(5);
/// How often to look at what other instances have published, and after how many looks to read the clock.
const KEEP_UP: Duration = Duration::from_millis(500);
const CLOCK_EVERY: u32 = 20;
/// Keeps house while no other instance does.
pub(super) async fn keep_house(
    store: Arc<Store>,
    checkpointer: Arc<Checkpointer>,
    instance: String,
    retention: Duration,
    stop: CancellationToken,
) {
    let housekeeper = Housekeeper {
        leases: store.clone(),
        ledger: store.clone(),
        retention: store,
        roots: checkpointer,
        instance,
        kept: TimeDelta::from_std(retention).unwrap_or(TimeDelta::MAX),
    };
    housekeeper.run(stop).await;
}

/// Folds the histograms now and then, or they would grow until somebody reads them.
pub(super) async fn fold_metrics(api: Arc<Api>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        api.metrics.run_upkeep();
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(FOLD) => {}
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

//! Waiting for what is to come.

use std::time::{Duration, Instant};

/// How often to look.
const EVERY: Duration = Duration::from_millis(100);

/// Looks until there is something; an error if there is nothing in time.
pub(crate) async fn wait_for<T>(
    what: &str,
    at_most: Duration,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> Result<T, String> {
    let began = Instant::now();
    loop {
        if let Some(found) = look().await {
            return Ok(found);
        }
        if began.elapsed() > at_most {
            return Err(format!("{what}: not within {at_most:?}"));
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// That something holds; what does not is told.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

/// The time, as events and the guard write it.
pub(crate) fn now() -> String {
    guard_domain::timestamp::format(std::time::SystemTime::now().into())
}

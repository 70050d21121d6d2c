//! The sample events, in Sentinel's own shapes.

use guard_app::ports::Clock;
use serde_json::Value;

use crate::system::SystemClock;

const SAMPLES: &str = include_str!("../../demo/events.ndjson");

/// The sample events, as if they had just happened. The timestamps have no offset, as Sentinel's have none.
pub(super) fn samples() -> anyhow::Result<Vec<Value>> {
    let now = SystemClock::start()
        .now()
        .format("%Y-%m-%dT%H:%M:%S%.6f")
        .to_string();
    let mut events = Vec::new();
    for line in SAMPLES.lines().filter(|line| !line.trim().is_empty()) {
        let mut event: Value = serde_json::from_str(line)?;
        if let Some(timestamp) = event.get_mut("timestamp") {
            *timestamp = Value::from(now.clone());
        }
        events.push(event);
    }
    Ok(events)
}

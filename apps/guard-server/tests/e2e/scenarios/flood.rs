//! More at once than n8n can take.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use futures::future::try_join_all;
use serde_json::json;

use super::Outcome;
use crate::wait::ensure;
use crate::world::World;

/// How many triggers come at once.
const TRIGGERS: usize = 300;
/// How long all of them may take.
const ALL: Duration = Duration::from_secs(300);
/// How long n8n may take to answer in the midst of it.
const RESPONSIVE: Duration = Duration::from_secs(5);

pub(super) async fn three_hundred_triggers(world: &mut World) -> Outcome {
    let guard = world.guard();
    let address = |number: usize| format!("198.51.{}.{}", 100 + number / 250, 1 + number % 250);
    let began = Instant::now();
    let ids = try_join_all((0..TRIGGERS).map(|number| {
        let context = json!({ "ip_address": address(number), "failed_logins": 27 });
        guard.trigger("security_threat", "critical", context)
    }))
    .await?;
    let mut slowest = Duration::ZERO;
    loop {
        let open = open_executions(world).await?;
        if open == 0 {
            break;
        }
        ensure(began.elapsed() < ALL, || {
            format!("{open} executions are open after {ALL:?}")
        })?;
        let answered = world.n8n.answers_within(&world.client).await;
        slowest = slowest.max(answered.ok_or("n8n does not answer")?);
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let took = began.elapsed();
    ensure(slowest < RESPONSIVE, || {
        format!("n8n took {slowest:?} to answer")
    })?;
    for id in &ids {
        let execution = guard.execution(id).await?;
        ensure(execution["state"] == "succeeded", || {
            format!("{id} is {}: {}", execution["state"], execution["message"])
        })?;
    }
    let mut blocked: HashMap<String, usize> = HashMap::new();
    for change in world.sentinel.changes().await? {
        *blocked.entry(change.path).or_default() += 1;
    }
    let once = blocked.values().filter(|times| **times == 1).count();
    ensure(once == TRIGGERS && blocked.len() == TRIGGERS, || {
        format!("{once} of {} addresses were blocked once", blocked.len())
    })?;
    Ok(format!(
        "{TRIGGERS} succeeded within {:.0} s, each address blocked once; n8n answered within {:.0} ms at the slowest",
        took.as_secs_f64(),
        slowest.as_secs_f64() * 1000.0
    ))
}

/// How many executions have not ended.
async fn open_executions(world: &World) -> Result<usize, String> {
    let mut open = 0;
    for state in ["queued", "dispatching", "acknowledged", "started"] {
        let path = format!("/v1/executions?status={state}&limit=500");
        let page = world.guard().get(&path).await?;
        open += page["items"].as_array().map_or(0, Vec::len);
    }
    Ok(open)
}

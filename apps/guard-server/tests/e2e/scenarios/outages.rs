//! Processes that go away.

use std::time::Duration;

use serde_json::json;

use super::Outcome;
use crate::wait::{ensure, wait_for};
use crate::world::{Mode, World};

const RUN: Duration = Duration::from_secs(120);
/// How long n8n is down.
const DOWN: Duration = Duration::from_secs(20);

pub(super) async fn n8n_is_down_for_a_while(world: &mut World) -> Outcome {
    world.n8n.kill()?;
    let ip = "203.0.113.48";
    let context = json!({ "ip_address": ip, "failed_logins": 27 });
    let answer = world.guard().event("security_threat", "critical", context);
    let answer = answer.await?;
    ensure(answer["decision"] == "playbook_queued", || {
        format!("the answer is {answer}")
    })?;
    let id = answer["execution_id"].as_str().unwrap_or("").to_owned();
    tokio::time::sleep(DOWN).await;
    let waiting = world.guard().execution(&id).await?;
    ensure(!world.sentinel.blocks(ip).await?, || {
        "it is blocked".to_owned()
    })?;
    world.n8n.up()?;
    let done = world.guard().reaches(&id, "succeeded", RUN).await?;
    let changes = world.sentinel.changes_of(&id).await?;
    ensure(changes.len() == 1, || format!("it acted so: {changes:?}"))?;
    Ok(format!(
        "playbook_queued; {} attempts while n8n was away, done at attempt {}, once",
        waiting["attempts"], done["attempts"]
    ))
}

pub(super) async fn n8n_is_killed_in_mid_run(world: &mut World) -> Outcome {
    // The change is made long after n8n is gone: what ran may have acted, and nobody says so.
    world.sentinel.slow_down(10).await?;
    let context = json!({ "service": "ledger", "consecutive_failures": 6 });
    let ordered = world
        .guard()
        .trigger("health_check_failed", "critical", context);
    let id = ordered.await?;
    world.guard().reaches(&id, "started", RUN).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.n8n.kill()?;
    world.guard().reaches(&id, "unconfirmed", RUN).await?;
    let escalations = world.guard().escalations_of(&id).await?;
    ensure(escalations == ["unconfirmed"], || {
        format!("escalations: {escalations:?}")
    })?;
    world.n8n.up()?;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let stays = world.guard().execution(&id).await?;
    ensure(stays["attempts"] == 1, || {
        format!("it was delivered {} times", stays["attempts"])
    })?;
    let key = world.n8n.make_api_key().await?;
    world.start_guard(Mode::WithApiKey(key))?;
    let failed = world.guard().reaches(&id, "failed", RUN).await?;
    Ok(format!(
        "started, n8n killed; unconfirmed after its 25 s, escalated, not delivered again; with a key of n8n's API: {}",
        failed["message"].as_str().unwrap_or("")
    ))
}

pub(super) async fn the_guard_is_killed_before_the_callback(world: &mut World) -> Outcome {
    world.start_guard(Mode::Proxied)?;
    // The workflow cannot report before the guard is gone.
    world.sentinel.slow_down(4).await?;
    let ip = "203.0.113.49";
    let context = json!({ "ip_address": ip, "failed_logins": 27 });
    let ordered = world
        .guard()
        .trigger("security_threat", "critical", context);
    let id = ordered.await?;
    let seen = wait_for("the delivery", RUN, async || {
        world.proxy.deliveries_of(&id).into_iter().next()
    });
    seen.await?;
    world.guard().reaches(&id, "started", RUN).await?;
    world.kill_guard();
    wait_for("the change", RUN, async || {
        world
            .sentinel
            .blocks(ip)
            .await
            .ok()
            .filter(|blocked| *blocked)
    })
    .await?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    world.start_guard(Mode::Proxied)?;
    let done = world.guard().reaches(&id, "succeeded", RUN).await?;
    let changes = world.sentinel.changes_of(&id).await?;
    ensure(changes.len() == 1, || format!("it acted so: {changes:?}"))?;
    Ok(format!(
        "killed while the workflow ran, back seconds after it had acted; the workflow tried again and reported: {}",
        done["message"].as_str().unwrap_or("")
    ))
}

//! Repetitions, and what n8n refuses.

use std::time::Duration;

use serde_json::json;

use super::Outcome;
use crate::wait::{ensure, wait_for};
use crate::world::{Mode, World};

const RUN: Duration = Duration::from_secs(90);
/// How often a delivery is repeated at once.
const TIMES: usize = 10;

pub(super) async fn ten_deliveries_at_once_act_once(world: &mut World) -> Outcome {
    world.start_guard(Mode::Proxied)?;
    // While Sentinel is slow, the repetitions come in the midst of the run.
    world.sentinel.slow_down(3).await?;
    let mut runs = Vec::new();
    for (event_type, context) in [
        (
            "security_threat",
            json!({ "ip_address": "203.0.113.46", "failed_logins": 27 }),
        ),
        (
            "backup_failed",
            json!({ "backup_file": "nightly-9.json.gz" }),
        ),
        (
            "health_check_failed",
            json!({ "service": "search", "consecutive_failures": 3 }),
        ),
    ] {
        let id = world.guard().trigger(event_type, "high", context).await?;
        let seen = wait_for("the delivery", RUN, async || {
            world.proxy.deliveries_of(&id).into_iter().next()
        });
        let delivery = seen.await?;
        let taken = world.proxy.repeat(&delivery, TIMES).await;
        ensure(taken == TIMES, || {
            format!("n8n took {taken} of {TIMES} repetitions")
        })?;
        runs.push((id, delivery));
    }
    for (id, delivery) in &runs {
        world.guard().reaches(id, "succeeded", RUN).await?;
        world.proxy.repeat(delivery, TIMES).await;
    }
    // Whoever would act a second time has the time to.
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut acts = Vec::new();
    for (id, _) in &runs {
        let changes = world.sentinel.changes_of(id).await?;
        ensure(changes.len() == 1, || format!("it acted so: {changes:?}"))?;
        acts.push(format!("{} {}", changes[0].method, changes[0].path));
    }
    let all = world.sentinel.changes().await?;
    ensure(all.len() == runs.len(), || {
        format!("Sentinel did this: {all:?}")
    })?;
    Ok(format!(
        "n8n ran each of the three core playbooks {} times, in mid-run and afterwards; Sentinel was asked once for each: {}",
        1 + 2 * TIMES,
        acts.join(", ")
    ))
}

pub(super) async fn what_n8n_does_not_have_is_a_dead_letter(world: &mut World) -> Outcome {
    let health = wait_for("the probe finds it missing", RUN, async || {
        let health = world.guard().get("/health").await.ok()?;
        let playbooks = health["playbooks"].as_array()?.clone();
        let found = playbooks
            .into_iter()
            .find(|known| known["name"] == "not-in-n8n")?;
        (found["status"] == "missing").then_some(found)
    });
    let health = health.await?;
    let context = json!({ "metric": "nowhere" });
    let ordered = world.guard().trigger("anomaly_detected", "high", context);
    let id = ordered.await?;
    let dead = world.guard().reaches(&id, "dead", RUN).await?;
    let message = dead["message"].as_str().unwrap_or("");
    ensure(message.contains("no active webhook"), || {
        format!("it says `{message}`")
    })?;
    let escalations = world.guard().escalations_of(&id).await?;
    ensure(escalations == ["dead"], || {
        format!("escalations: {escalations:?}")
    })?;
    Ok(format!(
        "/health: {}; dead after {} attempts, escalated",
        health["detail"], dead["attempts"]
    ))
}

pub(super) async fn a_wrong_token_is_told(world: &mut World) -> Outcome {
    world.start_guard(Mode::WrongToken)?;
    let ip = "203.0.113.47";
    let context = json!({ "ip_address": ip, "failed_logins": 27 });
    let ordered = world
        .guard()
        .trigger("security_threat", "critical", context);
    let id = ordered.await?;
    let refused = wait_for("an escalation", RUN, async || {
        let reasons = world.guard().escalations_of(&id).await.ok()?;
        (!reasons.is_empty()).then_some(reasons)
    });
    let reasons = refused.await?;
    ensure(reasons == ["token_refused"], || {
        format!("escalations: {reasons:?}")
    })?;
    ensure(!world.sentinel.blocks(ip).await?, || {
        "it is blocked".to_owned()
    })?;
    world.start_guard(Mode::Direct)?;
    let done = world.guard().reaches(&id, "succeeded", RUN).await?;
    ensure(world.sentinel.blocks(ip).await?, || {
        "it is not blocked".to_owned()
    })?;
    Ok(format!(
        "escalated as token_refused; with the right token it succeeded, attempt {}",
        done["attempts"]
    ))
}

//! Playbooks that do their work, are rehearsed, and are undone.

use std::time::Duration;

use serde_json::{Value, json};

use super::Outcome;
use crate::sentinel::Sentinel;
use crate::wait::{ensure, now};
use crate::world::World;

/// How long a run may take; the machine may be busy.
const RUN: Duration = Duration::from_secs(90);

/// The message of an execution.
fn message(execution: &Value) -> &str {
    execution["message"].as_str().unwrap_or("")
}

/// How long it took from the decision to the result, in seconds.
fn duration(execution: &Value) -> f64 {
    let at = |field: &str| {
        let text = execution[field].as_str().unwrap_or("");
        chrono::DateTime::parse_from_rfc3339(text).unwrap_or_default()
    };
    (at("finished_at") - at("executed_at")).as_seconds_f64()
}

/// Rehearses a playbook, and sees that Sentinel changed nothing.
async fn rehearse(world: &World, playbook: &str, params: Value) -> Result<String, String> {
    let path = format!("/v1/playbooks/{playbook}/rehearse");
    let body = json!({ "params": params });
    let order = world.guard().post(&path, &body).await?;
    let id = order["id"].as_str().unwrap_or("").to_owned();
    let done = world.guard().reaches(&id, "succeeded", RUN).await?;
    ensure(message(&done).starts_with("Rehearsal: would "), || {
        format!("it says `{}`", message(&done))
    })?;
    let changes = world.sentinel.changes_of(&id).await?;
    ensure(changes.is_empty(), || {
        format!("the rehearsal changed something: {changes:?}")
    })?;
    Ok(message(&done).to_owned())
}

/// Has an execution undone; gives what the undoing says.
async fn undo(world: &World, id: &str) -> Result<String, String> {
    let path = format!("/v1/executions/{id}/undo");
    let order = world.guard().post(&path, &json!({})).await?;
    let undoing = order["id"].as_str().unwrap_or("").to_owned();
    let done = world.guard().reaches(&undoing, "succeeded", RUN).await?;
    let undone = world.guard().execution(id).await?;
    ensure(undone["state"] == "rolled_back", || {
        format!("after the undoing it is {}", undone["state"])
    })?;
    Ok(message(&done).to_owned())
}

/// Lets a backup fail once, as Sentinel notices by itself; gives the execution that follows.
async fn let_a_backup_fail(world: &World, file: &str) -> Result<Value, String> {
    let before = now();
    world.sentinel.fail_backups(1).await?;
    let body = json!({ "backup_file": file });
    let failed = world.sentinel.post("/api/v1/backup/trigger", body).await?;
    ensure(failed["status"] == "failed", || {
        format!("the backup did not fail: {failed}")
    })?;
    let ordered = world.guard().ordered("backup-recovery", &before, RUN);
    let id = ordered.await?;
    world.guard().reaches(&id, "succeeded", RUN).await
}

pub(super) async fn a_failed_backup_is_made_again(world: &mut World) -> Outcome {
    let file = "nightly-1.json.gz";
    let done = let_a_backup_fail(world, file).await?;
    let id = done["id"].as_str().unwrap_or("");
    ensure(world.sentinel.has_backup(file).await?, || {
        "there is no backup".to_owned()
    })?;
    let changes = world.sentinel.changes_of(id).await?;
    ensure(changes.len() == 1, || format!("it acted so: {changes:?}"))?;
    let event = done["event_id"].as_str().unwrap_or("");
    let event = world.guard().get(&format!("/v1/events/{event}")).await?;
    ensure(
        event["decision"]["decision"] == "playbook_triggered",
        || format!("the decision is {}", event["decision"]),
    )?;
    Ok(format!(
        "{}; {:.1} s after the decision, the backup is there",
        message(&done),
        duration(&done)
    ))
}

pub(super) async fn a_backup_is_rehearsed_and_undone(world: &mut World) -> Outcome {
    let file = "nightly-2.json.gz";
    let would = rehearse(world, "backup-recovery", json!({ "backup_file": file })).await?;
    ensure(!world.sentinel.has_backup(file).await?, || {
        "the rehearsal made a backup".to_owned()
    })?;
    let done = let_a_backup_fail(world, file).await?;
    ensure(world.sentinel.has_backup(file).await?, || {
        "there is no backup".to_owned()
    })?;
    let undone = undo(world, done["id"].as_str().unwrap_or("")).await?;
    ensure(!world.sentinel.has_backup(file).await?, || {
        "the backup is still there".to_owned()
    })?;
    Ok(format!("{would} / {} / {undone}", message(&done)))
}

pub(super) async fn an_address_is_blocked_rehearsed_and_undone(world: &mut World) -> Outcome {
    let ip = "203.0.113.45";
    let would = rehearse(world, "intrusion-lockdown", json!({ "ip_address": ip })).await?;
    ensure(!world.sentinel.blocks(ip).await?, || {
        "the rehearsal blocked it".to_owned()
    })?;
    let context = json!({ "ip_address": ip, "failed_logins": 27 });
    let ordered = world
        .guard()
        .trigger("security_threat", "critical", context);
    let id = ordered.await?;
    let done = world.guard().reaches(&id, "succeeded", RUN).await?;
    ensure(world.sentinel.blocks(ip).await?, || {
        "it is not blocked".to_owned()
    })?;
    let undone = undo(world, &id).await?;
    ensure(!world.sentinel.blocks(ip).await?, || {
        "it is still blocked".to_owned()
    })?;
    Ok(format!("{would} / {} / {undone}", message(&done)))
}

pub(super) async fn a_service_is_remediated_rehearsed_and_undone(world: &mut World) -> Outcome {
    let service = "backend-api";
    let is = async |sentinel: &Sentinel, status: &str, configuration: &str| {
        let found = sentinel.service(service).await?;
        let as_expected = found["status"] == status && found["configuration"] == configuration;
        ensure(as_expected, || format!("the service is {found}"))
    };
    let down = format!("/trial/services/{service}/down");
    world
        .sentinel
        .post(&down, json!({ "restart_helps": true }))
        .await?;
    let would = rehearse(world, "auto-remediation", json!({ "service": service })).await?;
    is(&world.sentinel, "down", "current").await?;
    let context = json!({ "service": service, "consecutive_failures": 3 });
    let ordered = world
        .guard()
        .trigger("health_check_failed", "high", context);
    let id = ordered.await?;
    let done = world.guard().reaches(&id, "succeeded", RUN).await?;
    is(&world.sentinel, "running", "last-known-good").await?;
    let undone = undo(world, &id).await?;
    is(&world.sentinel, "running", "current").await?;
    Ok(format!("{would} / {} / {undone}", message(&done)))
}

pub(super) async fn the_other_playbooks_do_their_work(world: &mut World) -> Outcome {
    let service = "billing";
    let down = format!("/trial/services/{service}/down");
    world
        .sentinel
        .post(&down, json!({ "restart_helps": false }))
        .await?;
    let mut said = Vec::new();
    let mut ids = Vec::new();
    for (event_type, severity, context) in [
        (
            "health_check_failed",
            "critical",
            json!({ "service": service, "consecutive_failures": 6 }),
        ),
        ("user_offboarding", "high", json!({ "username": "m.rossi" })),
        (
            "security_threat",
            "medium",
            json!({ "host": { "name": "web-17" }, "reason": "odd login" }),
        ),
    ] {
        let id = world.guard().trigger(event_type, severity, context).await?;
        let done = world.guard().reaches(&id, "succeeded", RUN).await?;
        said.push(message(&done).to_owned());
        ids.push(id);
    }
    let active = world.sentinel.service(service).await?;
    ensure(active["active"] == "standby", || {
        format!("the service is {active}")
    })?;
    let user = world.sentinel.get("/api/v1/users/m.rossi").await?;
    ensure(user["locked"] == true, || format!("the user is {user}"))?;
    for id in &ids[..2] {
        said.push(undo(world, id).await?);
    }
    let active = world.sentinel.service(service).await?;
    ensure(active["active"] == "primary", || {
        format!("the service is {active}")
    })?;
    let user = world.sentinel.get("/api/v1/users/m.rossi").await?;
    ensure(user["locked"] == false, || format!("the user is {user}"))?;
    Ok(said.join(" / "))
}

pub(super) async fn what_cannot_be_done_is_reported(world: &mut World) -> Outcome {
    world.sentinel.fail_backups(10).await?;
    let context = json!({ "backup_file": "nightly-3.json.gz", "retry_count": 0 });
    let ordered = world.guard().trigger("backup_failed", "high", context);
    let id = ordered.await?;
    let done = world.guard().reaches(&id, "failed", RUN).await?;
    Ok(message(&done).to_owned())
}

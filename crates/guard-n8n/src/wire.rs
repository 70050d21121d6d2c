//! The body of a delivery.

use guard_app::ports::{Delivery, Undone};
use guard_domain::{members, timestamp};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde_json::value::RawValue;

/// The key that holds the guard's own part.
const RESERVED: &str = "neural_guard";

/// The guard's own part.
#[derive(Serialize)]
struct NeuralGuard<'a> {
    execution_id: String,
    attempt: u32,
    event: &'a RawValue,
    rule_id: &'a str,
    rule_version: u32,
    tenant: &'a str,
    dry_run: bool,
    rollback_of: Option<RollbackOf<'a>>,
    callback_url: &'a str,
    callback_token: &'a str,
    deadline: String,
}

/// The execution that a workflow is to undo.
#[derive(Serialize)]
struct RollbackOf<'a> {
    execution_id: String,
    /// What its workflow reported.
    data: Option<&'a RawValue>,
}

/// The params at the top, as the text they are, and the guard's own part beside them. A context cannot overwrite it.
pub(crate) fn body(delivery: &Delivery) -> Result<String, serde_json::Error> {
    let own = NeuralGuard {
        execution_id: delivery.execution_id.to_string(),
        attempt: delivery.attempt,
        event: serde_json::from_str(&delivery.event)?,
        rule_id: delivery.rule_id.as_str(),
        rule_version: delivery.rule_version,
        tenant: delivery.tenant.as_str(),
        dry_run: delivery.dry_run,
        rollback_of: delivery.undoes.as_ref().map(rollback_of).transpose()?,
        callback_url: &delivery.callback_url,
        callback_token: delivery.callback_token.expose_secret(),
        deadline: timestamp::format(delivery.deadline),
    };
    let mut text = String::from("{");
    for (key, value) in members(&delivery.params).unwrap_or_default().0 {
        if key != RESERVED {
            text.push_str(&format!(
                "{}:{},",
                serde_json::to_string(&key)?,
                value.get()
            ));
        }
    }
    text.push_str(&format!(
        "\"{RESERVED}\":{}}}",
        serde_json::to_string(&own)?
    ));
    Ok(text)
}

fn rollback_of(undone: &Undone) -> Result<RollbackOf<'_>, serde_json::Error> {
    let data = undone.data.as_deref().map(serde_json::from_str);
    Ok(RollbackOf {
        execution_id: undone.execution_id.to_string(),
        data: data.transpose()?,
    })
}

//! Writing the workflows, and seeing that what is written is current.

use std::path::Path;

use serde_json::Value;

use super::{flow, last_resort, playbooks};
use crate::process::root;

/// Where the workflows are.
pub(crate) const FOLDER: &str = "deploy/n8n/workflows";

/// Every workflow, by its name.
pub(crate) fn workflows() -> Vec<(&'static str, Value)> {
    let playbooks = playbooks::ALL
        .iter()
        .map(|playbook| (playbook.name, playbook.workflow()));
    playbooks
        .chain([(flow::ERROR_WORKFLOW, last_resort::error_workflow())])
        .collect()
}

/// Writes every workflow.
pub(crate) fn write() -> anyhow::Result<()> {
    let folder = root().join(FOLDER);
    std::fs::create_dir_all(&folder)?;
    for (name, workflow) in workflows() {
        let mut text = serde_json::to_string_pretty(&workflow)?;
        text.push('\n');
        std::fs::write(folder.join(format!("{name}.json")), text)?;
    }
    Ok(())
}

/// Every file that is not what would be written.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    for (name, workflow) in workflows() {
        let path = root.join(FOLDER).join(format!("{name}.json"));
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        if serde_json::from_str::<Value>(&written).ok() != Some(workflow) {
            wrong.push(format!(
                "{FOLDER}/{name}.json is not current: `cargo xtask n8n generate`"
            ));
        }
    }
    Ok(wrong)
}

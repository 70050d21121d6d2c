//! The workflows for n8n keep what the guard relies on, whoever wrote them.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::n8n::flow::ERROR_WORKFLOW;
use crate::n8n::generate::{self, FOLDER};
use crate::n8n::{node, playbooks};

/// Where each playbook is described.
const DESCRIPTIONS: &str = "deploy/n8n/playbooks";
/// The rules that name playbooks.
const RULES: &str = "apps/guard-server/rules/default.yaml";

/// Everything that is wrong with the workflows, their descriptions and the default rules' playbooks.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut wrong = generate::check(root)?;
    let names = stems(&root.join(FOLDER), "json")?;
    for name in &names {
        let path = format!("{FOLDER}/{name}.json");
        match serde_json::from_str(&std::fs::read_to_string(root.join(&path))?) {
            Ok(workflow) => wrong.extend(
                check_workflow(name, &workflow)
                    .into_iter()
                    .map(|what| format!("{path}: {what}")),
            ),
            Err(error) => wrong.push(format!("{path}: {error}")),
        }
        if name != ERROR_WORKFLOW && !playbooks::ALL.iter().any(|playbook| playbook.name == name) {
            wrong.push(format!("{path} is none of the playbooks"));
        }
    }
    wrong.extend(check_descriptions(root)?);
    let rules = std::fs::read_to_string(root.join(RULES))?;
    for key in ["trigger_playbook:", "rollback:"] {
        for name in named(&rules, key).filter(|name| !names.contains(*name)) {
            wrong.push(format!("{RULES} names `{name}`, which has no workflow"));
        }
    }
    Ok(wrong)
}

/// Each playbook has a description that names its inverse, and each description has a playbook.
fn check_descriptions(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let mut described = stems(&root.join(DESCRIPTIONS), "md")?;
    for playbook in playbooks::ALL {
        let name = playbook.name;
        if !described.remove(name) {
            wrong.push(format!("{DESCRIPTIONS}/{name}.md is missing"));
            continue;
        }
        let Some(undo) = playbook.undo else { continue };
        if !playbooks::ALL.iter().any(|other| other.name == undo) {
            wrong.push(format!(
                "{name} is undone by `{undo}`, which is no playbook"
            ));
        }
        let text = std::fs::read_to_string(root.join(format!("{DESCRIPTIONS}/{name}.md")))?;
        if !text.contains(&format!("[{undo}]({undo}.md)")) {
            wrong.push(format!("{DESCRIPTIONS}/{name}.md does not link to {undo}"));
        }
    }
    wrong.extend(
        described
            .iter()
            .map(|name| format!("{DESCRIPTIONS}/{name}.md describes no playbook")),
    );
    Ok(wrong)
}

fn stems(folder: &Path, extension: &str) -> anyhow::Result<BTreeSet<String>> {
    let mut stems = BTreeSet::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == extension) {
            stems.extend(
                path.file_stem()
                    .map(|stem| stem.to_string_lossy().into_owned()),
            );
        }
    }
    Ok(stems)
}

/// The playbooks that rules name under a key, alone or by `name:`.
fn named<'a>(rules: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    rules.split(key).skip(1).filter_map(|rest| {
        let words = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        words
            .filter(|word| !word.is_empty())
            .find(|word| *word != "name")
    })
}

/// What is wrong with a workflow.
fn check_workflow(name: &str, workflow: &Value) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |holds: bool, what: &str| {
        if !holds {
            wrong.push(what.to_owned());
        }
    };
    expect(
        at(workflow, "/name") == name,
        "its name is not that of its file",
    );
    expect(
        at(workflow, "/id") == name,
        "its id is not the name of its file",
    );
    let settings = at(workflow, "/settings");
    expect(
        at(settings, "/saveDataSuccessExecution") == "none",
        "it keeps the tokens of runs that went well",
    );
    let nodes = at(workflow, "/nodes")
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let handles = |node: &Value, what| node.to_string().contains(what);
    let tells = |node: &Value| {
        handles(node, ".headers") || (!is_callback(node) && handles(node, "callback_token"))
    };
    expect(
        !nodes.iter().any(tells),
        "a node that is no callback handles the callback token, or one handles headers",
    );
    if name == ERROR_WORKFLOW {
        return wrong;
    }
    expect(
        at(settings, "/errorWorkflow") == ERROR_WORKFLOW,
        "it does not name the error workflow",
    );
    let webhooks: Vec<&Value> = nodes
        .iter()
        .filter(|node| at(node, "/type") == "n8n-nodes-base.webhook")
        .collect();
    let [webhook] = webhooks.as_slice() else {
        expect(false, "it has not exactly one webhook");
        return wrong;
    };
    let parameters = at(webhook, "/parameters");
    expect(
        at(parameters, "/path").as_str() == Some(&format!("failsafe/{name}"))
            && at(parameters, "/httpMethod") == "POST",
        "its webhook is not `POST failsafe/` and its name",
    );
    expect(
        at(webhook, "/webhookId").is_string(),
        "its webhook has no `webhookId`, so that its address is another one",
    );
    expect(
        at(parameters, "/authentication") == "headerAuth"
            && at(webhook, "/credentials/httpHeaderAuth/id") == node::WEBHOOK.id,
        "its webhook is not guarded by the header credential",
    );
    expect(
        at(parameters, "/responseMode") == "onReceived",
        "its webhook does not respond at once",
    );
    let after = targets(workflow, at(webhook, "/name"));
    let start = nodes
        .iter()
        .find(|node| after == [(0, at(node, "/name").as_str().unwrap_or_default())]);
    expect(
        start.is_some_and(|node| url(node).ends_with("callback_url }}/start")),
        "its webhook is not followed by the call of `start` alone",
    );
    let at_work: Vec<&Value> = nodes.iter().filter(|node| touches_sentinel(node)).collect();
    expect(!at_work.is_empty(), "it does nothing");
    let first = at(webhook, "/name");
    for (gate, output, what) in [
        ("May it go on?", 0, "without a start"),
        ("Rehearsal?", 1, "in a rehearsal"),
    ] {
        let reached = reachable(workflow, first, (gate, output));
        let early = at_work
            .iter()
            .any(|node| reached.contains(at(node, "/name").as_str().unwrap_or_default()));
        expect(!early, &format!("it can call Sentinel {what}"));
    }
    let reports = reachable(workflow, first, ("", 0));
    let report = nodes
        .iter()
        .find(|node| url(node).ends_with("callback_url }}/result"));
    expect(
        report.is_some_and(|node| reports.contains(at(node, "/name").as_str().unwrap_or_default())),
        "it never reports a result",
    );
    let unkeyed = |node: &Value| {
        at(node, "/parameters/method") != "GET" && !node.to_string().contains("Idempotency-Key")
    };
    expect(
        !at_work.iter().any(|node| unkeyed(node)),
        "it changes something without an `Idempotency-Key`",
    );
    wrong
}

fn touches_sentinel(node: &Value) -> bool {
    at(node, "/credentials/httpHeaderAuth/id") == node::SENTINEL.id
        || url(node).contains("/api/v1/")
}

/// What stands at a place, or nothing.
fn at<'a>(value: &'a Value, pointer: &str) -> &'a Value {
    value.pointer(pointer).unwrap_or(&Value::Null)
}

fn is_callback(node: &Value) -> bool {
    url(node).contains("callback_url }}/")
}

fn url(node: &Value) -> &str {
    at(node, "/parameters/url").as_str().unwrap_or_default()
}

/// Where the outputs of a node lead.
fn targets<'a>(workflow: &'a Value, name: &Value) -> Vec<(usize, &'a str)> {
    let name = name.as_str().unwrap_or_default();
    let outputs = at(at(workflow, "/connections"), &format!("/{name}/main")).as_array();
    let outputs = outputs.into_iter().flatten().enumerate();
    outputs
        .flat_map(|(output, to)| {
            let to = to.as_array().into_iter().flatten();
            to.filter_map(move |to| Some((output, at(to, "/node").as_str()?)))
        })
        .collect()
}

/// Every node that is reached when an output of one is cut off.
fn reachable<'a>(workflow: &'a Value, from: &'a Value, cut: (&str, usize)) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&str> = from.as_str().into_iter().collect();
    while let Some(name) = next.pop() {
        if reached.insert(name) {
            let to = targets(workflow, &Value::from(name));
            next.extend(
                to.into_iter()
                    .filter(|(output, _)| (name, *output) != cut)
                    .map(|(_, to)| to),
            );
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::process::root;

    fn workflow() -> Value {
        let (_, workflow) = generate::workflows()
            .into_iter()
            .find(|(name, _)| *name == "backup-recovery")
            .unwrap();
        workflow
    }

    fn node<'a>(workflow: &'a mut Value, name: &str) -> &'a mut Value {
        let mut nodes = workflow["nodes"].as_array_mut().unwrap().iter_mut();
        nodes.find(|node| node["name"] == name).unwrap()
    }

    #[track_caller]
    fn check_finds(change: impl FnOnce(&mut Value), what: &str) {
        let mut workflow = workflow();
        change(&mut workflow);
        let found = check_workflow("backup-recovery", &workflow);
        assert!(found.iter().any(|found| found.contains(what)), "{found:?}");
    }

    #[test]
    fn the_workflows_of_this_repository_are_in_order() {
        assert_eq!(check(&root()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_workflow_that_does_not_ask_first_is_found() {
        let to_input = json!({ "main": [[{ "node": "Input", "type": "main", "index": 0 }]] });
        check_finds(
            |workflow| workflow["connections"]["Webhook"] = to_input,
            "call of `start`",
        );
        check_finds(
            |workflow| {
                let outputs = &mut workflow["connections"]["May it go on?"]["main"];
                let to_input = json!([{ "node": "Input", "type": "main", "index": 0 }]);
                outputs.as_array_mut().unwrap().push(to_input);
            },
            "without a start",
        );
    }

    #[test]
    fn a_workflow_that_acts_in_a_rehearsal_is_found() {
        check_finds(
            |workflow| {
                let to = &mut workflow["connections"]["Is it complete?"]["main"][0][0]["node"];
                *to = json!("Run the backup");
            },
            "in a rehearsal",
        );
    }

    #[test]
    fn an_open_webhook_is_found() {
        check_finds(
            |workflow| node(workflow, "Webhook")["parameters"]["authentication"] = json!("none"),
            "not guarded",
        );
        check_finds(
            |workflow| node(workflow, "Webhook")["parameters"]["responseMode"] = json!("lastNode"),
            "at once",
        );
    }

    #[test]
    fn a_change_that_could_be_made_twice_is_found() {
        check_finds(
            |workflow| {
                node(workflow, "Run the backup")["parameters"]["headerParameters"] = json!({});
            },
            "Idempotency-Key",
        );
    }

    #[test]
    fn a_token_in_a_message_is_found() {
        check_finds(
            |workflow| {
                let expression = "={{ ({ message: $('Webhook').first().json.body.neural_guard.callback_token }) }}";
                node(workflow, "Succeeded")["parameters"]["jsonOutput"] = json!(expression);
            },
            "callback token",
        );
    }

    #[test]
    fn rules_tell_their_playbooks_on_one_line_and_on_two() {
        let rules = "trigger_playbook: { name: one, rollback: back }\n trigger_playbook:\n   name: two-three\n";
        assert_eq!(
            Vec::from_iter(named(rules, "trigger_playbook:")),
            ["one", "two-three"]
        );
        assert_eq!(Vec::from_iter(named(rules, "rollback:")), ["back"]);
    }
}

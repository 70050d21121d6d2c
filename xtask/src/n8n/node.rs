//! The nodes that the playbooks are made of, as n8n writes them.

use serde_json::{Map, Value, json};

/// The token that the guard shows to n8n.
pub(crate) const WEBHOOK: Credential = Credential {
    id: "neural-guard-webhook",
    name: "Neural Guard webhook",
};
/// The token that n8n shows to Sentinel.
pub(crate) const SENTINEL: Credential = Credential {
    id: "sentinel-api",
    name: "Sentinel API",
};
/// The token that n8n shows to the guard's `/events`.
pub(crate) const GUARD: Credential = Credential {
    id: "neural-guard-api",
    name: "Neural Guard API",
};

/// A credential of n8n, of the kind "Header Auth".
pub(crate) struct Credential {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
}

impl Credential {
    fn reference(&self) -> Value {
        json!({ "httpHeaderAuth": { "id": self.id, "name": self.name } })
    }
}

/// How long a request may take, in milliseconds.
const TIMEOUT: u32 = 30_000;
/// Where a node's first connection leads, and each after it.
const MAIN: &str = "main";

/// A workflow as it is drawn.
#[derive(Default)]
pub(crate) struct Canvas {
    nodes: Vec<Value>,
    connections: Map<String, Value>,
}

impl Canvas {
    /// Puts a node where its column and row say.
    pub(crate) fn put(&mut self, name: &str, column: i32, row: i32, mut node: Value) {
        if let Some(node) = node.as_object_mut() {
            let id: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
            node.insert("id".to_owned(), json!(id.to_lowercase()));
            node.insert("name".to_owned(), json!(name));
            node.insert("position".to_owned(), json!([column * 224, row * 192]));
        }
        self.nodes.push(node);
    }

    /// Leads an output of a node to another node.
    pub(crate) fn connect(&mut self, from: &str, output: usize, to: &str) {
        let of = self
            .connections
            .entry(from)
            .or_insert_with(|| json!({ MAIN: [] }));
        let Some(outputs) = of.get_mut(MAIN).and_then(Value::as_array_mut) else {
            return;
        };
        while outputs.len() <= output {
            outputs.push(json!([]));
        }
        if let Some(output) = outputs.get_mut(output).and_then(Value::as_array_mut) {
            output.push(json!({ "node": to, "type": MAIN, "index": 0 }));
        }
    }

    /// The file that n8n imports.
    pub(crate) fn into_workflow(self, name: &str, error_workflow: Option<&str>) -> Value {
        let mut settings = json!({
            "executionOrder": "v1",
            // What the webhook got has tokens in it, and the guard has the result on record.
            "saveDataSuccessExecution": "none",
            "saveDataErrorExecution": "all",
            "saveExecutionProgress": false,
            "saveManualExecutions": false,
        });
        if let (Some(id), Some(settings)) = (error_workflow, settings.as_object_mut()) {
            settings.insert("errorWorkflow".to_owned(), json!(id));
        }
        json!({
            "id": name,
            "name": name,
            "active": false,
            "nodes": self.nodes,
            "connections": self.connections,
            "settings": settings,
        })
    }
}

/// Begins a run when the guard calls.
pub(crate) fn webhook(playbook: &str) -> Value {
    json!({
        "type": "n8n-nodes-base.webhook",
        "typeVersion": 2.1,
        "webhookId": format!("neural-guard-{playbook}"),
        "credentials": WEBHOOK.reference(),
        "parameters": {
            "httpMethod": "POST",
            "path": format!("failsafe/{playbook}"),
            "authentication": "headerAuth",
            "responseMode": "onReceived",
            "options": {},
        },
    })
}

/// Begins a run when another one has thrown.
pub(crate) fn error_trigger() -> Value {
    json!({ "type": "n8n-nodes-base.errorTrigger", "typeVersion": 1, "parameters": {} })
}

/// A note for whoever looks at the canvas.
pub(crate) fn note(text: &str) -> Value {
    json!({
        "type": "n8n-nodes-base.stickyNote",
        "typeVersion": 1,
        "parameters": { "content": text, "width": 400, "height": 220 },
    })
}

/// A request. Whatever comes of it, the run goes on with `statusCode` and `body`, or with `error` if there was no answer.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: String,
    pub(crate) headers: Vec<(&'a str, String)>,
    /// An expression that gives text.
    pub(crate) body: Option<String>,
    pub(crate) credential: Option<&'a Credential>,
    /// In milliseconds.
    pub(crate) timeout: Option<u32>,
}

impl Request<'_> {
    pub(crate) fn into_node(self) -> Value {
        let headers: Vec<Value> = self
            .headers
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        let mut parameters = json!({
            "method": self.method,
            "url": self.url,
            "options": {
                "timeout": self.timeout.unwrap_or(TIMEOUT),
                "redirect": { "redirect": { "followRedirects": false } },
                "response": { "response": { "fullResponse": true, "neverError": true } },
            },
        });
        let mut node = json!({
            "type": "n8n-nodes-base.httpRequest",
            "typeVersion": 4.2,
            "onError": "continueRegularOutput",
        });
        if let Some(parameters) = parameters.as_object_mut() {
            if !headers.is_empty() {
                parameters.insert("sendHeaders".to_owned(), json!(true));
                parameters.insert(
                    "headerParameters".to_owned(),
                    json!({ "parameters": headers }),
                );
            }
            if let Some(body) = self.body {
                parameters.insert("sendBody".to_owned(), json!(true));
                parameters.insert("specifyBody".to_owned(), json!("json"));
                parameters.insert("jsonBody".to_owned(), json!(body));
            }
            if self.credential.is_some() {
                parameters.insert("authentication".to_owned(), json!("genericCredentialType"));
                parameters.insert("genericAuthType".to_owned(), json!("httpHeaderAuth"));
            }
        }
        if let Some(node) = node.as_object_mut() {
            node.insert("parameters".to_owned(), parameters);
            if let Some(credential) = self.credential {
                node.insert("credentials".to_owned(), credential.reference());
            }
        }
        node
    }
}

/// Repeats a request that has no answer, unchanged.
pub(crate) fn repeat_unanswered(mut request: Value) -> Value {
    if let Some(node) = request.as_object_mut() {
        node.insert("retryOnFail".to_owned(), json!(true));
        node.insert("maxTries".to_owned(), json!(3));
        node.insert("waitBetweenTries".to_owned(), json!(5000));
    }
    request
}

/// Goes on at the second output with what went wrong.
pub(crate) fn or_error(mut node: Value) -> Value {
    if let Some(node) = node.as_object_mut() {
        node.insert("onError".to_owned(), json!("continueErrorOutput"));
    }
    node
}

/// Goes the way of the first condition that holds; what is left goes the last way.
pub(crate) fn switch(ways: &[(&str, String)], otherwise: &str) -> Value {
    let rules: Vec<Value> = ways
        .iter()
        .map(|(name, condition)| {
            json!({
                "conditions": condition_that(name, condition),
                "renameOutput": true,
                "outputKey": name,
            })
        })
        .collect();
    json!({
        "type": "n8n-nodes-base.switch",
        "typeVersion": 3.2,
        "parameters": {
            "rules": { "values": rules },
            "options": { "fallbackOutput": "extra", "renameFallbackOutput": otherwise },
        },
    })
}

/// Goes the first way if a condition holds, else the second.
pub(crate) fn whether(condition: &str) -> Value {
    json!({
        "type": "n8n-nodes-base.if",
        "typeVersion": 2.2,
        "parameters": { "conditions": condition_that("if", condition), "options": {} },
    })
}

fn condition_that(id: &str, expression: &str) -> Value {
    json!({
        "options": {
            "caseSensitive": true,
            "leftValue": "",
            "typeValidation": "strict",
            "version": 2,
        },
        "combinator": "and",
        "conditions": [{
            "id": id,
            "leftValue": expression,
            "rightValue": "",
            "operator": { "type": "boolean", "operation": "true", "singleValue": true },
        }],
    })
}

/// Waits for so many seconds; what came in goes on.
pub(crate) fn pause(seconds: &str) -> Value {
    json!({
        "type": "n8n-nodes-base.wait",
        "typeVersion": 1.1,
        "parameters": { "resume": "timeInterval", "amount": seconds, "unit": "seconds" },
    })
}

/// Goes on with the object that an expression gives.
pub(crate) fn set(expression: &str) -> Value {
    json!({
        "type": "n8n-nodes-base.set",
        "typeVersion": 3.4,
        "parameters": { "mode": "raw", "jsonOutput": expression, "options": {} },
    })
}

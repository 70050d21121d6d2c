//! The OpenAPI document, completed: what holds of every operation of a kind is said here once, and not at each of them.

use guard_app::{MAX_NAMED_SOURCES, MAX_PAGE};
use guard_domain::{DecisionKind, EventTypes, ExecutionState, Severity};
use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

/// What a slug is, as a pattern.
const SLUG: &str = "^[a-z0-9][a-z0-9-]{0,62}$";
/// Text without a NUL, as a pattern.
const NO_NUL: &str = "^[^\\u0000]+$";
/// The media types.
const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";
/// Where an event is described.
const EVENT: &str = "#/components/schemas/EventInput";

/// Completes a document: the statuses of every kind of operation, problems as what they are, the bounds of parameters, and the
/// events that this server takes.
pub(crate) fn complete(document: &OpenApi, types: &EventTypes) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    for (path, item) in paths.into_iter().flatten() {
        for operation in item.as_object_mut().into_iter().flatten() {
            if let Some(operation) = operation.1.as_object_mut() {
                complete_operation(path, operation);
            }
        }
    }
    let schemas = document.pointer_mut("/components/schemas");
    if let Some(schemas) = schemas.and_then(Value::as_object_mut) {
        schemas.insert("EventInput".to_owned(), event(types));
        set(schemas, "EvaluateBody", "event", json!({"$ref": EVENT}));
        let optional = json!({"oneOf": [{"type": "null"}, {"$ref": EVENT}]});
        set(schemas, "RehearseBody", "event", optional);
        if let Some(sources) = schemas
            .get_mut("LimitsBody")
            .and_then(|it| it.pointer_mut("/properties/sources"))
        {
            put(sources, "maxProperties", MAX_NAMED_SOURCES.into());
            put(sources, "propertyNames", source());
        }
    }
    document
}

/// Replaces the schema of a field, whose description stays.
fn set(schemas: &mut Map<String, Value>, name: &str, field: &str, mut schema: Value) {
    let properties = schemas
        .get_mut(name)
        .and_then(|it| it.get_mut("properties"));
    if let Some(known) = properties.and_then(|it| it.get_mut(field)) {
        if let Some(text) = known.get("description").cloned() {
            put(&mut schema, "description", text);
        }
        *known = schema;
    }
}

fn complete_operation(path: &str, operation: &mut Map<String, Value>) {
    let ways = operation.get("security").map(Value::to_string);
    let ways = ways.unwrap_or_default();
    let (bearer, callback) = (ways.contains("bearer"), ways.contains("callback"));
    let mut statuses = Vec::new();
    if bearer {
        statuses.extend(["401", "403", "429", "503"]);
    }
    if callback {
        statuses.extend(["401", "503"]);
    }
    for parameter in operation.get_mut("parameters").into_iter().flat_map(items) {
        let text = |key: &str| {
            parameter
                .get(key)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let (name, place) = (
            text("name").unwrap_or_default(),
            text("in").unwrap_or_default(),
        );
        statuses.push(if place == "path" { "404" } else { "422" });
        if place == "header" {
            put(parameter, "required", false.into());
        }
        if let Some(bounds) = bounds(path, &name) {
            put(parameter, "schema", bounds);
        }
    }
    if let Some(body) = operation.get_mut("requestBody") {
        statuses.extend(["400", "408", "413", "415", "422"]);
        let schema = match path {
            "/events" | "/v1/events" => Some(json!({"$ref": EVENT})),
            // What is wrong with an item is answered in its place.
            "/v1/events/batch" => Some(json!({"type": "array", "maxItems": 1000})),
            _ => None,
        };
        let json = body.pointer_mut("/content/application~1json");
        if let (Some(schema), Some(json)) = (schema, json) {
            put(json, "schema", schema);
        }
    }
    let Some(responses) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    for status in statuses {
        let response = || json!({"description": "", "content": {JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}});
        responses.entry(status).or_insert_with(response);
    }
    for (status, response) in responses.iter_mut() {
        complete_response(status, response);
    }
    responses.sort_keys();
}

/// A problem has a media type of its own, and says in short what it means.
fn complete_response(status: &str, response: &mut Value) {
    let content = response.get_mut("content").and_then(Value::as_object_mut);
    let Some(content) = content else { return };
    let is_problem = |body: &Value| {
        let schema = body.pointer("/schema/$ref").and_then(Value::as_str);
        schema.is_some_and(|schema| schema.ends_with("/Problem"))
    };
    if content.get(JSON).is_some_and(is_problem)
        && let Some(body) = content.remove(JSON)
    {
        content.insert(PROBLEM.to_owned(), body);
        if response.get("description").is_some_and(|text| text == "") {
            put(response, "description", meaning(status).into());
        }
    }
}

fn meaning(status: &str) -> &'static str {
    match status {
        "400" => "Malformed",
        "401" => "No valid bearer token",
        "403" => "The token lacks a scope",
        "404" => "There is no such thing",
        "408" => "The body took too long to arrive",
        "409" => "Not as things stand",
        "413" => "Too large",
        "415" => "Not of a media type that is taken here",
        "422" => "Not valid: every wrong field is named",
        "429" => "Too many: `Retry-After` says when to come again",
        "503" => "Not now: `Retry-After` says when to come again",
        _ => "",
    }
}

/// Sets a member of an object.
fn put(object: &mut Value, name: &str, value: Value) {
    if let Some(object) = object.as_object_mut() {
        object.insert(name.to_owned(), value);
    }
}

fn items(list: &mut Value) -> impl Iterator<Item = &mut Value> {
    list.as_array_mut().into_iter().flatten()
}

/// The name of a source.
fn source() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": NO_NUL})
}

/// What a parameter may be, wherever it is called so.
fn bounds(path: &str, name: &str) -> Option<Value> {
    let words = |words: Vec<&str>| json!({"type": "string", "enum": words});
    let slug = || json!({"type": "string", "pattern": SLUG});
    Some(match name {
        "limit" => json!({"type": "integer", "minimum": 1, "maximum": MAX_PAGE}),
        "since" | "until" => json!({"type": "string", "format": "date-time"}),
        "source" => source(),
        "event_type" => json!({"type": "string", "pattern": "^[a-z][a-z0-9_]{0,62}$"}),
        "decision" => words(DecisionKind::ALL.iter().map(|kind| kind.as_str()).collect()),
        "status" => words(
            ExecutionState::ALL
                .iter()
                .map(|state| state.as_str())
                .collect(),
        ),
        "playbook" | "rule_id" | "tenant" => slug(),
        "cursor" if path == "/v1/rules" => slug(),
        "cursor" if path == "/v1/tenants" => {
            json!({"type": "string", "pattern": "^([a-z0-9][a-z0-9-]{0,62})?$"})
        }
        "cursor" if path == "/v1/keys" => {
            json!({"type": "string", "pattern": "^[A-Za-z0-9]{0,64}$"})
        }
        // 24 bytes in Base64.
        "cursor" if path.starts_with("/v1/e") || path == "/v1/audit" => {
            json!({"type": "string", "pattern": "^[A-Za-z0-9_-]{32}$"})
        }
        "Idempotency-Key" => {
            // Bare, or a string of RFC 8941.
            json!({"type": "string", "pattern": r#"^([!#-~][ -~]{0,254}|"([ !#-\[\]-~]|\\["\\]){1,255}")$"#})
        }
        _ => return None,
    })
}

/// An event as it is sent.
fn event(types: &EventTypes) -> Value {
    let types: Vec<&str> = types.iter().map(guard_domain::EventType::as_str).collect();
    let severities: Vec<&str> = Severity::ALL.iter().map(|it| it.as_str()).collect();
    json!({
        "type": "object",
        "description": "Something that happened. At most 128 KiB.",
        "required": ["event_type", "severity", "source", "timestamp", "context"],
        "additionalProperties": false,
        "properties": {
            "event_type": {"type": "string", "enum": types,
                "description": "One of those that this server knows: the five of Sentinel, and those of `events.extra_types`"},
            "severity": {"type": "string", "enum": severities},
            "source": {"type": "string", "minLength": 1, "maxLength": 128, "pattern": NO_NUL,
                "description": "Who says so"},
            "timestamp": {"type": "string", "format": "date-time",
                "description": "When it happened; without an offset it is UTC. Not more than 24 hours ahead of the server"},
            "context": {"type": "object",
                "description": "Anything, in at most 64 KiB and 32 levels; kept as the text that was sent"},
            "id": {"type": ["string", "null"], "minLength": 1, "maxLength": 255, "pattern": NO_NUL,
                "description": "The sender's own id for the event, the same as an `Idempotency-Key`"},
        },
        "example": {"event_type": "backup_failed", "severity": "high", "source": "sentinel",
            "timestamp": "2026-11-20T03:01:00.123456", "context": {"error": "Connection timeout", "retry_count": 0}},
    })
}

//! Records as events of OCSF: class 6003, API Activity.
//!
//! The mapping is in docs/audit.md. Source: <https://schema.ocsf.io/1.4.0/classes/api_activity>.

use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::export::{Link, LinkRecord};
use crate::hash::hex;

/// The version of the schema.
const VERSION: &str = "1.4.0";
/// The class API Activity, of the category Application Activity.
const CLASS: u32 = 6003;
/// None of create, read, update and delete: `activity_name` says what.
const OTHER: u32 = 99;

/// A record as an event.
pub(crate) fn event(
    text: &RawValue,
    link: &Link,
    record: &LinkRecord,
) -> serde_json::Result<Value> {
    let fields: Vec<Value> = serde_json::from_str(text.get())?;
    let field = |place: usize| fields.get(place).cloned().unwrap_or_default();
    let [
        id,
        tenant,
        action,
        actor,
        request,
        target,
        event_id,
        event_sha256,
    ] = std::array::from_fn(field);
    let [
        decision,
        rule_id,
        rule_version,
        revision,
        execution_id,
        message,
        shadows,
        at,
    ] = std::array::from_fn(|place| field(place + 8));
    let shadows = shadows
        .as_str()
        .and_then(|text| serde_json::from_str::<Value>(text).ok())
        .unwrap_or_default();
    let api = match request.as_str() {
        Some(request) => json!({ "operation": action, "request": { "uid": request } }),
        None => json!({ "operation": action }),
    };
    let resource = match (&target, &event_id) {
        (Value::String(target), _) => json!([{ "name": target }]),
        (_, Value::String(event)) => json!([{ "uid": event, "type": "event" }]),
        _ => json!([]),
    };
    Ok(json!({
        "class_uid": CLASS,
        "class_name": "API Activity",
        "category_uid": CLASS / 1000,
        "category_name": "Application Activity",
        "activity_id": OTHER,
        "activity_name": action,
        "type_uid": CLASS * 100 + OTHER,
        "type_name": "API Activity: Other",
        "severity_id": 1,
        "severity": "Informational",
        "time": at.as_i64().unwrap_or_default().div_euclid(1000),
        "message": message,
        "metadata": {
            "version": VERSION,
            "product": { "name": "Neural Guard", "vendor_name": "Neural Guard", "version": env!("CARGO_PKG_VERSION") },
            "uid": id,
            "tenant_uid": tenant,
            "log_name": "audit_log",
            "sequence": record.position,
        },
        "actor": { "user": { "uid": actor } },
        "api": api,
        "src_endpoint": { "name": actor },
        "resources": resource,
        "unmapped": {
            "event_id": event_id,
            "event_sha256": event_sha256,
            "decision": decision,
            "rule_id": rule_id,
            "rule_version": rule_version,
            "revision": revision,
            "execution_id": execution_id,
            "shadows": shadows,
            "executed_at_us": at,
            "chain": link.chain.to_string(),
            "link": link.link,
            "position": record.position,
            "hash": hex(&record.hash),
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_an_event_with_all_that_the_class_requires() {
        let text = r#"["0198a0b2-0000-7000-8000-000000000001","default","decision","key:api","r1",null,"e1","ab","ignored",null,null,7,null,"why","[\"s\"]",1764028800123456]"#;
        let text = RawValue::from_string(text.to_owned()).unwrap();
        let record = LinkRecord {
            position: 3,
            hash: [1; 32],
            record: None,
        };
        let link = Link {
            chain: Default::default(),
            link: 9,
            previous: [0; 32],
            hash: [0; 32],
            created_at: 0,
            count: 4,
            records: Vec::new(),
        };
        let event = event(&text, &link, &record).unwrap();
        let required = [
            "activity_id",
            "category_uid",
            "class_uid",
            "type_uid",
            "severity_id",
            "time",
            "metadata",
            "actor",
            "api",
            "src_endpoint",
        ];
        for name in required {
            assert!(!event[name].is_null(), "{name}");
        }
        assert_eq!(event["type_uid"], 600_399);
        assert_eq!(event["time"], 1_764_028_800_123_i64);
        assert_eq!(event["resources"][0]["uid"], "e1");
        assert_eq!(event["unmapped"]["shadows"], json!(["s"]));
        assert_eq!(event["unmapped"]["link"], 9);
    }
}

//! The OpenAPI document is a contract: a change to it is seen here.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use serde_json::Value;

#[test]
fn the_document_is_as_published() {
    let document = serde_json::to_value(guard_http::openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    insta::assert_json_snapshot!(document, { ".info.version" => "[version]" });
}

#[test]
fn every_operation_says_who_may_call_it() {
    let document = serde_json::to_value(guard_http::openapi()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let security = operation["security"].as_array();
            assert!(
                security.is_some_and(|list| !list.is_empty()),
                "{method} {path} has no security"
            );
            let open = security
                .unwrap()
                .contains(&Value::Object(Default::default()));
            assert_eq!(
                open,
                path.starts_with("/health") || path == "/metrics",
                "{method} {path}"
            );
        }
    }
}

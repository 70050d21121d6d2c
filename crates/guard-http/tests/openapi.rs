//! The OpenAPI document is a contract: a change to it is seen here.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use guard_app::ports::Scope;
use serde_json::Value;

#[test]
fn the_document_is_as_published() {
    let document = serde_json::to_value(guard_http::openapi()).unwrap();
    assert_eq!(document["openapi"], "3.1.0");
    insta::assert_json_snapshot!(document, { ".info.version" => "[version]" });
}

/// Deny by default: what is open is listed here, and everything else declares one scope that there is, or that it is for callbacks.
#[test]
fn every_operation_says_who_may_call_it() {
    let open = ["/health", "/health/live", "/health/ready", "/metrics"];
    let document = serde_json::to_value(guard_http::openapi()).unwrap();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let ways = operation["security"].as_array();
            let ways = ways.unwrap_or_else(|| panic!("{method} {path} has no security"));
            assert!(!ways.is_empty(), "{method} {path} has no security");
            for way in ways.iter().map(|way| way.as_object().unwrap()) {
                let declared = match way.iter().next() {
                    None => open.contains(&path.as_str()),
                    Some((scheme, scopes)) if scheme == "bearer" => {
                        let scopes = scopes.as_array().unwrap();
                        let known = |scope: &Value| Scope::parse(scope.as_str().unwrap()).is_some();
                        scopes.len() == 1 && scopes.iter().all(known)
                    }
                    Some((scheme, _)) => scheme == "callback",
                };
                assert!(declared, "{method} {path}: {way:?}");
            }
        }
    }
}

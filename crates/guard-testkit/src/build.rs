//! Builders.

use guard_app::ports::{
    Actor, IdempotencyKey, Principal, PublishMode, Published, RuleDefinition, RuleStore, Scope,
};
use guard_domain::TenantId;
use guard_policy::{RuleFile, SourceFormat};

/// A tenant of this name.
pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).expect("a slug")
}

/// Someone of tenant `default` with these scopes.
pub fn principal(scopes: &[Scope]) -> Principal {
    Principal {
        tenant: TenantId::default_tenant(),
        subject: "test".to_owned(),
        scopes: scopes.to_vec(),
    }
}

/// The body of an event from source `sentinel` at the start of the fake clock.
pub fn event_body(event_type: &str, severity: &str, context: &str) -> String {
    format!(
        r#"{{"event_type":"{event_type}","severity":"{severity}","source":"sentinel","timestamp":"2026-11-20T03:00:00","context":{context}}}"#
    )
}

/// An idempotency key for a body.
pub fn intake_key(key: &str, body: &str) -> IdempotencyKey {
    IdempotencyKey {
        key: key.to_owned(),
        body_sha256: guard_audit::sha256(body),
    }
}

/// Publishes the rules of a YAML text.
pub async fn publish_rules(
    store: &(impl RuleStore + ?Sized),
    tenant: &TenantId,
    yaml: &str,
    mode: PublishMode,
) -> Published {
    let file = RuleFile::parse("test.yaml", yaml, SourceFormat::Yaml).expect("valid rules");
    let rules: Vec<_> = file
        .rules
        .into_iter()
        .map(|parsed| RuleDefinition {
            id: parsed.rule.id,
            definition: parsed.definition,
        })
        .collect();
    store
        .publish(tenant, &rules, "test.yaml", mode, &Actor::system("test"))
        .await
        .expect("published")
}

//! The arrows between the crates, as `docs/architecture.md` draws them.

use std::path::Path;

use anyhow::Context;
use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Which crates of the workspace each crate may depend on. What only its tests use does not count.
const ARROWS: &[(&str, &[&str])] = &[
    ("guard-domain", &[]),
    ("guard-policy", &["guard-domain"]),
    ("guard-audit", &[]),
    (
        "guard-app",
        &["guard-audit", "guard-domain", "guard-policy"],
    ),
    (
        "guard-store",
        &["guard-app", "guard-audit", "guard-domain", "guard-policy"],
    ),
    ("guard-n8n", &["guard-app", "guard-domain"]),
    ("guard-notify", &["guard-app", "guard-domain"]),
    ("guard-identity", &["guard-app", "guard-domain"]),
    ("guard-redis", &["guard-app", "guard-domain"]),
    ("guard-http", &["guard-app", "guard-domain"]),
    (
        "guard-testkit",
        &["guard-app", "guard-audit", "guard-domain", "guard-policy"],
    ),
    (
        "guard-server",
        &[
            "guard-app",
            "guard-audit",
            "guard-domain",
            "guard-http",
            "guard-identity",
            "guard-n8n",
            "guard-notify",
            "guard-policy",
            "guard-redis",
            "guard-store",
        ],
    ),
    ("xtask", &[]),
];

/// What connects to the outside: a crate that only computes knows none of it.
const OUTSIDE: &[&str] = &[
    "tokio",
    "async-trait",
    "sqlx",
    "rusqlite",
    "axum",
    "reqwest",
];

/// What each crate must never know.
const NEVER: &[(&str, &[&str])] = &[
    ("guard-domain", OUTSIDE),
    ("guard-policy", OUTSIDE),
    ("guard-audit", OUTSIDE),
    (
        "guard-app",
        &["sqlx", "rusqlite", "axum", "reqwest", "redis"],
    ),
    ("guard-store", &["axum", "reqwest"]),
    ("guard-n8n", &["sqlx", "rusqlite", "axum"]),
    ("guard-notify", &["sqlx", "rusqlite", "axum"]),
    ("guard-identity", &["sqlx", "rusqlite", "axum"]),
    ("guard-redis", &["sqlx", "rusqlite", "axum", "reqwest"]),
    ("guard-http", &["sqlx", "rusqlite", "reqwest", "redis"]),
];

/// Every arrow that is not drawn, and every crate that has none.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let metadata = MetadataCommand::new()
        .current_dir(root)
        .no_deps()
        .exec()
        .context("`cargo metadata` failed")?;
    let members: Vec<&str> = metadata
        .packages
        .iter()
        .map(|package| package.name.as_str())
        .collect();
    let mut wrong = Vec::new();
    for package in &metadata.packages {
        let Some((name, allowed)) = ARROWS.iter().find(|(name, _)| package.name == *name) else {
            wrong.push(format!(
                "crate {} is not in the drawing of the arrows",
                package.name
            ));
            continue;
        };
        for dependency in dependencies(package) {
            if members.contains(&dependency) && !allowed.contains(&dependency) {
                wrong.push(format!("{name} must not depend on {dependency}"));
            }
        }
        let never = NEVER
            .iter()
            .find(|(of, _)| of == name)
            .map_or(&[][..], |(_, never)| never);
        for dependency in dependencies(package).filter(|dependency| never.contains(dependency)) {
            wrong.push(format!("{name} must never know {dependency}"));
        }
    }
    Ok(wrong)
}

fn dependencies(package: &Package) -> impl Iterator<Item = &str> {
    let normal = package
        .dependencies
        .iter()
        .filter(|dep| dep.kind != DependencyKind::Development);
    normal.map(|dependency| dependency.name.as_str())
}

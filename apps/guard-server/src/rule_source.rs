//! Rule files: a file, a folder, or the default rules inside the binary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use guard_domain::TenantId;
use guard_policy::{RuleFile, SourceFormat};

/// The rules of a server without rules of its own.
pub const DEFAULT_RULES: &str = include_str!("../rules/default.yaml");
/// How errors call them.
pub const DEFAULT_NAME: &str = "default.yaml";

/// The rules of one tenant, as their files hold them.
#[derive(Debug)]
pub struct TenantRules {
    /// Whose rules they are.
    pub tenant: TenantId,
    /// Where they come from.
    pub origin: String,
    /// The rules and their tests.
    pub file: RuleFile,
}

/// Reads the rules that `rules.path` names, or the default ones.
///
/// A file, and the files of a folder, are for tenant `default`; a folder in the folder is for the tenant of its name.
///
/// # Errors
/// Everything that is wrong with any file, each with its place.
pub fn read(path: Option<&Path>) -> anyhow::Result<Vec<TenantRules>> {
    let Some(path) = path else {
        let file = RuleFile::parse(DEFAULT_NAME, DEFAULT_RULES, SourceFormat::Yaml)?;
        let tenant = TenantId::default_tenant();
        return Ok(vec![TenantRules {
            tenant,
            origin: "the default rules".to_owned(),
            file,
        }]);
    };
    let mut rules = Vec::new();
    let mut wrong = Vec::new();
    for (tenant, files) in find(path)? {
        match parse(&files) {
            Ok(file) => rules.push(TenantRules {
                tenant,
                origin: path.display().to_string(),
                file,
            }),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.join("\n"));
    }
    Ok(rules)
}

/// Reads files and folders as one set of rules.
///
/// # Errors
/// Everything that is wrong with any file, each with its place.
pub fn read_all(paths: &[PathBuf]) -> anyhow::Result<RuleFile> {
    let mut files = Vec::new();
    for path in paths {
        files.extend(find(path)?.into_values().flatten());
    }
    parse(&files)
}

fn parse(files: &[PathBuf]) -> anyhow::Result<RuleFile> {
    let mut texts = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).with_context(|| format!("`{name}` cannot be read"))?;
        let format = SourceFormat::of_file_name(&name)
            .with_context(|| format!("`{name}` is neither .yaml, .yml nor .json"))?;
        texts.push((name, text, format));
    }
    let sources = texts
        .iter()
        .map(|(name, text, format)| (name.as_str(), text.as_str(), *format));
    Ok(RuleFile::parse_all(sources)?)
}

/// The files of each tenant, in the order of their names.
fn find(path: &Path) -> anyhow::Result<BTreeMap<TenantId, Vec<PathBuf>>> {
    let mut tenants: BTreeMap<TenantId, Vec<PathBuf>> = BTreeMap::new();
    if path.is_file() {
        tenants.insert(TenantId::default_tenant(), vec![path.to_owned()]);
        return Ok(tenants);
    }
    for entry in entries(path)? {
        if entry.is_dir() {
            let name = entry
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let tenant = TenantId::parse(name)
                .with_context(|| format!("the folder `{}` stands for a tenant", entry.display()))?;
            let files: Vec<_> = entries(&entry)?
                .into_iter()
                .filter(|file| is_rule_file(file))
                .collect();
            tenants.entry(tenant).or_default().extend(files);
        } else if is_rule_file(&entry) {
            tenants
                .entry(TenantId::default_tenant())
                .or_default()
                .push(entry);
        }
    }
    tenants.retain(|_, files| !files.is_empty());
    if tenants.is_empty() {
        bail!(
            "`{}` holds no rule files (.yaml, .yml, .json)",
            path.display()
        );
    }
    Ok(tenants)
}

fn entries(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let read = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let mut entries =
        read().with_context(|| format!("the rules at `{}` cannot be read", folder.display()))?;
    entries.sort();
    Ok(entries)
}

fn is_rule_file(path: &Path) -> bool {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    path.is_file() && !name.starts_with('.') && SourceFormat::of_file_name(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use guard_domain::EventTypes;
    use guard_policy::{RuleSet, VersionedRule, run_tests};

    #[test]
    fn the_default_rules_pass_their_own_tests() {
        let rules = read(None).unwrap().remove(0).file;
        assert!(rules.tests.len() >= 15);
        let versioned = rules.rules.into_iter().map(|p| VersionedRule {
            rule: p.rule,
            version: 1,
        });
        let set = RuleSet::compile(1, versioned.collect()).unwrap();
        assert_eq!(run_tests(&set, &rules.tests, &EventTypes::default()), []);
    }

    #[test]
    fn a_folder_is_read_in_order_and_its_folders_are_tenants() {
        let folder = tempfile::tempdir().unwrap();
        let rule = |id: &str| format!("rules: [{{ id: {id}, event_type: '*', action: ignore }}]");
        std::fs::write(folder.path().join("20-b.yaml"), rule("b")).unwrap();
        std::fs::write(folder.path().join("10-a.yml"), rule("a")).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "x").unwrap();
        std::fs::create_dir(folder.path().join("acme")).unwrap();
        std::fs::write(folder.path().join("acme/r.json"), "{\"rules\": []}").unwrap();
        let read = read(Some(folder.path())).unwrap();
        let found: Vec<_> = read
            .iter()
            .map(|t| {
                (
                    t.tenant.as_str(),
                    t.file
                        .rules
                        .iter()
                        .map(|r| r.rule.id.as_str())
                        .collect::<Vec<_>>(),
                )
            })
            .collect();
        assert_eq!(found, [("acme", vec![]), ("default", vec!["a", "b"])]);
        std::fs::create_dir(folder.path().join("Not A Slug")).unwrap();
        assert!(super::read(Some(folder.path())).is_err());
        assert!(super::read(Some(&folder.path().join("nowhere"))).is_err());
    }
}

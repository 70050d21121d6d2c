//! Rule files: a file, a folder, or the default rules inside the binary.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use guard_app::Catalogue;
use guard_domain::TenantId;
use guard_policy::{Diagnostic, LoadError, RuleFile, SourceFormat};

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

/// Reads the rules that `rules.path` names, or the default ones, and checks them against what this server knows.
///
/// A file, and the files of a folder, are for tenant `default`; a folder in the folder is for the tenant of its name.
///
/// # Errors
/// Everything that is wrong with any file of any tenant, each with its place.
pub fn read(path: Option<&Path>, catalogue: &Catalogue) -> anyhow::Result<Vec<TenantRules>> {
    let Some(path) = path else {
        let sources = [(
            DEFAULT_NAME.to_owned(),
            DEFAULT_RULES.to_owned(),
            SourceFormat::Yaml,
        )];
        let mut wrong = Vec::new();
        let file = check(&sources, catalogue, &mut wrong);
        let tenant = TenantId::default_tenant();
        let rules = vec![TenantRules {
            tenant,
            origin: "the default rules".to_owned(),
            file,
        }];
        return all_right(rules, wrong);
    };
    let mut rules = Vec::new();
    let mut wrong = Vec::new();
    for (tenant, files) in find(path)? {
        let file = check(&texts(&files)?, catalogue, &mut wrong);
        rules.push(TenantRules {
            tenant,
            origin: path.display().to_string(),
            file,
        });
    }
    all_right(rules, wrong)
}

/// Reads files and folders as one set of rules, and checks them.
///
/// # Errors
/// Everything that is wrong with any file, each with its place.
pub fn read_all(paths: &[PathBuf], catalogue: &Catalogue) -> anyhow::Result<RuleFile> {
    let mut files = Vec::new();
    for path in paths {
        files.extend(find(path)?.into_values().flatten());
    }
    let mut wrong = Vec::new();
    let file = check(&texts(&files)?, catalogue, &mut wrong);
    all_right(file, wrong)
}

fn all_right<T>(rules: T, diagnostics: Vec<Diagnostic>) -> anyhow::Result<T> {
    if diagnostics.is_empty() {
        Ok(rules)
    } else {
        Err(LoadError { diagnostics }.into())
    }
}

type Source = (String, String, SourceFormat);

fn check(sources: &[Source], catalogue: &Catalogue, wrong: &mut Vec<Diagnostic>) -> RuleFile {
    let sources = sources
        .iter()
        .map(|(name, text, format)| (name.as_str(), text.as_str(), *format));
    let (file, mut found) = RuleFile::parse_leniently(sources);
    found.extend(catalogue.check(&file));
    found.sort_by(|left, right| (&left.file, left.place).cmp(&(&right.file, right.place)));
    wrong.append(&mut found);
    file
}

fn texts(files: &[PathBuf]) -> anyhow::Result<Vec<Source>> {
    let mut texts = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let text =
            std::fs::read_to_string(path).with_context(|| format!("`{name}` cannot be read"))?;
        let format = SourceFormat::of_file_name(&name)
            .with_context(|| format!("`{name}` is neither .yaml, .yml nor .json"))?;
        texts.push((name, text, format));
    }
    Ok(texts)
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
    use guard_domain::{ContactName, EventTypes};
    use guard_policy::{FieldCatalogue, analyse, run_tests};

    fn catalogue() -> Catalogue {
        Catalogue {
            event_types: EventTypes::default(),
            contacts: vec![ContactName::default_contact()],
            fields: FieldCatalogue::default(),
        }
    }

    #[test]
    fn nothing_is_to_be_said_of_the_default_rules() {
        let file = read(None, &catalogue()).unwrap().remove(0).file;
        let rules = file.compile().unwrap();
        assert_eq!(analyse(&rules, &FieldCatalogue::default()), []);
    }

    #[test]
    fn the_default_rules_pass_their_own_tests() {
        let rules = read(None, &catalogue()).unwrap().remove(0).file;
        assert!(rules.tests.len() >= 15);
        let set = rules.compile().unwrap();
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
        let read = read(Some(folder.path()), &catalogue()).unwrap();
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
        assert!(super::read(Some(folder.path()), &catalogue()).is_err());
        assert!(super::read(Some(&folder.path().join("nowhere")), &catalogue()).is_err());
    }
}

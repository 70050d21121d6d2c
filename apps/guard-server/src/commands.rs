//! The commands that do not serve.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use guard_app::ports::Random;
use guard_policy::{Finding, FindingLevel, RuleFile, analyse, run_tests};

use crate::certificate;
use crate::config::{DatabaseUrl, Settings, report};
use crate::rule_source::{self, DEFAULT_NAME, DEFAULT_RULES};
use crate::system::SystemRandom;
use crate::wiring::{clock, open_store};

/// Prints the effective configuration, and what is wrong with it.
pub(crate) fn check_config(file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let resolved = Settings::resolve(file)?;
    print!("{}", report(&resolved));
    let settings = Settings::of(&resolved)?;
    let warning = settings.tls.as_ref().map(certificate::warning);
    if let Some(warning) = warning.transpose()?.flatten() {
        eprintln!("warning: {warning}");
    }
    Ok(ExitCode::SUCCESS)
}

/// Brings the schema up to date.
pub(crate) fn migrate(settings: &Settings) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let (clock, _) = clock(settings).await?;
        let random: Arc<dyn Random> = Arc::new(SystemRandom);
        open_store(settings, &clock, &random).await?.close().await;
        match &settings.database {
            DatabaseUrl::Sqlite(path) => println!("the schema of {} is up to date", path.display()),
            DatabaseUrl::Postgres(address) => println!("the schema of {address} is up to date"),
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Says everything that is wrong with rule files, and what is to be said of rules that are right.
pub(crate) fn check_rules(settings: &Settings, paths: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let (mut rules, mut tests, mut errors, mut warnings) = (0, 0, 0, 0);
    for file in read(settings, paths)? {
        for finding in analyse(&file.compile()?, &settings.fields) {
            match finding.level {
                FindingLevel::Error => errors += 1,
                FindingLevel::Warning => warnings += 1,
            }
            println!("{}", placed(&file, &finding));
        }
        rules += file.rules.len();
        tests += file.tests.len();
    }
    if errors + warnings > 0 {
        println!("{rules} rules: {errors} errors, {warnings} warnings");
    } else {
        println!("{rules} rules are fine ({tests} tests; `rules test` runs them)");
    }
    Ok(if errors == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A finding with the place of the key that it is about.
fn placed(file: &RuleFile, finding: &Finding) -> String {
    let level = finding.level.as_str();
    let Some(parsed) = file
        .rules
        .iter()
        .find(|parsed| parsed.rule.id == finding.rule_id)
    else {
        return format!("{level}: {finding}");
    };
    let key = finding.pointer.split('/').nth(1).unwrap_or_default();
    let place = parsed.place_of(key);
    format!(
        "{}:{}:{}: {level}: {finding}",
        parsed.file, place.line, place.column
    )
}

/// Runs the tests of rule files.
pub(crate) fn test_rules(settings: &Settings, paths: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let (mut failed, mut passed) = (0, 0);
    for file in read(settings, paths)? {
        let rules = file.compile()?;
        let failures = run_tests(&rules, &file.tests, &settings.event_types);
        for failure in &failures {
            println!("{failure}");
        }
        failed += failures.len();
        passed += file.tests.len() - failures.len();
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Writes the default rules out.
pub(crate) fn init_rules(folder: &Path) -> anyhow::Result<ExitCode> {
    let path = folder.join(DEFAULT_NAME);
    std::fs::create_dir_all(folder)
        .with_context(|| format!("the folder `{}` cannot be made", folder.display()))?;
    let mut file = std::fs::File::create_new(&path).with_context(|| {
        format!(
            "`{}` cannot be made; what is there is not overwritten",
            path.display()
        )
    })?;
    std::io::Write::write_all(&mut file, DEFAULT_RULES.as_bytes())?;
    println!(
        "wrote {}; set `rules.path = \"{}\"` to go by it",
        path.display(),
        folder.display()
    );
    Ok(ExitCode::SUCCESS)
}

/// The rule files, checked: those named, or those that the configuration names.
fn read(settings: &Settings, paths: &[PathBuf]) -> anyhow::Result<Vec<RuleFile>> {
    let catalogue = settings.catalogue();
    if paths.is_empty() {
        let tenants = rule_source::read(settings.rules_path.as_deref(), &catalogue)?;
        return Ok(tenants.into_iter().map(|tenant| tenant.file).collect());
    }
    Ok(vec![rule_source::read_all(paths, &catalogue)?])
}

//! The policy engine, measured.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Map, Value};

use crate::process::{cargo_quietly, root};

/// Where the table goes.
const DOCUMENT: &str = "docs/performance.md";
const BEGIN: &str = "<!-- the table of `cargo xtask bench policy --write` begins -->\n";
const END: &str = "<!-- and ends -->\n";

/// Without `--rules`, the shapes that come with the crate at 10, 100, 1,000 and 10,000 rules: some minutes.
#[derive(Debug, Args)]
pub(crate) struct Policy {
    /// A rule file to measure instead: .yaml, .yml or .json
    #[arg(long, requires = "events")]
    rules: Option<PathBuf>,
    /// The events to measure it with: one JSON object per line
    #[arg(long, requires = "rules")]
    events: Option<PathBuf>,
    /// Print JSON: one object for files, else a list
    #[arg(long)]
    json: bool,
    /// Write the table to docs/performance.md as well
    #[arg(long, conflicts_with_all = ["rules", "filter"])]
    write: bool,
    /// Measure only what has this in its name, such as `mixed` or `/1000`
    #[arg(long, conflicts_with = "rules")]
    filter: Option<String>,
}

pub(crate) fn run(options: &Policy) -> anyhow::Result<()> {
    let mut results = measure("policy", options)?;
    let memory = measure("memory", options)?;
    for (result, memory) in results.iter_mut().zip(memory) {
        let bytes = memory.get("rule_set_bytes").cloned();
        result.insert("rule_set_bytes".to_owned(), bytes.unwrap_or_default());
    }
    if options.json {
        let results: Vec<Value> = results.into_iter().map(Value::Object).collect();
        match (options.rules.is_some(), results.as_slice()) {
            (true, [one]) => println!("{one}"),
            _ => println!("{}", Value::Array(results)),
        }
        return Ok(());
    }
    let table = table(&results, options.rules.as_deref());
    print!("{table}");
    if options.write {
        write(&table)?;
    }
    Ok(())
}

/// Runs one of the benchmarks of guard-policy, and reads its results.
fn measure(bench: &str, options: &Policy) -> anyhow::Result<Vec<Map<String, Value>>> {
    let folder = root().join("target");
    std::fs::create_dir_all(&folder).context("the folder `target` cannot be created")?;
    let results = folder.join(format!("bench-{bench}.ndjson"));
    if results.exists() {
        std::fs::remove_file(&results).context("the last results cannot be removed")?;
    }
    let mut environment = vec![("GUARD_BENCH_RESULTS", results.clone())];
    let files = [
        ("GUARD_BENCH_RULES", &options.rules),
        ("GUARD_BENCH_EVENTS", &options.events),
    ];
    for (name, path) in files {
        if let Some(path) = path {
            let path = path
                .canonicalize()
                .with_context(|| format!("`{}` cannot be read", path.display()))?;
            environment.push((name, path));
        }
    }
    if let Some(filter) = &options.filter {
        environment.push(("GUARD_BENCH_FILTER", filter.into()));
    }
    cargo_quietly(
        &["bench", "--package", "guard-policy", "--bench", bench],
        &environment,
    )?;
    let text = std::fs::read_to_string(&results).context("the benchmark left no results")?;
    let results: Result<Vec<_>, _> = text.lines().map(serde_json::from_str).collect();
    let results: Vec<_> = results.context("the results are not JSON")?;
    if results.is_empty() {
        bail!("nothing was measured: no shape has the filter in its name");
    }
    Ok(results)
}

fn table(results: &[Map<String, Value>], rules: Option<&Path>) -> String {
    let mut table = String::from(
        "| rules | all matches, ns | in V | first match, ns | in V | V, ns | typed parse, ns | every rule, ns | matches per event | build, ms | memory, MB |\n|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for result in results {
        let number = |key: &str| result.get(key).and_then(Value::as_f64).unwrap_or(f64::NAN);
        let name = result.get("name").and_then(Value::as_str);
        let file = rules.map(|path| path.display().to_string());
        let matches = result.get("matches_per_event").and_then(Value::as_f64);
        let matches = matches.unwrap_or_else(|| number("matches_total") / number("events"));
        let value = number("value_parse_ns_per_event");
        _ = writeln!(
            table,
            "| {} | {:.0} | {:.2} | {:.0} | {:.2} | {value:.0} | {} | {:.0} | {matches:.2} | {:.1} | {:.2} |",
            name.map(str::to_owned).or(file).unwrap_or_default(),
            number("ns_per_event"),
            number("ns_per_event") / value,
            number("first_match_ns_per_event"),
            number("first_match_ns_per_event") / value,
            result
                .get("typed_parse_ns_per_event")
                .and_then(Value::as_f64)
                .map_or_else(|| "–".to_owned(), |nanos| format!("{nanos:.0}")),
            number("oracle_ns_per_event"),
            number("build_ms"),
            number("rule_set_bytes") / 1e6,
        );
    }
    table
}

/// Puts the table in the place of the last one.
fn write(table: &str) -> anyhow::Result<()> {
    let path = root().join(DOCUMENT);
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("{DOCUMENT} cannot be read"))?;
    let parts = text
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        bail!(
            "{DOCUMENT} has no place for the table: `{}` and `{}`",
            BEGIN.trim(),
            END.trim()
        );
    };
    std::fs::write(&path, format!("{before}{BEGIN}\n{table}\n{END}{after}"))
        .with_context(|| format!("{DOCUMENT} cannot be written"))
}

//! Whether torture would find what it looks for: each fault is planted, and has to be found by the check that is about it.

use guard_store::PlantedFault;

use super::options::{Kind, Options};
use super::run::run;

/// How a fault is to be found: by which check, on which database, with how many instances, in how many rounds.
const fn hunt(fault: PlantedFault) -> (&'static str, Kind, usize, u64) {
    match fault {
        PlantedFault::AnswerBeforeCommit => ("answers", Kind::Sqlite, 1, 5),
        PlantedFault::NoFencing => ("claims", Kind::Postgresql, 3, 22),
        PlantedFault::NoCooldownLock => ("cooldowns", Kind::Postgresql, 3, 10),
        PlantedFault::SkippedAuditLink | PlantedFault::Unguarded => ("chain", Kind::Sqlite, 1, 2),
    }
}

/// Plants every fault in turn; whether each was found.
///
/// # Errors
/// What kept a run from being done at all.
pub(crate) async fn hunt_all(seed: u64) -> Result<bool, String> {
    let mut lines = Vec::new();
    let mut all = true;
    for fault in PlantedFault::ALL {
        let (check, database, instances, rounds) = hunt(fault);
        let options = Options {
            rounds,
            database,
            instances,
            seed: Some(seed),
            fault: Some(fault),
            teeth: false,
        };
        let outcome = run(&options, seed).await?;
        let mut found = outcome
            .violations
            .iter()
            .filter(|violation| violation.check == check);
        let first = found.next().map(|violation| violation.what.clone());
        let count = found.count() + usize::from(first.is_some());
        all &= first.is_some();
        let first = first.unwrap_or_else(|| "NOT FOUND".to_owned());
        lines.push(format!(
            "| {} | {} | {check} | {count} | {first} |",
            fault.as_str(),
            options.describe()
        ));
    }
    println!("\n| planted | where | check | violations | the first |\n|---|---|---|---|---|");
    println!("{}", lines.join("\n"));
    Ok(all)
}

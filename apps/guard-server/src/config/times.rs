//! How long workflows may take to report.

use chrono::TimeDelta;
use guard_app::ports::ConfirmTimes;
use guard_domain::PlaybookName;

use super::reader::{Reader, parse_duration};

impl Reader<'_> {
    pub(super) fn confirm_times(&mut self) -> Option<ConfirmTimes> {
        let name = "playbooks.confirm_within";
        let mut times = ConfirmTimes::from(self.delta("executor.confirm_within")?);
        for text in self.list(name) {
            let (playbook, time) = text.split_once(':').unwrap_or((&text, ""));
            let delta = parse_duration(time)
                .ok()
                .filter(|time| !time.is_zero())
                .and_then(|time| TimeDelta::from_std(time).ok());
            match (PlaybookName::parse(playbook), delta) {
                (Ok(playbook), Some(delta)) => {
                    times.by_playbook.insert(playbook, delta);
                }
                (Err(error), _) => self.refuse(name, format!("`{text}`: {error}")),
                (_, None) => self.refuse(
                    name,
                    format!("`{text}` is not a playbook and its time, as backup-recovery:2h is"),
                ),
            }
        }
        Some(times)
    }
}

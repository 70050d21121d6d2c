//! Faults that are planted on purpose, to see that `cargo xtask torture` finds them.
//!
//! Without the feature `planted-faults`, which no build for use has, none can be planted and nothing of this costs anything.

use std::sync::LazyLock;

/// Whether faults can be planted at all.
const ENABLED: bool = cfg!(feature = "planted-faults");
/// The environment variable that names the fault to plant.
pub const PLANTED_FAULT: &str = "NEURAL_GUARD_PLANTED_FAULT";

/// A fault, each against one of the invariants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlantedFault {
    /// Who posted an event is answered a moment before its commit.
    AnswerBeforeCommit,
    /// What an outdated claim reports takes effect.
    NoFencing,
    /// Instances decide about one cooldown at the same time.
    NoCooldownLock,
    /// Now and then a commit's link of the audit chain is not written.
    SkippedAuditLink,
    /// Everybody is let in, and decisions have neither hashes nor links: what `cargo xtask bench ingest --guards` compares with.
    Unguarded,
}

impl PlantedFault {
    /// Every fault.
    pub const ALL: [Self; 5] = [
        Self::AnswerBeforeCommit,
        Self::NoFencing,
        Self::NoCooldownLock,
        Self::SkippedAuditLink,
        Self::Unguarded,
    ];

    /// The fault as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AnswerBeforeCommit => "answer-before-commit",
            Self::NoFencing => "no-fencing",
            Self::NoCooldownLock => "no-cooldown-lock",
            Self::SkippedAuditLink => "skipped-audit-link",
            Self::Unguarded => "unguarded",
        }
    }
}

/// The fault that is planted in this process; none without the feature.
///
/// # Errors
/// A value of [`PLANTED_FAULT`] that names no fault.
pub fn planted_fault() -> Result<Option<PlantedFault>, String> {
    let Some(named) = std::env::var(PLANTED_FAULT).ok().filter(|_| ENABLED) else {
        return Ok(None);
    };
    let known = PlantedFault::ALL.map(PlantedFault::as_str);
    let found = PlantedFault::ALL
        .into_iter()
        .find(|fault| fault.as_str() == named);
    found.map(Some).ok_or_else(|| {
        format!(
            "`{PLANTED_FAULT}` is `{named}`, which is none of: {}",
            known.join(", ")
        )
    })
}

/// Whether this fault is planted.
pub(crate) fn is_planted(fault: PlantedFault) -> bool {
    static PLANTED: LazyLock<Option<PlantedFault>> =
        LazyLock::new(|| planted_fault().unwrap_or_default());
    ENABLED && *PLANTED == Some(fault)
}

/// The moment between an answer and its commit, where the commit comes too late.
pub(crate) const LATE: std::time::Duration = std::time::Duration::from_millis(30);
/// Of so many links one is not written, where links are skipped.
pub(crate) const SKIPPED_EVERY: i64 = 16;

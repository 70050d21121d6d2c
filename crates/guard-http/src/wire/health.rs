//! How the server is doing.

use guard_app::ports::{Presence, Reachability};
use guard_app::{HealthReport, PlaybookHealth};
use serde::Serialize;
use utoipa::ToSchema;

/// How the server and what it depends on are doing.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HealthBody {
    /// `ok`; `degraded` if something it can do without is missing; `unavailable` if it takes no events in.
    #[schema(example = "ok")]
    status: &'static str,
    /// The version of the server.
    version: &'static str,
    /// The name of the instance.
    instance: String,
    /// The database.
    database: DependencyBody,
    /// n8n; it never makes the server unready.
    n8n: DependencyBody,
    /// The playbooks that rules which decide name, as the last probe found them.
    playbooks: Vec<PlaybookHealthBody>,
    /// The live rules of tenant `default`.
    rules: RulesBody,
    /// The circuit breakers that are not closed.
    breakers: Vec<BreakerBody>,
    /// The scopes that are paused for tenant `default`; `GET /v1/pause` says why.
    pauses: Vec<String>,
}

/// Something the server depends on.
#[derive(Debug, Serialize, ToSchema)]
struct DependencyBody {
    /// `up`, `down` or `unknown`.
    #[schema(example = "up")]
    status: &'static str,
    /// What is wrong with it.
    detail: Option<String>,
}

/// A playbook that a rule names.
#[derive(Debug, Serialize, ToSchema)]
struct PlaybookHealthBody {
    /// Its name.
    name: String,
    /// `present`, `missing` or `unknown`.
    #[schema(example = "present")]
    status: &'static str,
    /// What is wrong, and what to do.
    detail: Option<String>,
    /// `accepted` or `refused` by the last delivery or rehearsal, `unknown` before the first.
    #[schema(example = "accepted")]
    token: &'static str,
}

impl From<PlaybookHealth> for PlaybookHealthBody {
    fn from(known: PlaybookHealth) -> Self {
        let (status, detail) = match known.presence {
            Presence::Present => ("present", None),
            Presence::Missing(why) => ("missing", Some(why)),
            Presence::Unknown(why) => ("unknown", Some(why)),
        };
        Self {
            name: known.name.to_string(),
            status,
            detail,
            token: match known.token_accepted {
                Some(true) => "accepted",
                Some(false) => "refused",
                None => "unknown",
            },
        }
    }
}

/// The live rules.
#[derive(Debug, Serialize, ToSchema)]
struct RulesBody {
    /// The live revision.
    revision: u64,
    /// How many rules decide.
    active: usize,
}

/// A circuit breaker.
#[derive(Debug, Serialize, ToSchema)]
struct BreakerBody {
    /// `host` or `playbook:<name>`.
    scope: String,
    /// `open` or `half_open`.
    #[schema(example = "open")]
    state: &'static str,
}

impl HealthBody {
    pub(crate) fn of(report: HealthReport, instance: &str) -> Self {
        let up = || DependencyBody {
            status: "up",
            detail: None,
        };
        let down = |detail: String| DependencyBody {
            status: "down",
            detail: Some(detail),
        };
        let n8n_down = matches!(report.n8n, Some(Reachability::Down(_)));
        let mut playbooks = report.playbooks.iter();
        let missing = playbooks.any(|known| matches!(known.presence, Presence::Missing(_)));
        let status = match report.ready {
            false => "unavailable",
            true if n8n_down
                || missing
                || !report.breakers.is_empty()
                || !report.pauses.is_empty() =>
            {
                "degraded"
            }
            true => "ok",
        };
        Self {
            status,
            version: env!("CARGO_PKG_VERSION"),
            instance: instance.to_owned(),
            database: report.database.map_or_else(down, |()| up()),
            n8n: match report.n8n {
                None => DependencyBody {
                    status: "unknown",
                    detail: None,
                },
                Some(Reachability::Up) => up(),
                Some(Reachability::Down(why)) => down(why),
            },
            playbooks: report.playbooks.into_iter().map(Into::into).collect(),
            rules: RulesBody {
                revision: report.revision,
                active: report.active_rules,
            },
            breakers: report
                .breakers
                .into_iter()
                .map(|(scope, state)| BreakerBody {
                    scope,
                    state: state.as_str(),
                })
                .collect(),
            pauses: report
                .pauses
                .iter()
                .map(|pause| pause.scope.to_string())
                .collect(),
        }
    }
}

//! How the server is doing.

use guard_app::HealthReport;
use guard_app::ports::Reachability;
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
        let status = match report.ready {
            false => "unavailable",
            true if n8n_down || !report.breakers.is_empty() || !report.pauses.is_empty() => {
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

//! Asking n8n, without side effects.

use std::time::Duration;

use guard_app::ports::{Presence, Reachability, RunStatus};
use guard_domain::PlaybookName;
use reqwest::RequestBuilder;
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::answer::Answer;
use crate::client::{N8nClient, root_cause};

/// How long an answer may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
/// What n8n says, with 404, to a GET where a webhook takes POST.
const WANTS_POST: &str = "Did you mean to make a POST request";
/// The header of n8n's public API.
const API_KEY: &str = "X-N8N-API-KEY";

/// What n8n's public API tells of an execution, as far as it matters here.
#[derive(Deserialize)]
struct Run {
    status: Option<String>,
    finished: Option<bool>,
}

impl N8nClient {
    pub(crate) async fn probe_host(&self) -> Reachability {
        match self.ask(self.http.get(self.address("healthz"))).await {
            Ok(answer) if answer.status >= 500 => {
                Reachability::Down(format!("n8n answered {}", answer.status))
            }
            Ok(_) => Reachability::Up,
            Err(why) => Reachability::Down(why),
        }
    }

    /// A GET says whether there is a webhook that wants POST, and runs nothing.
    pub(crate) async fn probe_webhook(&self, playbook: &PlaybookName) -> Presence {
        let path = format!("webhook/failsafe/{playbook}");
        match self.ask(self.http.get(self.address(&path))).await {
            Ok(answer) if answer.status == 404 && !answer.body.contains(WANTS_POST) => {
                Presence::Missing(format!(
                    "n8n has no active webhook at `/{path}`: import and publish the workflow, or correct the name"
                ))
            }
            Ok(answer) if answer.status >= 500 => {
                Presence::Unknown(format!("n8n answered {}", answer.status))
            }
            Ok(_) => Presence::Present,
            Err(why) => Presence::Unknown(why),
        }
    }

    pub(crate) async fn ask_run_status(&self, run_id: &str) -> RunStatus {
        let Some(key) = &self.settings.api_key else {
            return RunStatus::Unknown("no `n8n.api_key` is set".to_owned());
        };
        let mut url = self.settings.base_url.clone();
        match url.path_segments_mut() {
            Ok(mut path) => {
                let path = path.pop_if_empty();
                path.extend(["api", "v1", "executions", run_id]);
            }
            Err(()) => return RunStatus::Unknown("`n8n.base_url` can have no path".to_owned()),
        }
        let request = self.http.get(url).header(API_KEY, key.expose_secret());
        match self.ask(request).await {
            Ok(answer) => run_status(&answer),
            Err(why) => RunStatus::Unknown(why),
        }
    }

    fn address(&self, path: &str) -> String {
        let base = self.settings.base_url.as_str().trim_end_matches('/');
        format!("{base}/{path}")
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Answer, String> {
        match request.timeout(PROBE_TIMEOUT).send().await {
            Ok(response) => Ok(self.read(response).await),
            Err(error) => Err(root_cause(&error)),
        }
    }
}

/// What n8n's public API says of a run. Its answer is bounded when read, and its data is not asked for.
fn run_status(answer: &Answer) -> RunStatus {
    match answer.status {
        200 => {}
        401 | 403 => {
            return RunStatus::Unknown(format!(
                "n8n answered {}: it refuses `n8n.api_key`; make one in n8n's settings that may read executions",
                answer.status
            ));
        }
        404 => {
            return RunStatus::Unknown(
                "n8n knows no such execution: it has forgotten it, or it is another n8n".to_owned(),
            );
        }
        other => return RunStatus::Unknown(format!("n8n answered {other}")),
    }
    let Ok(run) = serde_json::from_str::<Run>(&answer.body) else {
        return RunStatus::Unknown("n8n's answer is not that of its public API".to_owned());
    };
    match (run.status.as_deref(), run.finished) {
        (Some("success"), _) | (None, Some(true)) => RunStatus::Succeeded,
        (Some(status @ ("error" | "crashed" | "canceled")), _) => {
            RunStatus::Failed(status.to_owned())
        }
        (Some("running" | "waiting" | "new"), _) => RunStatus::Running,
        (status, _) => RunStatus::Unknown(format!(
            "n8n says `{}`, which is no status that is known",
            status.unwrap_or_default()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: u16, body: &str) -> RunStatus {
        run_status(&Answer {
            status,
            retry_after: None,
            body: body.to_owned(),
        })
    }

    #[test]
    fn only_what_n8n_says_for_sure_is_a_result() {
        let succeeded = r#"{"id": 7, "finished": true, "status": "success", "startedAt": "x"}"#;
        assert_eq!(said(200, succeeded), RunStatus::Succeeded);
        for status in ["error", "crashed", "canceled"] {
            let body = format!(r#"{{"finished": false, "status": "{status}"}}"#);
            assert_eq!(said(200, &body), RunStatus::Failed(status.to_owned()));
        }
        assert_eq!(said(200, r#"{"status": "waiting"}"#), RunStatus::Running);
        for (status, body) in [
            (200, r#"{"status": "unknown", "finished": true}"#),
            (200, "{}"),
            (200, "<html>"),
            (401, ""),
            (404, ""),
            (502, ""),
        ] {
            assert!(
                matches!(said(status, body), RunStatus::Unknown(_)),
                "{status} {body}"
            );
        }
    }
}

//! The workflow that hears of runs that threw.

use serde_json::Value;

use super::flow::{ERROR_WORKFLOW, GUARD_PAUSES, again, seconds};
use super::node::{self, Canvas, Request};

/// Tells the guard that a run threw: as an event, since what n8n hands over has its own id of the run alone.
pub(crate) fn error_workflow() -> Value {
    let mut canvas = Canvas::default();
    let about = "## neural-guard-error\nTells Neural Guard, as an event, of a run that broke off without a report.\n\n\
                 Made by `cargo xtask n8n generate`; deploy/n8n/README.md describes it.";
    canvas.put("Note", 0, 1, node::note(about));
    canvas.put("A run threw", 0, 0, node::error_trigger());
    let request = Request {
        method: "POST",
        url: GUARD_EVENTS.to_owned(),
        headers: Vec::new(),
        body: Some(ERROR_EVENT.to_owned()),
        credential: Some(&node::GUARD),
        timeout: None,
    };
    canvas.connect("A run threw", 0, "Tell the guard");
    canvas.put("Tell the guard", 1, 0, request.into_node());
    canvas.connect("Tell the guard", 0, "Was it heard?");
    let ways = [("again", again(GUARD_PAUSES, "true", ""))];
    canvas.put("Was it heard?", 2, 0, node::switch(&ways, "end"));
    canvas.connect("Was it heard?", 0, "Pause");
    canvas.put("Pause", 1, -1, node::pause(&seconds(GUARD_PAUSES)));
    canvas.connect("Pause", 0, "Tell the guard");
    canvas.into_workflow(ERROR_WORKFLOW, None)
}

const GUARD_EVENTS: &str = r"={{ (() => {
  const setting = (read, otherwise) => { try { return read() || otherwise; } catch (error) { return otherwise; } };
  return setting(() => $vars.NEURAL_GUARD_URL, setting(() => $env.NEURAL_GUARD_URL, 'http://127.0.0.1:3000')).replace(/\/+$/, '');
})() }}/events";

const ERROR_EVENT: &str = r"={{ (() => {
  const thrown = $('A run threw').first().json;
  const run = thrown.execution?.id ?? null;
  return JSON.stringify({
    event_type: 'health_check_failed',
    severity: 'critical',
    source: 'n8n',
    timestamp: $now.toUTC().toISO(),
    ...(run ? { id: 'n8n-run-' + run } : {}),
    context: {
      service: 'n8n/' + thrown.workflow.name,
      check: 'playbook run',
      n8n_execution_id: run,
      node: thrown.execution?.lastNodeExecuted ?? null,
      error: String(thrown.execution?.error?.message ?? thrown.trigger?.error?.message ?? 'unknown').slice(0, 500),
    },
  });
})() }}";

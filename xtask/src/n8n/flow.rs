//! How a playbook runs in n8n: start, input, rehearsal, steps, report.

use serde_json::Value;

use super::node::{self, Canvas, Request};

/// The workflow that hears of runs that threw.
pub(crate) const ERROR_WORKFLOW: &str = "neural-guard-error";

/// A playbook. Sentences and conditions are expressions of n8n, that is JavaScript; in them `@` stands for the input, `$json`
/// for the last answer.
pub(crate) struct Playbook {
    pub(crate) name: &'static str,
    /// What it does, in a sentence.
    pub(crate) about: &'static str,
    /// The playbook that undoes it.
    pub(crate) undo: Option<&'static str>,
    /// Gives the input, out of `params`, `event` and `undone` (what the execution to undo has reported), by means of
    /// `text(name, value, needed)`, `list(name, value)` and `count(name, value)`, which note what is wrong.
    pub(crate) input: &'static str,
    /// What a rehearsal says after "Rehearsal: would ".
    pub(crate) rehearsal: &'static str,
    pub(crate) steps: &'static [Step],
    /// What was done.
    pub(crate) message: &'static str,
    /// What is worth keeping of it, an object.
    pub(crate) data: &'static str,
}

/// A request to Sentinel, and what its answer must be.
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    /// After `/api/v1`.
    pub(crate) path: &'static str,
    /// An object.
    pub(crate) body: Option<&'static str>,
    /// Whether an answer with 2xx is the one that was hoped for.
    pub(crate) done: &'static str,
    /// Which other answers with 2xx are asked for again.
    pub(crate) again: &'static str,
    /// How long to wait before each further try, in seconds.
    pub(crate) pauses: &'static [u32],
    /// Whether each try does the work anew, under a key of its own. One that has no answer is repeated under the same key.
    pub(crate) anew: bool,
    /// What could not be done, for a human.
    pub(crate) undone: &'static str,
    /// What it means that the answer is not the one that was hoped for.
    pub(crate) otherwise: &'static str,
}

/// A step that is asked for three times at most.
pub(crate) const STEP: Step = Step {
    name: "",
    method: "",
    path: "",
    body: None,
    done: "true",
    again: "false",
    pauses: &[1, 4],
    anew: false,
    undone: "",
    otherwise: "'its answer is not understood'",
};

/// How long to wait before each further call of the guard, in seconds: it may be starting again.
const GUARD_PAUSES: &[u32] = &[1, 2, 4, 8, 15, 30, 30, 30];
/// A playbook that takes its time, in milliseconds.
const PATIENCE: u32 = 240_000;

/// What every playbook knows about its input. `PLAYBOOK` is its own part.
const INPUT: &str = r"={{ (() => {
  const { neural_guard: guard, ...params } = $('Webhook').first().json.body;
  const event = guard.event;
  const undone = guard.rollback_of?.data ?? {};
  const problems = [];
  const wrong = (name, why) => { problems.push(name + ' ' + why); return null; };
  const text = (name, value, needed) => {
    if (value === undefined || value === null || value === '') return needed ? wrong(name, 'is missing') : null;
    if (typeof value !== 'string') return wrong(name, 'is not text');
    if (value.length > 255) return wrong(name, 'has more than 255 characters');
    if (/[\u0000-\u001f\u007f]/.test(value) || /^\.{1,2}$/.test(value)) return wrong(name, 'is not a name');
    return value;
  };
  const list = (name, value) => {
    if (value === undefined || value === null) return [];
    if (!Array.isArray(value) || value.length > 100) return wrong(name, 'is not a list of at most 100 texts');
    return value.map((each) => text('each of ' + name, each, true));
  };
  const count = (name, value) => {
    if (value === undefined || value === null) return 0;
    return Number.isInteger(value) && value >= 0 && value < 1000000 ? value : wrong(name, 'is not a count');
  };
  const setting = (read, otherwise) => { try { return read() || otherwise; } catch (error) { return otherwise; } };
  const sentinel = setting(() => $vars.SENTINEL_URL, setting(() => $env.SENTINEL_URL, 'http://127.0.0.1:8000'));
  const given = PLAYBOOK;
  return {
    given,
    problems,
    rehearsal: guard.dry_run !== false,
    key: guard.execution_id,
    sentinel: sentinel.replace(/\/+$/, ''),
  };
})() }}";

/// What is reported about a step that did not come about.
const FAILED: &str = r"={{ (() => {
  const detail = (value) => value === undefined ? '' : ': ' + (typeof value === 'string' ? value : JSON.stringify(value)).slice(0, 300);
  const code = $json.statusCode;
  const why = !code ? 'Sentinel cannot be reached' + detail($json.error?.message ?? $json.error)
    : code >= 200 && code < 300 ? OTHERWISE
    : 'Sentinel answered ' + code + detail($json.body?.detail);
  const tries = $prevNode.runIndex + 1;
  const message = UNDONE + ': ' + why + (tries > 1 ? ' (' + tries + ' tries)' : '');
  return { status: 'failed', message, data: { step: 'STEP', status_code: code ?? null, tries } };
})() }}";

/// What is reported when something has a shape that nobody thought of.
const BROKE_OFF: &str = r"={{ ({
  status: 'failed',
  message: 'The workflow broke off at its node ' + $prevNode.name + ': what it was given has an unexpected shape',
  data: { node: $prevNode.name },
}) }}";

impl Playbook {
    /// The workflow, as n8n imports it.
    pub(crate) fn workflow(&self) -> Value {
        let mut canvas = Canvas::default();
        self.begin(&mut canvas);
        let mut from = ("Rehearsal?", 1);
        let mut column = 6;
        for step in self.steps {
            canvas.connect(from.0, from.1, step.name);
            step.put(&mut canvas, column);
            from = (step.verdict(), 0);
            column += 2;
        }
        let succeeded = format!(
            "={{{{ ({{ status: 'succeeded', message: {}, data: {} }}) }}}}",
            self.message, self.data
        );
        canvas.put(
            "Succeeded",
            column,
            0,
            node::or_error(node::set(&expression(&succeeded))),
        );
        canvas.connect(from.0, from.1, "Succeeded");
        canvas.connect("Succeeded", 0, "Outcome");
        canvas.connect("Succeeded", 1, "Broke off");
        canvas.put("Broke off", column, 2, node::set(BROKE_OFF));
        canvas.connect("Broke off", 0, "Outcome");
        report(&mut canvas, column + 1);
        canvas.into_workflow(self.name, Some(ERROR_WORKFLOW))
    }

    /// Everything before the first step.
    fn begin(&self, canvas: &mut Canvas) {
        let undo = match self.undo {
            Some(playbook) => format!("Undone by {playbook}."),
            None => "There is nothing to undo.".to_owned(),
        };
        let about = format!(
            "## {}\n{} {undo}\n\nMade by `cargo xtask n8n generate`; deploy/n8n/playbooks/{}.md describes it.",
            self.name, self.about, self.name
        );
        canvas.put("Note", 0, 2, node::note(&about));
        canvas.put("Webhook", 0, 0, node::webhook(self.name));
        canvas.connect("Webhook", 0, "Start");
        let body = "={{ JSON.stringify({ n8n_execution_id: $execution.id }) }}".to_owned();
        let may_repeat = "$('Webhook').first().json.body?.neural_guard?.callback_url";
        call_guard(canvas, 1, ("Start", "May it go on?"), "start", body);
        canvas.put(
            "May it go on?",
            2,
            0,
            node::switch(
                &[
                    ("go", "={{ $json.statusCode === 200 }}".to_owned()),
                    ("again", again(GUARD_PAUSES, &format!("!!{may_repeat}"), "")),
                ],
                "stop",
            ),
        );
        canvas.connect("May it go on?", 0, "Input");
        canvas.put(
            "Input",
            3,
            0,
            node::or_error(node::set(&INPUT.replace("PLAYBOOK", self.input))),
        );
        canvas.connect("Input", 0, "Is it complete?");
        canvas.connect("Input", 1, "Broke off");
        let complete = "={{ $json.problems.length === 0 }}";
        canvas.put("Is it complete?", 4, 0, node::whether(complete));
        canvas.connect("Is it complete?", 0, "Rehearsal?");
        canvas.connect("Is it complete?", 1, "Incomplete");
        let incomplete = "={{ ({ status: 'failed', message: 'The input cannot be used: ' + $json.problems.join(', '), \
             data: { problems: $json.problems } }) }}";
        canvas.put("Incomplete", 5, 2, node::set(incomplete));
        canvas.connect("Incomplete", 0, "Outcome");
        canvas.put("Rehearsal?", 5, 0, node::whether("={{ $json.rehearsal }}"));
        canvas.connect("Rehearsal?", 0, "Rehearsed");
        let rehearsed = format!(
            "={{{{ ({{ status: 'succeeded', message: 'Rehearsal: would ' + {}, data: {{ rehearsal: true, ...@ }} }}) }}}}",
            self.rehearsal
        );
        canvas.put("Rehearsed", 6, -2, node::set(&expression(&rehearsed)));
        canvas.connect("Rehearsed", 0, "Outcome");
    }
}

impl Step {
    /// The node that looks at the answer.
    fn verdict(&self) -> &'static str {
        match self.name {
            "Verify" => "Is it so?",
            _ => "Is it done?",
        }
    }

    fn put(&self, canvas: &mut Canvas, column: i32) {
        let pause = format!("Pause before {}", lower(self.name));
        let failed = format!("Failed to {}", lower(self.name));
        let key = if self.anew {
            "={{ $('Input').first().json.key + ($runIndex ? '-' + ($runIndex + 1) : '') }}"
        } else {
            "={{ $('Input').first().json.key }}"
        };
        let is_change = self.method != "GET";
        let request = Request {
            method: self.method,
            url: expression(&format!(
                "={{{{ $('Input').first().json.sentinel }}}}/api/v1{}",
                self.path
            )),
            headers: Vec::from_iter(is_change.then(|| ("Idempotency-Key", key.to_owned()))),
            body: self
                .body
                .map(|body| expression(&format!("={{{{ JSON.stringify({body}) }}}}"))),
            credential: Some(&node::SENTINEL),
            timeout: self.anew.then_some(PATIENCE),
        }
        .into_node();
        let (request, answered) = if self.anew {
            (node::repeat_unanswered(request), "!!$json.statusCode")
        } else {
            (request, "true")
        };
        canvas.put(self.name, column, 0, request);
        canvas.connect(self.name, 0, self.verdict());
        let fine = "$json.statusCode >= 200 && $json.statusCode < 300";
        let done = format!("={{{{ {fine} && !!({}) }}}}", self.done);
        let also = format!("({fine} && ({}))", self.again);
        let ways = [
            ("done", expression(&done)),
            ("again", expression(&again(self.pauses, answered, &also))),
        ];
        canvas.put(self.verdict(), column + 1, 0, node::switch(&ways, "failed"));
        canvas.connect(self.verdict(), 1, &pause);
        canvas.connect(self.verdict(), 2, &failed);
        canvas.put(&pause, column, -1, node::pause(&seconds(self.pauses)));
        canvas.connect(&pause, 0, self.name);
        let text = FAILED
            .replace("OTHERWISE", self.otherwise)
            .replace("UNDONE", self.undone)
            .replace("STEP", &lower(self.name));
        canvas.put(&failed, column + 1, 1, node::set(&expression(&text)));
        canvas.connect(&failed, 0, "Outcome");
    }
}

/// Tells the guard how it ended, again and again until it has heard.
fn report(canvas: &mut Canvas, column: i32) {
    let outcome = "={{ ({ status: $json.status, message: $json.message.slice(0, 2000), data: $json.data }) }}";
    canvas.put("Outcome", column, 0, node::set(outcome));
    canvas.connect("Outcome", 0, "Report");
    let body = "={{ JSON.stringify($('Outcome').first().json) }}".to_owned();
    call_guard(
        canvas,
        column + 1,
        ("Report", "Was it heard?"),
        "result",
        body,
    );
    let ways = [("again", again(GUARD_PAUSES, "true", ""))];
    canvas.put("Was it heard?", column + 2, 0, node::switch(&ways, "end"));
}

/// A callback, and the pause between two tries.
fn call_guard(
    canvas: &mut Canvas,
    column: i32,
    (name, verdict): (&str, &str),
    callback: &str,
    body: String,
) {
    let guard = "$('Webhook').first().json.body.neural_guard";
    let request = Request {
        method: "POST",
        url: format!("={{{{ {guard}.callback_url }}}}/{callback}"),
        headers: vec![(
            "Authorization",
            format!("=Bearer {{{{ {guard}.callback_token }}}}"),
        )],
        body: Some(body),
        credential: None,
        timeout: None,
    };
    let pause = format!("Pause before {}", lower(name));
    canvas.put(name, column, 0, request.into_node());
    canvas.connect(name, 0, verdict);
    canvas.put(&pause, column, -1, node::pause(&seconds(GUARD_PAUSES)));
    let again = usize::from(name == "Start");
    canvas.connect(verdict, again, &pause);
    canvas.connect(&pause, 0, name);
}

/// Whether a request is worth another try: there was no answer, or one that may change.
fn again(pauses: &[u32], provided: &str, also: &str) -> String {
    let also = if also.is_empty() {
        String::new()
    } else {
        format!(" || {also}")
    };
    format!(
        "={{{{ $runIndex < {} && {provided} && (!$json.statusCode || $json.statusCode >= 500 || $json.statusCode === 429{also}) }}}}",
        pauses.len()
    )
}

fn seconds(pauses: &[u32]) -> String {
    let last = pauses.last().copied().unwrap_or_default();
    format!("={{{{ {pauses:?}[$runIndex] ?? {last} }}}}")
}

fn expression(text: &str) -> String {
    text.replace('@', "$('Input').first().json.given")
}

fn lower(name: &str) -> String {
    let mut characters = name.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

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

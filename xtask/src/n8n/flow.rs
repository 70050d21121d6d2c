//! How a playbook runs in n8n: start, input, rehearsal, steps, report.

use serde_json::Value;

use super::node::{self, Canvas, Request};
use super::step::Step;

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

/// How long to wait before each further call of the guard, in seconds: it may be starting again.
pub(crate) const GUARD_PAUSES: &[u32] = &[1, 2, 4, 8, 15, 30, 30, 30];
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
pub(crate) fn again(pauses: &[u32], provided: &str, also: &str) -> String {
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

pub(crate) fn seconds(pauses: &[u32]) -> String {
    let last = pauses.last().copied().unwrap_or_default();
    format!("={{{{ {pauses:?}[$runIndex] ?? {last} }}}}")
}

pub(crate) fn expression(text: &str) -> String {
    text.replace('@', "$('Input').first().json.given")
}

pub(crate) fn lower(name: &str) -> String {
    let mut characters = name.chars();
    let first = characters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(characters).collect()
}

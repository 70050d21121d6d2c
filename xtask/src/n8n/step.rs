//! A request to Sentinel, asked for again where that may help.

use super::flow::{again, expression, lower, seconds};
use super::node::{self, Canvas, Request};

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

/// A playbook that takes its time, in milliseconds.
const PATIENCE: u32 = 240_000;

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

impl Step {
    /// The node that looks at the answer.
    pub(crate) fn verdict(&self) -> &'static str {
        match self.name {
            "Verify" => "Is it so?",
            _ => "Is it done?",
        }
    }

    pub(crate) fn put(&self, canvas: &mut Canvas, column: i32) {
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

//! What the stand-in does with a delivery.

use std::sync::Arc;
use std::time::Duration;

use super::super::dice::Dice;
use super::Shared;
use super::run::Callbacks;

/// What n8n may do, and what it should not.
#[derive(Debug, Clone, Copy)]
pub(super) enum Behaviour {
    /// Answers at once and runs.
    Works,
    /// Answers late and runs.
    Slow,
    /// Fails, and nothing runs.
    Fails,
    /// Hangs up, and nothing runs.
    Drops,
    /// Knows no such webhook.
    Unregistered,
    /// Says that it runs, and does not.
    Lies,
    /// Runs, and says that it failed before it did.
    RunsAndFails,
    /// Runs, and hangs up.
    RunsAndDrops,
    /// Runs, and answers when nobody listens any more.
    RunsTooSlowly,
    /// Runs twice at once, from one delivery.
    RunsTwice,
    /// Runs, and says that the workflow failed.
    WorkflowFails,
}

impl Behaviour {
    /// Half of the deliveries go well: with less, breakers would leave n8n alone most of the time.
    pub(super) fn throw(dice: &mut Dice) -> Self {
        match dice.below(100) {
            0..35 => Self::Works,
            35..50 => Self::Slow,
            50..57 => Self::Fails,
            57..62 => Self::Drops,
            62..65 => Self::Unregistered,
            65..70 => Self::Lies,
            70..76 => Self::RunsAndFails,
            76..82 => Self::RunsAndDrops,
            82..86 => Self::RunsTooSlowly,
            86..97 => Self::RunsTwice,
            _ => Self::WorkflowFails,
        }
    }
}

/// What the server is answered.
pub(super) struct Response(Option<(u16, &'static str)>);

impl Response {
    pub(super) const fn ok() -> Self {
        Self(Some((200, r#"{"message":"Workflow was started"}"#)))
    }

    pub(super) const fn status(status: u16) -> Self {
        Self(Some((status, "{}")))
    }

    /// The connection is closed instead.
    pub(super) const fn nothing() -> Self {
        Self(None)
    }

    pub(super) fn text(&self) -> Option<String> {
        let (status, body) = self.0?;
        Some(format!(
            "HTTP/1.1 {status} -\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        ))
    }
}

impl Shared {
    pub(super) async fn behave(
        self: Arc<Self>,
        behaviour: Behaviour,
        callbacks: Callbacks,
    ) -> Response {
        let wait = |from, to| {
            let length = self.dice.lock().expect("no panic").millis(from, to);
            tokio::time::sleep(length)
        };
        match behaviour {
            Behaviour::Works => {
                self.begin_run(&callbacks);
                Response::ok()
            }
            Behaviour::Slow => {
                wait(100, 900).await;
                self.begin_run(&callbacks);
                Response::ok()
            }
            Behaviour::Fails => Response::status(500),
            Behaviour::Drops => Response::nothing(),
            Behaviour::Unregistered => Response::status(404),
            Behaviour::Lies => Response::ok(),
            Behaviour::RunsAndFails => {
                self.begin_run(&callbacks);
                wait(0, 200).await;
                Response::status(502)
            }
            Behaviour::RunsAndDrops => {
                self.begin_run(&callbacks);
                wait(0, 200).await;
                Response::nothing()
            }
            Behaviour::RunsTooSlowly => {
                self.begin_run(&callbacks);
                tokio::time::sleep(Duration::from_millis(1500)).await;
                Response::ok()
            }
            Behaviour::RunsTwice => {
                self.begin_run(&callbacks);
                self.begin_run(&callbacks);
                Response::ok()
            }
            Behaviour::WorkflowFails => {
                self.begin_run(&callbacks);
                let mut seen = self.seen.lock().expect("no panic");
                seen.failed_by_answer.insert(callbacks.execution);
                Response(Some((500, r#"{"message":"Error in workflow"}"#)))
            }
        }
    }
}

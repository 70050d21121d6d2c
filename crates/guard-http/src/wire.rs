//! What goes over the wire. These types are the contract; the domain may change behind them.

mod audit;
mod escalation;
mod event;
mod execution;
mod health;
mod key;
mod number;
mod rule;
mod tenant;

use guard_app::Page;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

pub(crate) use audit::AuditRecordBody;
pub(crate) use escalation::EscalationBody;
pub(crate) use event::{BatchAnswer, BatchItem, EventAnswer, EventDocument};
pub(crate) use execution::{CallbackAnswer, ExecutionBody, ExecutionDetailBody, PauseBody};
pub(crate) use health::HealthBody;
pub(crate) use key::{IssuedKeyBody, KeyBody};
pub(crate) use number::{MAX_WHOLE, whole};
pub(crate) use rule::{EvaluationBody, RuleBody, RuleList};
pub(crate) use tenant::{LimitsBody, TenantBody};

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// Give it as `cursor` for the next page; `null` on the last one.
    pub(crate) next_cursor: Option<String>,
}

impl<T> List<T> {
    /// The page of a list, item by item.
    pub(crate) fn of<D>(page: Page<D>, item: impl Fn(D) -> T) -> Self {
        let items = page.items.into_iter().map(item).collect();
        Self {
            items,
            next_cursor: page.next_cursor,
        }
    }
}

/// JSON text that goes out as it came in.
fn raw(text: String) -> Box<RawValue> {
    // What is stored was JSON when it came in; anything else goes out as `null`.
    RawValue::from_string(text).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

//! The handlers, a file for each kind of resource.

pub(crate) mod audit;
pub(crate) mod batch;
pub(crate) mod callbacks;
pub(crate) mod escalations;
pub(crate) mod events;
pub(crate) mod executions;
pub(crate) mod health;
pub(crate) mod keys;
pub(crate) mod pauses;
pub(crate) mod playbooks;
pub(crate) mod rules;
pub(crate) mod tenants;

use chrono::{DateTime, Utc};
use guard_app::PageQuery;
use guard_domain::timestamp;

use crate::problem::Problem;

/// A moment in a query.
fn moment(field: &str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, Problem> {
    text.map(|text| {
        timestamp::parse(text).ok_or_else(|| {
            let detail =
                format!("`{text}` is not an RFC 3339 timestamp such as 2026-11-20T03:01:00Z");
            Problem::invalid_field(&format!("/{field}"), detail)
        })
    })
    .transpose()
}

/// A value in a query that `parse` makes something of.
fn value<T, E: ToString>(
    field: &str,
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, E>,
) -> Result<Option<T>, Problem> {
    text.map(|text| {
        parse(text).map_err(|error| Problem::invalid_field(&format!("/{field}"), error.to_string()))
    })
    .transpose()
}

fn page(limit: Option<u32>, cursor: Option<String>) -> PageQuery {
    PageQuery { limit, cursor }
}

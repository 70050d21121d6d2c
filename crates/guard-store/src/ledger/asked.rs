//! Values of rules, asked about in one statement.

use std::collections::HashSet;

use guard_app::ports::StorageError;
use guard_domain::{RuleId, TenantId};

use crate::database::Row;
use crate::row::stored_value;

/// Whose value it is, of which rule, and the value.
pub(super) type Value<'a> = (&'a TenantId, &'a RuleId, &'a str);

/// Different values, in an order in which answers name them by their `place`.
pub(super) struct Asked<'a>(Vec<Value<'a>>);

impl<'a> Asked<'a> {
    /// The values, each once; `None` if there are none.
    pub(super) fn about(values: impl Iterator<Item = Value<'a>>) -> Option<Self> {
        let mut seen = HashSet::new();
        let values: Vec<_> = values.filter(|value| seen.insert(*value)).collect();
        (!values.is_empty()).then_some(Self(values))
    }

    pub(super) fn values(&self) -> impl Iterator<Item = Value<'a>> {
        self.0.iter().copied()
    }

    /// A JSON array of `[tenant, rule, value as it is stored]`.
    pub(super) fn to_json(&self) -> String {
        let keys: Vec<_> = self
            .values()
            .map(|(tenant, rule, value)| (tenant.as_str(), rule.as_str(), stored_value(value)))
            .collect();
        serde_json::to_string(&keys).unwrap_or_else(|_| "[]".to_owned())
    }

    /// The value that a row answers about.
    pub(super) fn of(&self, row: &Row) -> Result<Option<Value<'a>>, StorageError> {
        let place: i64 = row.get("place")?;
        let place = usize::try_from(place).ok();
        Ok(place.and_then(|place| self.0.get(place).copied()))
    }
}

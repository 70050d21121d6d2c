//! Limits of a tenant as the column holds them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use guard_app::ports::{RateQuota, SourceLimit, TenantLimits};
use guard_domain::Source;
use serde::{Deserialize, Serialize};

/// `tenants.limits`. Whatever is left out is `{}`, so that equal limits are equal texts.
#[derive(Default, Serialize, Deserialize)]
struct LimitsRow {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rate_limit: Option<LimitRow>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sources: BTreeMap<String, LimitRow>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum LimitRow {
    Unlimited,
    Quota {
        requests: NonZeroU32,
        window_us: u64,
    },
}

impl From<SourceLimit> for LimitRow {
    fn from(limit: SourceLimit) -> Self {
        let Some((quota, requests)) = limit
            .quota()
            .and_then(|quota| Some((quota, NonZeroU32::new(quota.requests())?)))
        else {
            return Self::Unlimited;
        };
        Self::Quota {
            requests,
            window_us: u64::try_from(quota.window().as_micros()).unwrap_or(u64::MAX),
        }
    }
}

impl TryFrom<LimitRow> for SourceLimit {
    type Error = String;

    fn try_from(row: LimitRow) -> Result<Self, String> {
        Ok(match row {
            LimitRow::Unlimited => Self::Unlimited,
            LimitRow::Quota {
                requests,
                window_us,
            } => {
                let quota = RateQuota::new(requests, Duration::from_micros(window_us));
                Self::Quota(quota.map_err(|error| error.to_string())?)
            }
        })
    }
}

/// Reads the column.
pub(super) fn read(text: &str) -> Result<TenantLimits, String> {
    let row: LimitsRow = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let source = |(name, limit): (String, LimitRow)| {
        let source = Source::parse(&name).map_err(|error| error.to_string())?;
        Ok((source, limit.try_into()?))
    };
    Ok(TenantLimits {
        rate_limit: row.rate_limit.map(TryInto::try_into).transpose()?,
        sources: row
            .sources
            .into_iter()
            .map(source)
            .collect::<Result<_, String>>()?,
    })
}

/// The text of the column.
pub(super) fn written(limits: &TenantLimits) -> String {
    let source = |(source, limit): (&Source, &SourceLimit)| {
        (source.as_str().to_owned(), LimitRow::from(*limit))
    };
    let row = LimitsRow {
        rate_limit: limits.rate_limit.map(LimitRow::from),
        sources: limits.sources.iter().map(source).collect(),
    };
    serde_json::to_string(&row).unwrap_or_else(|_| "{}".to_owned())
}

/// The limits for people to read.
pub(super) fn in_words(limits: &TenantLimits) -> String {
    let of = |limit: SourceLimit| match limit.quota() {
        Some(quota) => format!("{} in {:?}", quota.requests(), quota.window()),
        None => "none".to_owned(),
    };
    let others = limits
        .rate_limit
        .map_or_else(|| "as configured".to_owned(), of);
    let single = limits
        .sources
        .iter()
        .map(|(source, limit)| format!("`{}` {}", source.as_str(), of(*limit)));
    let mut words: Vec<_> = single.collect();
    words.push(if words.is_empty() {
        others
    } else {
        format!("other sources {others}")
    });
    words.join(", ")
}

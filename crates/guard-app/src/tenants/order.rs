//! Tenants and limits that somebody wants.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use guard_domain::{FieldError, Source, TenantId};

use crate::ports::{RateQuota, RateQuotaError, SourceLimit, TenantLimits};

/// How many sources of a tenant may have limits of their own.
pub const MAX_NAMED_SOURCES: usize = 100;
/// The largest quota, which fits into the shortest window.
const MAX_REQUESTS: u32 = 1_000_000;
/// The longest label, in characters.
const MAX_LABEL: usize = 100;
/// The longest reason, in characters.
const MAX_REASON: usize = 1000;

/// A limit that somebody wants: `None` is no limit.
pub type LimitOrder = Option<QuotaOrder>;

/// So many requests in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotaOrder {
    /// How many requests.
    pub requests: u32,
    /// In how long a time.
    pub window: Duration,
}

impl QuotaOrder {
    fn quota(self) -> Result<RateQuota, (&'static str, String)> {
        let requests = NonZeroU32::new(self.requests).ok_or_else(|| {
            let detail = "at least 1; `null` in place of the whole quota is no limit";
            ("requests", detail.to_owned())
        })?;
        if self.requests > MAX_REQUESTS {
            return Err(("requests", format!("at most {MAX_REQUESTS} requests")));
        }
        RateQuota::new(requests, self.window).map_err(|error| match error {
            RateQuotaError::Window => ("window", error.to_string()),
            RateQuotaError::TooMany(_) => ("requests", error.to_string()),
        })
    }
}

fn limit(pointer: &str, order: LimitOrder) -> Result<SourceLimit, FieldError> {
    let Some(order) = order else {
        return Ok(SourceLimit::Unlimited);
    };
    let quota = order.quota();
    quota
        .map(SourceLimit::Quota)
        .map_err(|(field, detail)| FieldError::new(format!("{pointer}/{field}"), detail))
}

impl TenantLimits {
    /// Reads limits: of every source that is not named, and of single ones.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn parse(
        rate_limit: Option<LimitOrder>,
        sources: BTreeMap<String, LimitOrder>,
    ) -> Result<Self, Vec<FieldError>> {
        if sources.len() > MAX_NAMED_SOURCES {
            let detail = format!("at most {MAX_NAMED_SOURCES} sources have limits of their own");
            return Err(vec![FieldError::new("/sources", detail)]);
        }
        let (mut limits, mut wrong) = (Self::default(), Vec::new());
        match rate_limit
            .map(|order| limit("/rate_limit", order))
            .transpose()
        {
            Ok(read) => limits.rate_limit = read,
            Err(error) => wrong.push(error),
        }
        for (name, order) in sources {
            let step = name.replace('~', "~0").replace('/', "~1");
            let pointer = format!("/sources/{step}");
            match (Source::parse(&name), limit(&pointer, order)) {
                (Ok(source), Ok(limit)) => drop(limits.sources.insert(source, limit)),
                (source, limit) => {
                    let named =
                        source.map_err(|error| FieldError::new(&pointer, error.to_string()));
                    wrong.extend(named.err());
                    wrong.extend(limit.err());
                }
            }
        }
        if wrong.is_empty() {
            Ok(limits)
        } else {
            Err(wrong)
        }
    }
}

/// A tenant that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantOrder {
    /// Its name.
    pub id: TenantId,
    /// What to call it.
    pub label: Option<String>,
    /// Its limits.
    pub limits: TenantLimits,
}

impl TenantOrder {
    /// Reads an order.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        name: &str,
        label: Option<&str>,
        limits: TenantLimits,
    ) -> Result<Self, Vec<FieldError>> {
        let mut wrong = Vec::new();
        let label = label.map(str::trim);
        if label.is_some_and(|label| !is_line(label)) {
            let detail = format!("a label has 1 to {MAX_LABEL} characters on one line");
            wrong.push(FieldError::new("/label", detail));
        }
        match TenantId::parse(name) {
            Ok(id) if wrong.is_empty() => Ok(Self {
                id,
                label: label.map(str::to_owned),
                limits,
            }),
            Ok(_) => Err(wrong),
            Err(error) => {
                wrong.insert(0, FieldError::new("/name", error.to_string()));
                Err(wrong)
            }
        }
    }
}

fn is_line(label: &str) -> bool {
    (1..=MAX_LABEL).contains(&label.chars().count()) && !label.chars().any(char::is_control)
}

/// Reads a reason.
pub(super) fn reason(text: &str) -> Result<&str, Vec<FieldError>> {
    let text = text.trim();
    if (1..=MAX_REASON).contains(&text.chars().count()) && !text.contains('\0') {
        return Ok(text);
    }
    let detail = format!("a reason has 1 to {MAX_REASON} characters; it goes on record");
    Err(vec![FieldError::new("/reason", detail)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(requests: u32, seconds: u64) -> LimitOrder {
        Some(QuotaOrder {
            requests,
            window: Duration::from_secs(seconds),
        })
    }

    fn wrong(
        rate_limit: Option<LimitOrder>,
        sources: impl IntoIterator<Item = (String, LimitOrder)>,
    ) -> Vec<String> {
        let read = TenantLimits::parse(rate_limit, sources.into_iter().collect());
        let wrong = read.unwrap_err().into_iter();
        wrong
            .map(|wrong| format!("{}: {}", wrong.pointer, wrong.detail))
            .collect()
    }

    #[test]
    fn limits_left_out_none_and_given_are_three_things() {
        let read = |rate_limit| {
            let limits = TenantLimits::parse(rate_limit, BTreeMap::new());
            limits.unwrap().rate_limit
        };
        assert_eq!(read(None), None);
        assert_eq!(read(Some(None)), Some(SourceLimit::Unlimited));
        let quota = read(Some(quota(5, 60)))
            .and_then(SourceLimit::quota)
            .unwrap();
        assert_eq!((quota.requests(), quota.window().as_secs()), (5, 60));
    }

    #[test]
    fn everything_that_is_wrong_with_limits_is_told_at_its_place() {
        let sources = [
            ("a/b~".to_owned(), quota(2_000_000, 1)),
            (String::new(), quota(1, 0)),
        ];
        let told = wrong(Some(quota(0, 60)), sources);
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].starts_with("/rate_limit/requests: at least 1"));
        assert!(told[1].starts_with("/sources/: a source has 1 to 128"));
        assert!(told[2].starts_with("/sources//window: a window is 1s to 1d"));
        assert!(told[3].starts_with("/sources/a~1b~0/requests: at most 1000000"));
        let most = |count| (0..count).map(|number| (number.to_string(), None));
        assert!(TenantLimits::parse(None, most(MAX_NAMED_SOURCES).collect()).is_ok());
        let told = wrong(None, most(MAX_NAMED_SOURCES + 1));
        assert_eq!(
            told,
            ["/sources: at most 100 sources have limits of their own"]
        );
    }

    #[test]
    fn a_name_is_a_slug_and_a_label_a_line() {
        let of = |name, label| {
            let read = TenantOrder::parse(name, label, TenantLimits::default());
            read.map_err(|wrong| {
                wrong
                    .into_iter()
                    .map(|wrong| wrong.pointer)
                    .collect::<Vec<_>>()
            })
        };
        assert_eq!(
            of("acme", Some(" Acme Inc ")).unwrap().label.as_deref(),
            Some("Acme Inc")
        );
        assert_eq!(of("Acme", Some(" ")).unwrap_err(), ["/name", "/label"]);
        assert_eq!(of("acme", Some("two\nlines")).unwrap_err(), ["/label"]);
        assert!(reason(" ").is_err() && reason("\0").is_err());
        assert_eq!(reason(" unpaid "), Ok("unpaid"));
    }
}

//! Tenants and their limits.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use guard_app::ports::{RateQuota, SourceLimit, Tenant, TenantLimits};
use guard_app::{LimitOrder, QuotaOrder};
use guard_domain::{FieldError, timestamp};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::ToSchema;
use utoipa::openapi::Ref;
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Schema, Type};

use super::whole;

/// A tenant.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TenantBody {
    /// Its name.
    #[schema(example = "acme")]
    name: String,
    /// What people call it.
    #[schema(example = "Acme Inc, Frankfurt")]
    label: Option<String>,
    /// Its limits.
    limits: LimitsBody,
    /// When it came into being.
    created_at: String,
    /// Since when it is disabled: its tokens are refused.
    disabled_at: Option<String>,
    /// Why it is disabled.
    disabled_reason: Option<String>,
}

impl From<Tenant> for TenantBody {
    fn from(tenant: Tenant) -> Self {
        let (disabled_at, disabled_reason) = match tenant.disabled {
            Some(disabled) => (Some(timestamp::format(disabled.at)), Some(disabled.reason)),
            None => (None, None),
        };
        Self {
            name: tenant.id.to_string(),
            label: tenant.label,
            limits: tenant.limits.into(),
            created_at: timestamp::format(tenant.created_at),
            disabled_at,
            disabled_reason,
        }
    }
}

/// How many events the sources of a tenant may send. What is left out is as the server's configuration says.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitsBody {
    /// Of each source that is not named below; `null` is no limit.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schema(value_type = Option<QuotaBody>)]
    rate_limit: Option<Option<QuotaBody>>,
    /// Of single sources, at most 100; `null` is no limit.
    #[serde(default)]
    #[schema(schema_with = sources_schema)]
    sources: Sources,
}

/// So many events at once, and as many again in each window.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaBody {
    /// How many events.
    #[serde(deserialize_with = "requests")]
    #[schema(example = 1000, minimum = 1, maximum = 1_000_000)]
    requests: u32,
    /// In how long a time, from 1s to 1d; also as `1m 30s`.
    #[schema(
        example = "60s",
        pattern = "^([1-9][0-9]{0,3}|[1-7][0-9]{4}|8[0-5][0-9]{3}|86[0-3][0-9]{2}|86400)s$"
    )]
    window: String,
}

/// Limits by source; a source that is there twice is refused.
#[derive(Debug, Default, Serialize)]
struct Sources(BTreeMap<String, Option<QuotaBody>>);

fn sources_schema() -> Schema {
    let limit = OneOfBuilder::new()
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .item(Ref::from_schema_name("QuotaBody"));
    ObjectBuilder::new()
        .description(Some("Of single sources, at most 100; `null` is no limit."))
        .additional_properties(Some(Schema::from(limit)))
        .examples([serde_json::json!({"backup": {"requests": 20, "window": "60s"}, "probe": null})])
        .build()
        .into()
}

/// How many events, however the number is written.
fn requests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let small = whole(&number).and_then(|whole| u32::try_from(whole).ok());
    small
        .ok_or_else(|| D::Error::custom(format!("`{number}` is no whole number from 1 to 1000000")))
}

/// A field that is there, `null` or not.
fn given<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<QuotaBody>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Sources;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of sources and their limits")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sources, A::Error> {
                let mut sources = BTreeMap::new();
                while let Some((name, limit)) = map.next_entry::<String, _>()? {
                    if sources.contains_key(&name) {
                        let detail = format!("the source `{name}` is there twice");
                        return Err(A::Error::custom(detail));
                    }
                    sources.insert(name, limit);
                }
                Ok(Sources(sources))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

impl LimitsBody {
    /// The limits that are meant.
    pub(crate) fn parse(self) -> Result<TenantLimits, Vec<FieldError>> {
        let mut wrong = Vec::new();
        let mut order = |pointer: String, body: Option<QuotaBody>| -> LimitOrder {
            let QuotaBody { requests, window } = body?;
            let read = humantime::parse_duration(&window);
            if read.is_err() {
                let detail = format!("`{window}` is not a length of time such as 1s, 15m or 1h");
                wrong.push(FieldError::new(format!("{pointer}/window"), detail));
            }
            Some(QuotaOrder {
                requests,
                window: read.unwrap_or(Duration::from_secs(1)),
            })
        };
        let rate_limit = self
            .rate_limit
            .map(|body| order("/rate_limit".to_owned(), body));
        let sources = self.sources.0.into_iter().map(|(name, body)| {
            let step = name.replace('~', "~0").replace('/', "~1");
            let order = order(format!("/sources/{step}"), body);
            (name, order)
        });
        let read = TenantLimits::parse(rate_limit, sources.collect());
        match read {
            Ok(limits) if wrong.is_empty() => Ok(limits),
            Ok(_) => Err(wrong),
            Err(further) => {
                wrong.extend(further);
                Err(wrong)
            }
        }
    }
}

impl From<TenantLimits> for LimitsBody {
    fn from(limits: TenantLimits) -> Self {
        let body = |limit: SourceLimit| limit.quota().map(QuotaBody::from);
        let sources = limits.sources.iter();
        Self {
            rate_limit: limits.rate_limit.map(body),
            sources: Sources(
                sources
                    .map(|(source, limit)| (source.as_str().to_owned(), body(*limit)))
                    .collect(),
            ),
        }
    }
}

impl From<RateQuota> for QuotaBody {
    fn from(quota: RateQuota) -> Self {
        let micros = quota.window().as_micros();
        Self {
            requests: quota.requests(),
            window: match (micros % 1_000_000, micros % 1000) {
                (0, _) => format!("{}s", micros / 1_000_000),
                (_, 0) => format!("{}ms", micros / 1000),
                _ => format!("{micros}us"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<LimitsBody, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn limits_go_out_as_they_came_in() {
        for text in [
            r#"{"sources":{}}"#,
            r#"{"rate_limit":null,"sources":{}}"#,
            r#"{"rate_limit":{"requests":1000,"window":"60s"},"sources":{"a":null,"b":{"requests":1,"window":"1500ms"}}}"#,
        ] {
            let limits = read(text).unwrap().parse().unwrap();
            let again = serde_json::to_string(&LimitsBody::from(limits)).unwrap();
            assert_eq!(again, text);
        }
        let limits = read(r#"{"rate_limit":{"requests":1,"window":"1h 1s 1us"}}"#).unwrap();
        let again = LimitsBody::from(limits.parse().unwrap()).rate_limit;
        assert_eq!(again.flatten().unwrap().window, "3601000001us");
    }

    #[test]
    fn a_number_of_requests_is_a_whole_one() {
        let requests = |text: &str| {
            let quota = format!(r#"{{"rate_limit":{{"requests":{text},"window":"1s"}}}}"#);
            read(&quota).map(|limits| limits.rate_limit.flatten().unwrap().requests)
        };
        assert_eq!(requests("20.0"), Ok(20));
        for text in ["20.5", "-1", "4294967296"] {
            let error = requests(text).unwrap_err();
            let told = format!("`{text}` is no whole number from 1 to 1000000");
            assert!(error.contains(&told), "{error}");
        }
        assert!(
            requests("\"20\"")
                .unwrap_err()
                .contains("expected a JSON number")
        );
    }

    #[test]
    fn a_source_is_there_once() {
        let error = read(r#"{"sources":{"a":null,"b":null,"a":null}}"#).unwrap_err();
        assert!(error.contains("the source `a` is there twice"), "{error}");
    }
}

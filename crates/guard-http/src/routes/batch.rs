//! Batches of events.

use axum::Json;
use axum::extract::State;
use guard_app::{Answer, Submission};
use guard_domain::MAX_BODY_BYTES;
use http::{HeaderMap, StatusCode};
use serde_json::value::{RawValue, to_raw_value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::auth::{Caller, EventsWrite};
use crate::body::{BatchBytes, Format};
use crate::context::RequestContext;
use crate::problem::Problem;
use crate::rate;
use crate::state::Shared;
use crate::wire::{BatchAnswer, BatchItem, EventAnswer};

/// The largest batch, in bytes and in events.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
const MAX_BATCH_EVENTS: usize = 1000;

pub(crate) fn router() -> OpenApiRouter<Shared> {
    OpenApiRouter::new().routes(routes!(post_batch))
}

/// Take several events in.
///
/// Each stands alone: it is answered as `POST /events` would have, without waiting for acknowledgements. Each counts for the limit
/// of its source.
#[utoipa::path(
    post,
    path = "/v1/events/batch",
    tag = "events",
    request_body(description = "At most 1,000 events and 4 MiB: a JSON array, or one event on each line",
        content(([Object] = "application/json"), (String = "application/x-ndjson"))),
    responses(
        (status = 200, body = BatchAnswer, description = "An answer for each event, in order"),
        (status = 400, body = Problem, description = "Not an array"),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 413, body = Problem, description = "More than 4 MiB or 1,000 events"),
        (status = 415, body = Problem),
    ),
    security(("bearer" = ["events:write"])),
)]
async fn post_batch(
    State(api): State<Shared>,
    caller: Caller<EventsWrite>,
    context: RequestContext,
    BatchBytes(format, bytes): BatchBytes<MAX_BATCH_BYTES>,
) -> Result<(HeaderMap, Json<BatchAnswer>), Problem> {
    let texts = split_batch(format, &bytes)?;
    if texts.len() > MAX_BATCH_EVENTS {
        let found = texts.len();
        let detail = format!("a batch has at most {MAX_BATCH_EVENTS} events, this one has {found}");
        return Err(Problem::too_large(detail));
    }
    let submission = |text: &&[u8]| Submission {
        body: text.to_vec(),
        key: None,
        origin: context.origin(&caller.principal.subject),
    };
    let fits = |text: &&[u8]| text.len() <= MAX_BODY_BYTES;
    let submissions = texts
        .iter()
        .copied()
        .filter(fits)
        .map(|text| submission(&text))
        .collect();
    let mut answers = api
        .intake
        .receive_all(&caller.principal, submissions)
        .await
        .into_iter();
    let outcomes: Vec<Result<Answer, Problem>> = texts
        .iter()
        .map(|text| match fits(text).then(|| answers.next()).flatten() {
            Some(answer) => answer.map_err(Problem::from),
            None => Err(Problem::too_large(format!(
                "an event has at most {MAX_BODY_BYTES} bytes"
            ))),
        })
        .collect();
    let rates = outcomes.iter().filter_map(|outcome| match outcome {
        Ok(answer) => answer.rate,
        Err(problem) => problem.rate(),
    });
    let mut headers = HeaderMap::new();
    rate::say(&mut headers, &rates);
    let items = outcomes.into_iter().enumerate();
    let items = items.map(|(index, outcome)| item(index, outcome, &context));
    let answer = BatchAnswer {
        items: items.collect(),
    };
    Ok((headers, Json(answer)))
}

/// What is answered to one event.
fn item(index: usize, outcome: Result<Answer, Problem>, context: &RequestContext) -> BatchItem {
    let (status, body) = match outcome {
        Ok(answer) => (StatusCode::OK, to_raw_value(&EventAnswer::from(&answer))),
        Err(problem) => (
            problem.status(),
            to_raw_value(&problem.of_request(context.id)),
        ),
    };
    BatchItem {
        index,
        status: status.as_u16(),
        body: body.unwrap_or_else(|_| RawValue::NULL.to_owned()),
    }
}

fn split_batch(format: Format, bytes: &[u8]) -> Result<Vec<&[u8]>, Problem> {
    match format {
        Format::Json => {
            let texts: Vec<&RawValue> = serde_json::from_slice(bytes).map_err(|error| {
                Problem::malformed(format!("a batch is a JSON array of events: {error}"))
            })?;
            Ok(texts
                .into_iter()
                .map(|text| text.get().as_bytes())
                .collect())
        }
        Format::Ndjson => {
            let lines = bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
            Ok(lines.filter(|line| !line.is_empty()).collect())
        }
    }
}

//! The audit trail as a file.

use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use guard_app::{AuditExport, ExportFormat};
use http::HeaderValue;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http_body_util::channel::{Channel, Sender};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::NDJSON;
use crate::auth::{AuditRead, Caller};
use crate::body::Params;
use crate::problem::Problem;
use crate::routes::moment;
use crate::state::Shared;

/// How long a client may take nothing before it is cut off.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many pieces wait for the client.
const PIECES: usize = 1;

/// What is written.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum FormatWord {
    /// Links, records and signed checkpoints: this can be verified.
    #[default]
    Ndjson,
    /// Records as events of the Open Cybersecurity Schema Framework.
    Ocsf,
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ExportQuery {
    /// What to write: `ndjson`, which can be verified, if not given.
    #[serde(default)]
    #[param(inline, required = false)]
    format: FormatWord,
    /// Whose records: your own tenant's if not given. An administrator of tenant `default` may name another one, or `*` for
    /// everybody's.
    tenant: Option<String>,
    /// Only records from this moment on; with `ocsf`.
    since: Option<String>,
    /// Only records before this moment; with `ocsf`.
    until: Option<String>,
}

/// Export the audit trail, a JSON object on each line.
///
/// As `ndjson` it has everything that is needed to verify it; of other tenants' records the hashes. What breaks off ends in the
/// middle of a line.
#[utoipa::path(
    get,
    path = "/v1/audit/export",
    tag = "audit",
    params(ExportQuery),
    responses(
        (status = 200, body = String, content_type = "application/x-ndjson", description = "The export"),
        (status = 401, body = Problem),
        (status = 403, body = Problem),
        (status = 404, body = Problem, description = "There is no such tenant"),
        (status = 422, body = Problem),
        (status = 503, body = Problem, description = "Too many exports are under way"),
    ),
    security(("bearer" = ["audit:read"])),
)]
pub(super) async fn export_audit(
    State(api): State<Shared>,
    caller: Caller<AuditRead>,
    Params(query): Params<ExportQuery>,
) -> Result<Response, Problem> {
    let format = match query.format {
        FormatWord::Ndjson => ExportFormat::Ndjson,
        FormatWord::Ocsf => ExportFormat::Ocsf,
    };
    let since = moment("since", query.since.as_deref())?;
    let until = moment("until", query.until.as_deref())?;
    let text = format.between(since, until).map_err(|error| {
        let pointer = if since.is_some() { "/since" } else { "/until" };
        Problem::invalid_field(pointer, error.to_string())
    })?;
    let (principal, tenant) = (&caller.principal, query.tenant.as_deref());
    let mut export = api.exports.begin(principal, tenant, text).await?;
    // What fails before anything was sent can be told.
    let first = export.next_piece().await?;
    let (sender, body) = Channel::new(PIECES);
    tokio::spawn(send(sender, first, export));
    let mut response = Body::new(body).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    let file = HeaderValue::from_static("attachment; filename=\"audit.ndjson\"");
    headers.insert(CONTENT_DISPOSITION, file);
    Ok(response)
}

/// Sends piece by piece, until all is sent or the client goes away. What fails breaks the body off: the client does not see its
/// end.
async fn send(
    mut sender: Sender<Bytes, BoxError>,
    mut piece: Option<Vec<u8>>,
    mut export: AuditExport,
) {
    while let Some(bytes) = piece {
        match tokio::time::timeout(PATIENCE, sender.send_data(bytes.into())).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return,
            Err(_) => return sender.abort("the client took nothing for too long".into()),
        }
        piece = match export.next_piece().await {
            Ok(piece) => piece,
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "an export of the audit trail breaks off"
                );
                return sender.abort(error.into());
            }
        };
    }
}

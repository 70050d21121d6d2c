//! What every answer tells browsers, which have no business here but at /docs.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderValue};

const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const DENY: HeaderValue = HeaderValue::from_static("DENY");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Nothing of an answer is run, shown in a frame or loaded from elsewhere.
const API_POLICY: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// Swagger UI runs its own scripts, sets styles in place, has pictures in its style sheet, and calls the interface.
const DOCS_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Adds them to the answer to a request for `path`.
pub(crate) fn harden(headers: &mut HeaderMap, path: &str) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    headers.insert(REFERRER_POLICY, NO_REFERRER);
    headers.insert(X_FRAME_OPTIONS, DENY);
    if is_docs(path) {
        headers.insert(CONTENT_SECURITY_POLICY, DOCS_POLICY);
    } else {
        headers.insert(CONTENT_SECURITY_POLICY, API_POLICY);
        headers.insert(CACHE_CONTROL, NO_STORE);
    }
}

/// Whether a path is one of Swagger UI's.
fn is_docs(path: &str) -> bool {
    path.strip_prefix("/docs")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

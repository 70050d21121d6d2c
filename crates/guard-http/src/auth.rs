//! Who is asking: extractors that let nobody through who may not.

use std::marker::PhantomData;

use axum::extract::FromRequestParts;
use guard_app::ports::{Principal, Scope};
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;

use crate::context::PeerAddress;
use crate::problem::Problem;
use crate::state::Shared;

/// A scope that a handler asks for, as a type.
pub(crate) trait Required: Send {
    const SCOPE: Scope;
}

macro_rules! required {
    ($($name:ident),+) => {
        $(
            pub(crate) struct $name;
            impl Required for $name {
                const SCOPE: Scope = Scope::$name;
            }
        )+
    };
}

required!(
    EventsWrite,
    RulesRead,
    ExecutionsRead,
    ExecutionsWrite,
    AuditRead,
    Admin
);

/// A principal who may do what `S` stands for.
pub(crate) struct Caller<S> {
    pub(crate) principal: Principal,
    scope: PhantomData<S>,
}

impl<S: Required> FromRequestParts<Shared> for Caller<S> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Problem> {
        let token = bearer(&parts.headers)?;
        let peer = parts.extensions.get::<PeerAddress>();
        let peer = peer.map(|peer| peer.0.ip());
        let principal = api.authenticator.authenticate(token, peer).await?;
        if !principal.may(S::SCOPE) {
            let missing = S::SCOPE.as_str();
            return Err(Problem::forbidden(format!(
                "the token lacks the scope `{missing}`"
            )));
        }
        Ok(Self {
            principal,
            scope: PhantomData,
        })
    }
}

/// A bearer token that a handler checks itself.
pub(crate) struct BearerToken(pub(crate) String);

impl<S: Sync> FromRequestParts<S> for BearerToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        bearer(&parts.headers).map(|token| Self(token.to_owned()))
    }
}

/// The token of an `Authorization: Bearer …` header.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let missing = || Problem::unauthorized("a header `Authorization: Bearer <token>` is needed");
    let value = headers.get(AUTHORIZATION).ok_or_else(missing)?;
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .ok_or_else(missing)?;
    let token = token.trim();
    if scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() {
        Ok(token)
    } else {
        Err(missing())
    }
}

//! Managing API keys.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use guard_domain::{FieldError, TenantId, suggest};
use secrecy::SecretString;
use thiserror::Error;

use crate::ports::{ApiKey, ApiKeys, Clock, FreshKey, KeyMaker, Principal, Scope, StorageError};
use crate::queries::{Page, PageQuery, QueryError, limit_of};

/// The longest label, in characters.
pub const MAX_LABEL: usize = 100;
/// The longest id of a key, in characters.
const MAX_ID: usize = 64;

/// Why keys are not made, shown or revoked.
#[derive(Debug, Error)]
pub enum KeyError {
    /// What is wanted is not valid.
    #[error("the key is not valid")]
    Invalid(Vec<FieldError>),
    /// The principal may not see other tenants.
    #[error("only an administrator of tenant `default` may look after the keys of other tenants")]
    OtherTenant,
    /// There is no such key.
    #[error("there is no such key")]
    NotFound,
    /// The page cannot be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// It could not be recorded.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// A key that somebody wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOrder {
    /// What to call it.
    pub label: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// From when on it is to be refused.
    pub expires_at: Option<DateTime<Utc>>,
}

impl KeyOrder {
    /// Reads an order.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(
        label: &str,
        scopes: &[String],
        expires_at: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Result<Self, Vec<FieldError>> {
        let mut wrong = Vec::new();
        let label = label.trim();
        let length = label.chars().count();
        if !(1..=MAX_LABEL).contains(&length) || label.chars().any(char::is_control) {
            let detail = format!("a label has 1 to {MAX_LABEL} characters on one line");
            wrong.push(FieldError::new("/label", detail));
        }
        let mut held = Vec::new();
        for (index, word) in scopes.iter().enumerate() {
            match Scope::parse(word) {
                Some(scope) if held.contains(&scope) => {}
                Some(scope) => held.push(scope),
                None => wrong.push(FieldError::new(
                    format!("/scopes/{index}"),
                    unknown_scope(word),
                )),
            }
        }
        if scopes.is_empty() {
            let known = Scope::ALL.map(Scope::as_str).join(", ");
            let detail = format!("a key has at least one scope of {known}");
            wrong.push(FieldError::new("/scopes", detail));
        }
        if expires_at.is_some_and(|expires_at| expires_at <= now) {
            wrong.push(FieldError::new("/expires_at", "this has passed already"));
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self {
            label: label.to_owned(),
            scopes: held,
            expires_at,
        })
    }

    /// What is stored of the key that was made for the order.
    #[must_use]
    pub fn fill(self, tenant: TenantId, fresh: FreshKey, now: DateTime<Utc>) -> IssuedKey {
        IssuedKey {
            key: fresh.key,
            stored: ApiKey {
                id: fresh.id,
                tenant,
                label: self.label,
                digest: fresh.digest,
                scopes: self.scopes,
                created_at: now,
                expires_at: self.expires_at,
                last_used_at: None,
                revoked_at: None,
            },
        }
    }
}

fn unknown_scope(word: &str) -> String {
    let nearest = suggest::nearest(word, Scope::ALL.map(Scope::as_str));
    let known = Scope::ALL.map(Scope::as_str).join(", ");
    match nearest {
        Some(_) => format!(
            "there is no scope `{}`{}",
            suggest::quote(word),
            suggest::hint(nearest)
        ),
        None => format!(
            "there is no scope `{}`; there are {known}",
            suggest::quote(word)
        ),
    }
}

/// A key, shown this once.
#[derive(Debug)]
pub struct IssuedKey {
    /// The whole key.
    pub key: SecretString,
    /// What is stored of it.
    pub stored: ApiKey,
}

/// Makes, lists and revokes keys, on record.
///
/// An administrator looks after the keys of their own tenant; one of tenant `default` after those of every tenant.
pub struct KeyService {
    /// The keys.
    pub keys: Arc<dyn ApiKeys>,
    /// Makes new ones.
    pub maker: Arc<dyn KeyMaker>,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl KeyService {
    /// Makes a key.
    ///
    /// # Errors
    /// [`KeyError::OtherTenant`] and [`KeyError::Invalid`].
    pub async fn create(
        &self,
        principal: &Principal,
        request_id: &str,
        tenant: Option<&str>,
        order: KeyOrder,
    ) -> Result<IssuedKey, KeyError> {
        let tenant = tenant_of(principal, tenant)?;
        let issued = order.fill(tenant, self.maker.generate(), self.clock.now());
        let actor = principal.actor(request_id);
        self.keys.insert_key(&issued.stored, &actor).await?;
        Ok(issued)
    }

    /// A page of the keys, by id; revoked and expired ones too.
    ///
    /// # Errors
    /// [`KeyError::OtherTenant`] and [`KeyError::Query`].
    pub async fn list(
        &self,
        principal: &Principal,
        tenant: Option<&str>,
        query: &PageQuery,
    ) -> Result<Page<ApiKey>, KeyError> {
        let tenant = tenant_of(principal, tenant)?;
        let limit = limit_of(query)?;
        let above = query.cursor.as_deref().unwrap_or_default();
        if !above.is_empty() && !is_id(above) {
            return Err(QueryError::Cursor.into());
        }
        let items = self.keys.list_keys(&tenant, above, limit + 1).await?;
        Ok(Page::of_names(items, limit, |key| key.id.clone()))
    }

    /// One key.
    ///
    /// # Errors
    /// [`KeyError::NotFound`] if there is none of this id in the tenant.
    pub async fn read(
        &self,
        principal: &Principal,
        tenant: Option<&str>,
        id: &str,
    ) -> Result<ApiKey, KeyError> {
        let tenant = tenant_of(principal, tenant)?;
        let found = match is_id(id) {
            true => self.keys.read_key(&tenant, id).await?,
            false => None,
        };
        found.ok_or(KeyError::NotFound)
    }

    /// Revokes a key. Every instance refuses it within five seconds.
    ///
    /// # Errors
    /// [`KeyError::NotFound`] if there is none of this id in the tenant.
    pub async fn revoke(
        &self,
        principal: &Principal,
        request_id: &str,
        tenant: Option<&str>,
        id: &str,
    ) -> Result<ApiKey, KeyError> {
        let tenant = tenant_of(principal, tenant)?;
        let actor = principal.actor(request_id);
        let revoked = match is_id(id) {
            true => self.keys.revoke_key(&tenant, id, &actor).await?,
            false => None,
        };
        revoked.ok_or(KeyError::NotFound)
    }
}

/// The tenant that is meant: the principal's own if none is named.
fn tenant_of(principal: &Principal, named: Option<&str>) -> Result<TenantId, KeyError> {
    let Some(named) = named else {
        return Ok(principal.tenant.clone());
    };
    let tenant = TenantId::parse(named)
        .map_err(|error| KeyError::Invalid(vec![FieldError::new("/tenant", error.to_string())]))?;
    if tenant == principal.tenant || principal.tenant == TenantId::default_tenant() {
        Ok(tenant)
    } else {
        Err(KeyError::OtherTenant)
    }
}

/// Whether a text can be the id of a key.
fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#![doc = include_str!("../README.md")]

pub mod metric;
pub mod ports;

mod acknowledgements;
mod audit_export;
mod breaker;
mod callback_token;
mod callbacks;
mod checkpointer;
mod committer;
mod courier;
mod dispatcher;
mod escalate;
mod health;
mod housekeeper;
mod in_flight;
mod intake;
mod keys;
mod local_rate_limiter;
mod operate;
mod outcome;
mod queries;
mod rate_limits;
mod reconciler;
mod retry;
mod rule_book;
mod rule_manager;
mod tenants;
mod webhook_signature;

pub use acknowledgements::Acknowledgements;
pub use audit_export::{AuditExport, ExportError, ExportFormat, ExportService};
pub use breaker::{BreakerState, Breakers};
pub use callback_token::{CallbackTokenError, CallbackTokens};
pub use callbacks::{CallbackError, CallbackService, Refusals};
pub use checkpointer::Checkpointer;
pub use committer::{CommitError, Committer, CommitterSettings};
pub use courier::{Channels, Courier, CourierSettings};
pub use dispatcher::{Dispatcher, DispatcherSettings};
pub use health::{HealthReport, HealthService, PlaybookHealth};
pub use housekeeper::Housekeeper;
pub use intake::{Answer, IntakeError, IntakeService, IntakeSettings, Submission};
pub use keys::{IssuedKey, KeyError, KeyOrder, KeyService, MAX_LABEL};
pub use local_rate_limiter::LocalRateLimiter;
pub use operate::{OperateError, OperatorService, RehearsalRequest, RehearseError};
pub use queries::{MAX_PAGE, Page, PageQuery, QueryError, QueryService};
pub use rate_limits::{RateGate, RateLimits, RateStanding};
pub use reconciler::Reconciler;
pub use retry::retry_after;
pub use rule_book::RuleBook;
pub use rule_manager::{Catalogue, Preview, PreviewError, PreviewTurn, PublishError, RuleManager};
pub use tenants::{
    LimitOrder, MAX_NAMED_SOURCES, QuotaOrder, TenantBook, TenantError, TenantOrder, TenantService,
    TenantStanding,
};
pub use webhook_signature::sign_webhook;

pub use guard_audit::sha256;
pub use guard_policy::{ConditionExplanation, Finding, FindingLevel, RuleExplanation};

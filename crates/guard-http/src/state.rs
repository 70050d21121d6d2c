//! What the handlers work with.

use std::sync::Arc;
use std::time::Duration;

use guard_app::ports::{Authenticator, Clock, Random};
use guard_app::{
    CallbackService, ExportService, HealthService, IntakeService, KeyService, OperatorService,
    QueryService, RuleManager, TenantService,
};
use metrics_exporter_prometheus::PrometheusHandle;

/// The use cases behind the interface.
pub struct Api {
    /// Takes events in.
    pub intake: IntakeService,
    /// Publishes and previews rules.
    pub rules: Arc<RuleManager>,
    /// Pauses, cancels, redrives.
    pub operator: OperatorService,
    /// Takes what workflows report.
    pub callbacks: CallbackService,
    /// Reads back.
    pub queries: QueryService,
    /// Watches over the server.
    pub health: Arc<HealthService>,
    /// Makes and revokes keys.
    pub keys: KeyService,
    /// Creates, limits and disables tenants.
    pub tenants: TenantService,
    /// Writes the audit trail out.
    pub exports: ExportService,
    /// Knows who is asking.
    pub authenticator: Arc<dyn Authenticator>,
    /// Renders the metrics.
    pub metrics: PrometheusHandle,
    /// How long the body of a request may take to arrive.
    pub body_timeout: Duration,
    /// The time, for request ids.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for request ids.
    pub random: Arc<dyn Random>,
    /// The name of this instance.
    pub instance: String,
}

/// What axum hands to the handlers.
pub(crate) type Shared = Arc<Api>;

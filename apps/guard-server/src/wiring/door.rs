//! Who lets callers in.

use std::sync::Arc;

use guard_app::ports::Authenticator;
use guard_identity::BearerAuthenticator;

/// Whoever knows who is asking; in a build with planted faults, where that is the fault, somebody who asks nobody.
pub(super) fn door(authenticator: Arc<BearerAuthenticator>) -> Arc<dyn Authenticator> {
    #[cfg(feature = "planted-faults")]
    if matches!(
        guard_store::planted_fault(),
        Ok(Some(guard_store::PlantedFault::Unguarded))
    ) {
        return Arc::new(open::OpenDoor);
    }
    authenticator
}

#[cfg(feature = "planted-faults")]
mod open {
    use std::net::IpAddr;

    use async_trait::async_trait;
    use guard_app::ports::{AuthError, Authenticator, Principal, Scope};
    use guard_domain::TenantId;

    pub(super) struct OpenDoor;

    #[async_trait]
    impl Authenticator for OpenDoor {
        async fn authenticate(
            &self,
            _token: &str,
            _peer: Option<IpAddr>,
        ) -> Result<Principal, AuthError> {
            Ok(Principal {
                tenant: TenantId::default_tenant(),
                subject: "anybody".to_owned(),
                scopes: vec![Scope::Admin],
            })
        }
    }
}

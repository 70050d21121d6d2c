//! The certificate that the server shows, followed through its changes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use chrono::{DateTime, Utc};
use guard_app::ports::Clock;
use guard_http::{ServerCertificate, Tls};
use tokio_util::sync::CancellationToken;

use crate::config::{Settings, TlsFiles};
use crate::system::SystemClock;

/// How often to see whether the files have changed.
const LOOK: Duration = Duration::from_secs(5);

/// The certificate of a server, and where it comes from.
pub(crate) struct ServedCertificate {
    /// What shows it.
    pub(crate) tls: Arc<Tls>,
    files: TlsFiles,
    /// What was in the files, when they were last looked at.
    seen: Mutex<u64>,
}

impl ServedCertificate {
    /// That of the settings, if they name one.
    pub(crate) fn load(settings: &Settings) -> anyhow::Result<Option<Arc<Self>>> {
        let Some(files) = settings.tls.clone() else {
            return Ok(None);
        };
        let seen = fingerprint(&files);
        let certificate = files.read()?;
        tell(&certificate);
        Ok(Some(Arc::new(Self {
            tls: Arc::new(Tls::new(certificate).context("TLS cannot be used")?),
            files,
            seen: Mutex::new(seen),
        })))
    }

    /// Looks at the files until it is stopped, and shows what they come to hold.
    pub(crate) async fn follow(self: Arc<Self>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => self.look(false).await,
            }
        }
    }

    /// Shows what is in the files now.
    pub(crate) async fn reload(self: &Arc<Self>) {
        self.look(true).await;
    }

    async fn look(self: &Arc<Self>, told_to: bool) {
        let this = self.clone();
        if let Err(error) = tokio::task::spawn_blocking(move || this.read_again(told_to)).await {
            tracing::error!(%error, "the files of the certificate were not looked at");
        }
    }

    /// A pair that cannot be used, half of it written yet perhaps, changes nothing, and is looked at again once it has changed.
    fn read_again(&self, told_to: bool) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = fingerprint(&self.files);
        if now == *seen && !told_to {
            return;
        }
        *seen = now;
        match self.files.read() {
            Ok(certificate) => {
                tell(&certificate);
                self.tls.replace(certificate);
            }
            Err(error) => tracing::error!("the certificate stays as it is: {error:#}"),
        }
    }
}

/// Tells two contents of the files apart, without keeping a key.
fn fingerprint(files: &TlsFiles) -> u64 {
    let mut hasher = DefaultHasher::new();
    for path in [&files.certificate, &files.key] {
        std::fs::read(path).ok().hash(&mut hasher);
    }
    hasher.finish()
}

fn tell(certificate: &ServerCertificate) {
    let Some(end) = certificate.expires_at() else {
        tracing::info!("a certificate is shown whose end cannot be read");
        return;
    };
    if has_ended(end) {
        tracing::warn!(%end, "the certificate has ended: clients refuse it");
    } else {
        tracing::info!(%end, "a certificate is shown");
    }
}

fn has_ended(end: DateTime<Utc>) -> bool {
    SystemClock::start().now() >= end
}

/// What is to be said of a certificate that can be used.
pub(crate) fn warning(files: &TlsFiles) -> anyhow::Result<Option<String>> {
    let end = files.read()?.expires_at().filter(|end| has_ended(*end));
    Ok(end
        .map(|end| format!("`server.tls.certificate`: it has ended, on {end}: clients refuse it")))
}

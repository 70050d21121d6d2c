//! TLS, and the certificate that the server shows.

mod validity;

use std::fmt;
use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use chrono::{DateTime, Utc};
use guard_app::metric;
use metrics::gauge;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{InconsistentKeys, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

/// The protocols that clients may choose from, the best first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What is wrong with a certificate or its key.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The text has no certificate.
    #[error("there is no certificate in it: `-----BEGIN CERTIFICATE-----` is expected")]
    NoCertificate,
    /// The text has no key.
    #[error(
        "there is no private key in it: `-----BEGIN PRIVATE KEY-----` is expected, unencrypted"
    )]
    NoKey,
    /// The text is no PEM.
    #[error("it is not PEM")]
    Pem(#[source] pem::Error),
    /// The key belongs to another certificate.
    #[error(
        "the key does not fit the certificate; the server's own certificate comes first in its file"
    )]
    Mismatch,
    /// One of them cannot be used.
    #[error("the certificate and the key cannot be used: {0}")]
    Unusable(#[source] rustls::Error),
}

/// A certificate, with those that lead to its issuer, and its key.
#[derive(Clone)]
pub struct ServerCertificate {
    certified: Arc<CertifiedKey>,
    expires_at: Option<DateTime<Utc>>,
}

/// The key is not shown.
impl fmt::Debug for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

impl ServerCertificate {
    /// Reads a chain of certificates and the key of the first one.
    ///
    /// # Errors
    /// What does not hold a chain and a key that fit each other.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        let first = chain.first().ok_or(CertificateError::NoCertificate)?;
        let expires_at = validity::not_after(first);
        let certified =
            CertifiedKey::from_der(chain, key, &provider()).map_err(|error| match error {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    CertificateError::Mismatch
                }
                error => CertificateError::Unusable(error),
            })?;
        Ok(Self {
            certified: Arc::new(certified),
            expires_at,
        })
    }

    /// The certificates in a text in PEM, one at least.
    ///
    /// # Errors
    /// What is no PEM, or has none.
    pub fn read_chain(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
        let chain = chain.map_err(CertificateError::Pem)?;
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        Ok(chain)
    }

    /// The first private key in a text in PEM.
    ///
    /// # Errors
    /// What is no PEM, or has none.
    pub fn read_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, CertificateError> {
        PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
            pem::Error::NoItemsFound => CertificateError::NoKey,
            error => CertificateError::Pem(error),
        })
    }

    /// When it ends, if it says so in a way that is understood here.
    #[must_use]
    pub const fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.expires_at
    }
}

/// How connections are encrypted. The certificate can be replaced while connections are open.
pub struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").finish_non_exhaustive()
    }
}

impl Tls {
    /// TLS 1.2 or 1.3, by this certificate.
    ///
    /// # Errors
    /// A library that lacks these versions.
    pub fn new(certificate: ServerCertificate) -> Result<Self, CertificateError> {
        let current = Arc::new(Current(ArcSwap::new(certificate.certified.clone())));
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_safe_default_protocol_versions()
            .map_err(CertificateError::Unusable)?
            .with_no_client_auth()
            .with_cert_resolver(current.clone());
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        let tls = Self {
            acceptor: Arc::new(config).into(),
            current,
        };
        tls.replace(certificate);
        Ok(tls)
    }

    /// Shows another certificate from the next connection on; those that are open go on.
    pub fn replace(&self, certificate: ServerCertificate) {
        let expires_at = certificate.expires_at.map_or(f64::NAN, |end| {
            #[expect(clippy::cast_precision_loss, reason = "a date in seconds")]
            let seconds = end.timestamp() as f64;
            seconds
        });
        gauge!(metric::CERTIFICATE_EXPIRY).set(expires_at);
        self.current.0.store(certificate.certified);
    }

    /// Agrees on keys with a client.
    pub(crate) async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        self.acceptor.accept(stream).await
    }
}

fn provider() -> CryptoProvider {
    aws_lc_rs::default_provider()
}

/// The certificate of the moment.
#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertifiedKey as Made, generate_simple_self_signed};

    fn made() -> (String, String) {
        let Made { cert, signing_key } = generate_simple_self_signed(["localhost".into()]).unwrap();
        (cert.pem(), signing_key.serialize_pem())
    }

    fn read(chain: &str, key: &str) -> Result<ServerCertificate, CertificateError> {
        let chain = ServerCertificate::read_chain(chain.as_bytes())?;
        ServerCertificate::new(chain, ServerCertificate::read_key(key.as_bytes())?)
    }

    #[test]
    fn what_is_wrong_with_a_certificate_is_told() {
        let ((chain, key), (other_chain, other_key)) = (made(), made());
        assert!(read(&chain, &key).is_ok());
        let told = |chain: &str, key: &str| read(chain, key).unwrap_err().to_string();
        assert!(told(&chain, &other_key).contains("does not fit"));
        assert!(told(&(other_chain + &chain), &key).contains("comes first"));
        assert!(told("", &key).contains("no certificate in it"));
        assert!(told(&key, &key).contains("no certificate in it"));
        assert!(told(&chain, &chain).contains("no private key in it"));
        let cut = chain.replace("-----END CERTIFICATE-----", "");
        assert!(told(&cut, &key).contains("not PEM"));
        let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(told(nonsense, &key).contains("cannot be used"));
    }

    #[test]
    fn the_key_is_not_shown() {
        let (chain, key) = made();
        let certificate = read(&chain, &key).unwrap();
        let shown = format!(
            "{certificate:?} {:?}",
            Tls::new(certificate.clone()).unwrap()
        );
        assert!(shown.len() < 200, "{shown}");
    }
}

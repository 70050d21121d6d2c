//! The files of the server's certificate.

use std::path::{Path, PathBuf};

use anyhow::Context;
use guard_http::{CertificateError, ServerCertificate};

use super::reader::Reader;

const CERTIFICATE: &str = "server.tls.certificate";
const KEY: &str = "server.tls.key";

/// Where the server's certificate and its key are.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The certificate, with those that lead to its issuer.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// What is wrong, and with which of the keys.
struct Wrong(&'static str, anyhow::Error);

impl TlsFiles {
    /// Reads and checks them.
    ///
    /// # Errors
    /// A file that is not there or holds something else, and a key that does not fit.
    pub fn read(&self) -> anyhow::Result<ServerCertificate> {
        self.checked()
            .map_err(|Wrong(name, why)| why.context(format!("`{name}`")))
    }

    fn checked(&self) -> Result<ServerCertificate, Wrong> {
        let chain = from_file(&self.certificate, ServerCertificate::read_chain);
        let chain = chain.map_err(|why| Wrong(CERTIFICATE, why))?;
        let key = from_file(&self.key, ServerCertificate::read_key);
        let key = key.map_err(|why| Wrong(KEY, why))?;
        ServerCertificate::new(chain, key).map_err(|why| {
            let files = format!(
                "`{}` and `{}`",
                self.certificate.display(),
                self.key.display()
            );
            Wrong(KEY, anyhow::Error::new(why).context(files))
        })
    }
}

fn from_file<T>(path: &Path, read: fn(&[u8]) -> Result<T, CertificateError>) -> anyhow::Result<T> {
    let named = || format!("the file `{}`", path.display());
    let text = std::fs::read(path).with_context(named)?;
    read(&text).with_context(named)
}

impl Reader<'_> {
    /// Reads where the certificate is, if there is one, and whether it can be used.
    pub(super) fn tls(&mut self) -> Option<TlsFiles> {
        let path = |name| {
            let text = self.resolved.get(name).filter(|text| !text.is_empty());
            text.map(PathBuf::from)
        };
        let (certificate, key) = match (path(CERTIFICATE), path(KEY)) {
            (None, None) => return None,
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => {
                self.refuse(KEY, format!("it must be set, because `{CERTIFICATE}` is"));
                return None;
            }
            (None, Some(_)) => {
                self.refuse(CERTIFICATE, format!("it must be set, because `{KEY}` is"));
                return None;
            }
        };
        let files = TlsFiles { certificate, key };
        if let Err(Wrong(name, why)) = files.checked() {
            self.refuse(name, format!("{why:#}"));
        }
        Some(files)
    }
}

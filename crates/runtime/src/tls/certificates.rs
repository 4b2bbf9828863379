//! The certificates of a site, found by the name a client asks for.

use std::collections::HashMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::TlsConfigError;

/// A certificate chain with its private key, checked to belong together.
#[derive(Clone, Debug)]
pub struct Certificate {
    key: Arc<CertifiedKey>,
    names: Vec<String>,
}

impl Certificate {
    /// Reads a PEM chain (leaf first) and its PEM key (PKCS#8, PKCS#1 or SEC1).
    ///
    /// # Errors
    ///
    /// A file that cannot be read, holds nothing of the kind, or a key that is
    /// not the leaf's.
    pub fn load(chain_path: &Path, key_path: &Path) -> Result<Self, TlsConfigError> {
        let file_error = |what, path: &Path| {
            let path = path.to_owned();
            move |source| TlsConfigError::File { what, path, source }
        };
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(chain_path)
            .and_then(Iterator::collect)
            .map_err(file_error("certificates", chain_path))?;
        if chain.is_empty() {
            return Err(TlsConfigError::EmptyChain {
                path: chain_path.to_owned(),
            });
        }
        let key = PrivateKeyDer::from_pem_file(key_path)
            .map_err(file_error("a private key", key_path))?;
        Self::new(chain, key).map_err(|source| TlsConfigError::Pair {
            chain: chain_path.to_owned(),
            key: key_path.to_owned(),
            source,
        })
    }

    /// Puts a chain (leaf first) and its key together.
    ///
    /// # Errors
    ///
    /// The key is of a kind not supported or is not the leaf's.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let key = CertifiedKey::from_der(chain, key, &provider)?;
        let leaf = key.end_entity_cert()?;
        let names = webpki::EndEntityCert::try_from(leaf)
            .map(|leaf| {
                leaf.valid_dns_names()
                    .map(str::to_ascii_lowercase)
                    .collect()
            })
            .unwrap_or_default();
        Ok(Self {
            key: Arc::new(key),
            names,
        })
    }

    /// The DNS names the leaf is valid for, lower case.
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

/// Chooses among a site's certificates.
///
/// An exact name wins over a wildcard; a client that names no host, or one that
/// no certificate covers, gets the first. Several certificates may cover one
/// name (say ECDSA and RSA): the first whose key the client can verify is used.
pub struct Certificates {
    by_name: HashMap<String, Vec<Arc<CertifiedKey>>>,
    first: Vec<Arc<CertifiedKey>>,
}

impl Certificates {
    /// A chooser over `certificates`, of which the first is the default.
    pub fn new(certificates: impl IntoIterator<Item = Certificate>) -> Self {
        let mut by_name: HashMap<String, Vec<Arc<CertifiedKey>>> = HashMap::new();
        let mut first = Vec::new();
        for certificate in certificates {
            for name in certificate.names {
                by_name
                    .entry(name)
                    .or_default()
                    .push(certificate.key.clone());
            }
            first.push(certificate.key);
        }
        Self { by_name, first }
    }

    fn for_name(&self, name: &str) -> Option<&[Arc<CertifiedKey>]> {
        // rustls gives the name in lower case, as the names here are.
        if let Some(keys) = self.by_name.get(name) {
            return Some(keys);
        }
        let (_, parent) = name.split_once('.')?;
        self.by_name.get(&format!("*.{parent}")).map(Vec::as_slice)
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificates")
            .field("names", &self.by_name.keys())
            .finish_non_exhaustive()
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let keys = hello
            .server_name()
            .and_then(|name| self.for_name(name))
            .unwrap_or(&self.first);
        let usable =
            |key: &&Arc<CertifiedKey>| key.key.choose_scheme(hello.signature_schemes()).is_some();
        keys.iter().find(usable).cloned()
    }
}

//! Certificates of clients: whether a server asks for them, and whom it believes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use super::TlsConfigError;
use super::client::file_roots;

/// Whether clients are asked for a certificate (RFC 8446 section 4.3.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientCertificates {
    /// They are not.
    #[default]
    NotAsked,
    /// They are, by the authorities in this PEM file; who has none comes in without.
    Optional(PathBuf),
    /// They are, by the authorities in this PEM file; who has none does not come in.
    Required(PathBuf),
}

impl ClientCertificates {
    pub(super) fn verifier(
        &self,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Arc<dyn ClientCertVerifier>, TlsConfigError> {
        let (path, is_optional) = match self {
            Self::NotAsked => return Ok(WebPkiClientVerifier::no_client_auth()),
            Self::Optional(path) => (path, true),
            Self::Required(path) => (path, false),
        };
        let roots = roots(path)?;
        let builder =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
        let builder = match is_optional {
            true => builder.allow_unauthenticated(),
            false => builder,
        };
        builder
            .build()
            .map_err(|error| TlsConfigError::Roots(error.to_string()))
    }
}

fn roots(path: &Path) -> Result<RootCertStore, TlsConfigError> {
    let roots = file_roots(path)?;
    match roots.is_empty() {
        true => Err(TlsConfigError::EmptyChain {
            path: path.to_owned(),
        }),
        false => Ok(roots),
    }
}

//! One self-signed ECDSA P-256 certificate for everybody, in the shapes the peers want it.

use anyhow::{Context, Result};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls_pki_types::CertificateDer;
use std::fs;
use std::path::{Path, PathBuf};

/// The name the certificate is for.
pub(crate) const SERVER_NAME: &str = "localhost";

/// A certificate and its key.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// What clients trust.
    pub(crate) der: CertificateDer<'static>,
    /// PEM file with the certificate.
    pub(crate) chain: PathBuf,
    /// PEM file with the key.
    pub(crate) key: PathBuf,
    /// PEM file with both, as haproxy reads it.
    pub(crate) combined: PathBuf,
}

impl Certificate {
    /// Makes one and writes its files into `directory`.
    pub(crate) fn make(directory: &Path) -> Result<Self> {
        let key_pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let params = CertificateParams::new(vec![SERVER_NAME.to_owned()])?;
        let certificate = params.self_signed(&key_pair)?;
        let (chain_pem, key_pem) = (certificate.pem(), key_pair.serialize_pem());
        let write = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
            anyhow::Ok(path)
        };
        Ok(Self {
            der: certificate.der().clone(),
            chain: write("server.crt", &chain_pem)?,
            key: write("server.key", &key_pem)?,
            combined: write("server.pem", &format!("{chain_pem}{key_pem}"))?,
        })
    }
}

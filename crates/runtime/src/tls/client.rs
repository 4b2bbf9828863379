//! The client side: whom an upstream must prove to be.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use tokio_rustls::{TlsConnector, TlsStream};

use super::TlsConfigError;
use crate::io::Io;

/// Whose word on a server's identity is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Roots {
    /// The certificate authorities the operating system trusts.
    #[default]
    System,
    /// Those in this PEM file, and no others.
    File(PathBuf),
    /// Nobody is asked: any certificate passes. Encrypts, but authenticates nothing.
    Unverified,
}

/// What is asked of a TLS server we connect to.
#[derive(Clone, Debug, Default)]
pub struct ClientTlsOptions {
    /// The trusted certificate authorities.
    pub roots: Roots,
    /// Application protocols by preference (RFC 7301).
    pub application_protocols: Vec<Vec<u8>>,
}

/// A client's TLS configuration, shared by all workers.
#[derive(Clone, Debug)]
pub struct ClientTls(Arc<ClientConfig>);

impl ClientTls {
    /// Builds the configuration, reading the certificate authorities.
    ///
    /// # Errors
    ///
    /// No certificate authority could be loaded, or rustls refuses the settings.
    pub fn new(options: ClientTlsOptions) -> Result<Self, TlsConfigError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()?;
        let mut config = match &options.roots {
            Roots::System => builder.with_root_certificates(system_roots()?),
            Roots::File(path) => builder.with_root_certificates(file_roots(path)?),
            Roots::Unverified => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(NoVerification::new(&provider))),
        }
        .with_no_client_auth();
        config.alpn_protocols = options.application_protocols;
        Ok(Self(Arc::new(config)))
    }

    /// Makes the handshake with the server called `name` over `io`.
    ///
    /// Has no time limit of its own; dropping it closes the socket.
    ///
    /// # Errors
    ///
    /// The server does not prove to be `name`, or the connection broke.
    pub async fn connect(&self, name: ServerName<'static>, io: Io) -> io::Result<Io> {
        let socket = io.into_socket().map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "TLS within TLS is not supported",
            )
        })?;
        let stream = TlsConnector::from(self.0.clone())
            .connect(name, socket)
            .await?;
        Ok(Io::from_tls(TlsStream::Client(stream)))
    }
}

fn system_roots() -> Result<RootCertStore, TlsConfigError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let cause = found
            .errors
            .first()
            .map_or_else(|| "the system has none".to_owned(), ToString::to_string);
        return Err(TlsConfigError::Roots(cause));
    }
    Ok(roots)
}

pub(super) fn file_roots(path: &Path) -> Result<RootCertStore, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| TlsConfigError::File {
            what: "certificate authorities",
            path: path.to_owned(),
            source,
        })?;
    for certificate in certificates {
        roots.add(certificate)?;
    }
    if roots.is_empty() {
        return Err(TlsConfigError::EmptyChain {
            path: path.to_owned(),
        });
    }
    Ok(roots)
}

/// Checks that the server holds the key of the certificate it shows, and nothing else.
#[derive(Debug)]
struct NoVerification {
    algorithms: WebPkiSupportedAlgorithms,
}

impl NoVerification {
    fn new(provider: &CryptoProvider) -> Self {
        Self {
            algorithms: provider.signature_verification_algorithms,
        }
    }
}

impl ServerCertVerifier for NoVerification {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

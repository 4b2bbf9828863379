//! Certificates, and clients that look at them.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};

use crate::client::{Client, tcp};
use crate::harness::Place;

/// Writes a fresh self-signed pair as `NAME.crt` and `NAME.key`; its PEM text.
pub(crate) fn write_pair(place: &Place, name: &str) -> String {
    let pair = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (chain, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    std::fs::write(place.path(&format!("{name}.crt")), &chain).unwrap();
    std::fs::write(place.path(&format!("{name}.key")), key).unwrap();
    chain
}

pub(crate) const PAIR: &str =
    r#"tls = { certificates = [{ chain = "web.crt", key = "web.key" }] }"#;

pub(crate) type TlsClient = Client<StreamOwned<ClientConnection, TcpStream>>;

/// A client that trusts one certificate and keeps its tickets.
pub(crate) struct Trusting(Arc<ClientConfig>);

impl Trusting {
    pub(crate) fn file(path: &Path) -> Self {
        Self::pem(&std::fs::read_to_string(path).unwrap())
    }

    pub(crate) fn pem(chain: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_slice(chain.as_bytes()).unwrap();
        roots.add(certificate).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self(Arc::new(config))
    }

    pub(crate) fn connect(&self, address: SocketAddr) -> io::Result<TlsClient> {
        let name = "localhost".try_into().unwrap();
        let session = ClientConnection::new(self.0.clone(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, tcp(address)?);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Client::over(stream))
    }
}

impl TlsClient {
    pub(crate) fn resumed(&self) -> bool {
        self.stream.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

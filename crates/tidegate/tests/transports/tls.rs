//! Certificates, and the client's side of TLS.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

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

/// A client's session over `stream`, its handshake done, that trusts `chain` alone.
pub(crate) fn over<S: Read + Write>(stream: S, chain: &str) -> StreamOwned<ClientConnection, S> {
    offering(stream, chain, &[]).unwrap()
}

/// The same by a client that offers to speak these protocols (RFC 7301).
pub(crate) fn offering<S: Read + Write>(
    stream: S,
    chain: &str,
    protocols: &[&[u8]],
) -> io::Result<StreamOwned<ClientConnection, S>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(chain.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
    let name = "localhost".try_into().unwrap();
    let session = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut stream = StreamOwned::new(session, stream);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(stream)
}

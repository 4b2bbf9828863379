//! TLS on both sides of the gateway: an authority made for the test, whom clients
//! trust, and origins with certificates of it.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
};
use socket2::SockRef;

use super::peer::{Peer, Stream};

/// Somebody who issues certificates.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

/// A certificate and its key, as files and as they are.
pub(crate) struct Identity {
    /// The file of the certificate.
    pub(crate) chain: PathBuf,
    /// The file of the key.
    pub(crate) key: PathBuf,
    certificate_pem: String,
    key_pem: String,
}

impl Authority {
    /// A new one.
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::new(Vec::new()).unwrap();
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Self {
            issuer: CertifiedIssuer::self_signed(parameters, key).unwrap(),
        }
    }

    /// Writes its own certificate into `directory`.
    pub(crate) fn write(&self, directory: &Path) -> PathBuf {
        let file = directory.join("authority.crt");
        std::fs::write(&file, self.issuer.pem()).unwrap();
        file
    }

    /// Issues a certificate for `name`, with files in `directory`.
    pub(crate) fn issue(&self, name: &str, directory: &Path) -> Identity {
        let key = KeyPair::generate().unwrap();
        let parameters = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = parameters.signed_by(&key, &self.issuer).unwrap();
        let identity = Identity {
            chain: directory.join(format!("{name}.crt")),
            key: directory.join(format!("{name}.key")),
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        };
        std::fs::write(&identity.chain, &identity.certificate_pem).unwrap();
        std::fs::write(&identity.key, &identity.key_pem).unwrap();
        identity
    }

    /// What a client that trusts it is configured by.
    pub(crate) fn client(&self, protocols: &[&str]) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.issuer.der().clone()).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|it| it.as_bytes().to_vec()).collect();
        Arc::new(config)
    }

    /// A client that expects `name` at `address`, with the protocol that was agreed on
    /// and the certificate that was shown.
    pub(crate) fn connect(
        &self,
        name: &str,
        address: SocketAddr,
        protocols: &[&str],
    ) -> std::io::Result<(Peer, Option<Vec<u8>>, Vec<u8>)> {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        let session = ClientConnection::new(self.client(protocols), name).unwrap();
        let socket = TcpStream::connect(address)?;
        socket.set_read_timeout(Some(super::DEADLINE))?;
        let mut stream = StreamOwned::new(session, socket);
        stream.conn.complete_io(&mut stream.sock)?;
        let protocol = stream.conn.alpn_protocol().map(<[u8]>::to_vec);
        let shown = stream.conn.peer_certificates().unwrap()[0].to_vec();
        Ok((Peer::new(stream), protocol, shown))
    }
}

impl Identity {
    /// Its certificate.
    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate_pem.as_bytes()).unwrap()
    }

    /// What a server that has it is configured by.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        let key = PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes()).unwrap();
        let builder = ServerConfig::builder().with_no_client_auth();
        Arc::new(
            builder
                .with_single_cert(vec![self.certificate()], key)
                .unwrap(),
        )
    }
}

impl Stream for StreamOwned<ClientConnection, TcpStream> {
    fn finish(&mut self) {
        self.conn.send_close_notify();
        self.flush().unwrap();
        self.sock.shutdown(Shutdown::Write).unwrap();
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.sock)
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn finish(&mut self) {
        self.conn.send_close_notify();
        self.flush().unwrap();
        self.sock.shutdown(Shutdown::Write).unwrap();
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(&self.sock)
    }
}

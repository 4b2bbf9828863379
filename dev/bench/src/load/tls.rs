//! TLS 1.3 clients that never resume, and count what would let them.

use crate::certificate::{Certificate, SERVER_NAME};
use anyhow::Result;
use rustls::client::{
    ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, HandshakeKind, NamedGroup, ProtocolVersion, RootCertStore};
use rustls_pki_types::ServerName;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// Opens TLS connections, each with a full handshake, or fails.
#[derive(Clone)]
pub(crate) struct Connector {
    connector: TlsConnector,
    tickets: Arc<TicketCounter>,
}

impl Connector {
    /// Trusts `certificate` only. Offers one group and one cipher, so that every server does the
    /// same work whatever it prefers.
    pub(crate) fn new(certificate: &Certificate) -> Result<Self> {
        let mut provider = aws_lc_rs::default_provider();
        provider.kx_groups = vec![aws_lc_rs::kx_group::X25519];
        provider.cipher_suites = vec![aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256];
        let mut roots = RootCertStore::empty();
        roots.add(certificate.der.clone())?;
        let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let tickets = Arc::new(TicketCounter::default());
        config.resumption = Resumption::store(Arc::clone(&tickets) as Arc<dyn ClientSessionStore>);
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            tickets,
        })
    }

    /// Shakes hands over `stream`; an error if that was not a full TLS 1.3 handshake.
    pub(crate) async fn connect(&self, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
        let stream = self.connector.connect(name, stream).await?;
        let (_, connection) = stream.get_ref();
        if connection.handshake_kind() != Some(HandshakeKind::Full)
            || connection.protocol_version() != Some(ProtocolVersion::TLSv1_3)
        {
            return Err(io::Error::other("not a full TLS 1.3 handshake"));
        }
        Ok(stream)
    }

    /// Session tickets that servers have sent so far.
    pub(crate) fn tickets(&self) -> u64 {
        self.tickets.0.load(Ordering::Relaxed)
    }
}

/// A session store that forgets, so that every handshake is a full one.
#[derive(Debug, Default)]
struct TicketCounter(AtomicU64);

impl ClientSessionStore for TicketCounter {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        None
    }
}

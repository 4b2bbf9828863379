//! The server side: protocol versions, tickets, and the handshake.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use rustls::server::{NoServerSessionStorage, ProducesTickets, ServerConfig, ServerConnection};
use rustls::{SupportedProtocolVersion, version};
use tokio_rustls::{TlsAcceptor, TlsStream};

use super::{Certificate, Certificates, ClientCertificates, TlsConfigError};
use crate::io::Io;

/// The oldest TLS version accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2 and later (RFC 5246).
    #[default]
    Tls12,
    /// TLS 1.3 only (RFC 8446).
    Tls13,
}

/// Whether clients may resume sessions with tickets (RFC 8446 section 4.6.1).
#[derive(Clone, Debug, Default)]
pub enum SessionTickets {
    /// Every connection makes a full handshake.
    #[default]
    Off,
    /// Tickets under these keys.
    On(TicketKeys),
}

/// The keys session tickets are sealed with; they rotate by themselves.
///
/// Shared by all workers and handed from one configuration to the next.
#[derive(Clone)]
pub struct TicketKeys(Arc<dyn ProducesTickets>);

impl TicketKeys {
    /// Fresh random keys.
    ///
    /// # Errors
    ///
    /// The system gives no randomness.
    pub fn generate() -> Result<Self, TlsConfigError> {
        Ok(Self(rustls::crypto::aws_lc_rs::Ticketer::new()?))
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys(..)")
    }
}

/// What a site asks of TLS.
#[derive(Debug)]
pub struct ServerTlsOptions {
    /// At least one; the first is the default.
    pub certificates: Vec<Certificate>,
    /// The oldest version accepted.
    pub min_version: TlsVersion,
    /// Application protocols by preference, as in `b"h2"` (RFC 7301).
    pub application_protocols: Vec<Vec<u8>>,
    /// Session resumption. Nobody resumes where clients are asked for a certificate: who
    /// resumes is taken at the word of the ticket (RFC 8446 section 2.2), and one whose
    /// certificate has expired, or is of an authority that an update has taken out, would
    /// come in for as long as the keys last, which outlive updates. A full handshake costs
    /// a signature and two checks more.
    pub tickets: SessionTickets,
    /// What clients have to prove.
    pub clients: ClientCertificates,
}

/// A server's TLS configuration, shared by all workers.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<ServerConfig>);

static TLS13_ONLY: &[&SupportedProtocolVersion] = &[&version::TLS13];

impl ServerTls {
    /// Builds the configuration.
    ///
    /// # Errors
    ///
    /// rustls refuses the settings.
    pub fn new(options: ServerTlsOptions) -> Result<Self, TlsConfigError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let clients = options.clients.verifier(&provider)?;
        let versions = match options.min_version {
            TlsVersion::Tls12 => rustls::ALL_VERSIONS,
            TlsVersion::Tls13 => TLS13_ONLY,
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .with_client_cert_verifier(clients)
            .with_cert_resolver(Arc::new(Certificates::new(options.certificates)));
        config.alpn_protocols = options.application_protocols;
        // Stateless tickets only: the stateful cache is a lock shared by all workers.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        let tickets = match options.clients {
            ClientCertificates::NotAsked => options.tickets,
            ClientCertificates::Optional(_) | ClientCertificates::Required(_) => {
                SessionTickets::Off
            }
        };
        match tickets {
            SessionTickets::On(keys) => config.ticketer = keys.0,
            SessionTickets::Off => config.send_tls13_tickets = 0,
        }
        Ok(Self(Arc::new(config)))
    }

    /// Makes the handshake. Has no time limit of its own; dropping it closes the socket.
    ///
    /// # Errors
    ///
    /// The peer's handshake is wrong, or the connection broke.
    pub async fn accept(&self, mut io: Io) -> io::Result<Io> {
        let mut early = io.take_prefix();
        let socket = io.into_socket().map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                "TLS within TLS is not supported",
            )
        })?;
        let acceptor = TlsAcceptor::from(self.0.clone());
        let mut fed = Ok(());
        let accepting = acceptor.accept_with(socket, |session| {
            fed = feed(session, &mut early);
        });
        fed?;
        let stream = accepting.await?;
        Ok(Io::from_tls(TlsStream::Server(stream)))
    }
}

/// Gives a session what was read from its socket before it was there.
///
/// What the session finds wrong it says again when the handshake goes on, and to the peer.
fn feed(session: &mut ServerConnection, bytes: &mut Bytes) -> io::Result<()> {
    while !bytes.is_empty() {
        session.read_tls(&mut bytes.reader())?;
        if session.process_new_packets().is_err() {
            return Ok(());
        }
    }
    Ok(())
}

//! TLS through rustls: certificates chosen by name, tickets shared by all
//! workers, handshakes with a time limit.
//!
//! Configurations are built once, on the control thread, and shared by every
//! worker. A pair of files that does not fit together is an error there, before
//! any worker has heard of it. The [`TicketKeys`] outlive the configurations, so
//! that clients resume their sessions across updates.

mod certificates;
mod client;
mod client_certificates;
mod hello;
mod server;
mod service;

use std::path::PathBuf;

use thiserror::Error;

pub use certificates::{Certificate, Certificates};
pub use client::{ClientTls, ClientTlsOptions, Roots};
pub use client_certificates::ClientCertificates;
pub use hello::{CLIENT_HELLO_BYTES_MAX, ClientHello, ClientHelloError, ClientHelloPeek};
pub use server::{ServerTls, ServerTlsOptions, SessionTickets, TicketKeys, TlsVersion};
pub use service::{TlsFactory, TlsMode, TlsService, TlsServiceError};

/// A TLS configuration that cannot be built.
#[derive(Debug, Error)]
pub enum TlsConfigError {
    /// A file could not be read or holds no PEM of the kind expected.
    #[error("cannot read {what} from {}: {source}", path.display())]
    File {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it could not be read.
        source: rustls_pki_types::pem::Error,
    },
    /// The certificate chain in this file is empty.
    #[error("{} holds no certificate", path.display())]
    EmptyChain {
        /// The file.
        path: PathBuf,
    },
    /// The key is of a kind not supported, or is not the key of the certificate.
    #[error("the key {} does not serve the certificate {}: {source}", key.display(), chain.display())]
    Pair {
        /// The certificate chain's file.
        chain: PathBuf,
        /// The private key's file.
        key: PathBuf,
        /// What rustls found.
        source: rustls::Error,
    },
    /// The system's or the given certificate authorities could not be loaded.
    #[error("no usable certificate authority: {0}")]
    Roots(String),
    /// rustls refused the combination of settings.
    #[error("TLS settings refused: {0}")]
    Settings(#[from] rustls::Error),
}

//! A new connection to an endpoint, within one time limit.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use thiserror::Error;
use tidegate_http::client::ClientConnection;
use tidegate_http::{Fault, FaultKind};
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::io::Io;
use tidegate_runtime::limit::{self, Limit};
use tokio::io::AsyncWriteExt;

use super::{EndpointAddress, EndpointSpec};

/// Why no connection to an endpoint came about.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// The time limit passed.
    #[error("no connection to {endpoint} in time")]
    Late {
        /// The endpoint.
        endpoint: String,
    },
    /// Its name has not been resolved yet, or to nothing.
    #[error("{endpoint} has no address")]
    Unresolved {
        /// The endpoint.
        endpoint: String,
    },
    /// The connection was refused, or broke before it was usable.
    #[error("connecting to {endpoint} failed: {source}")]
    Failed {
        /// The endpoint.
        endpoint: String,
        /// What the system or TLS says.
        source: io::Error,
    },
}

/// How a connection is made.
#[derive(Clone, Copy, Debug)]
pub struct Connecting<'a> {
    /// The longest it may take, with TLS where it is spoken. The limit is for all of it:
    /// a name with several addresses gets them tried one after another within it.
    pub timeout: Duration,
    /// What is sent ahead of everything else, TLS included: a PROXY protocol header.
    pub greeting: &'a [u8],
}

/// Connects for HTTP.
pub(super) async fn connect(
    endpoint: &EndpointSpec,
    timeout: Duration,
) -> Result<ClientConnection, Fault> {
    let connecting = Connecting {
        timeout,
        greeting: &[],
    };
    let connected = connect_stream(endpoint, connecting).await;
    connected.map(ClientConnection::new).map_err(|error| {
        let kind = match &error {
            ConnectError::Late { .. } => FaultKind::UpstreamConnectTimeout,
            ConnectError::Unresolved { .. } => FaultKind::NoEndpoint,
            ConnectError::Failed { .. } => FaultKind::UpstreamConnect,
        };
        Fault::new(kind, error.to_string())
    })
}

/// Connects.
pub(super) async fn connect_stream(
    endpoint: &EndpointSpec,
    connecting: Connecting<'_>,
) -> Result<Io, ConnectError> {
    let deadline = Deadline::new();
    deadline.arm(connecting.timeout);
    let established = deadline.run(establish(endpoint, connecting.greeting)).await;
    established.unwrap_or_else(|_| {
        limit::hit(Limit::UpstreamConnectTimeout);
        Err(ConnectError::Late {
            endpoint: endpoint.address.to_string(),
        })
    })
}

async fn establish(endpoint: &EndpointSpec, greeting: &[u8]) -> Result<Io, ConnectError> {
    let failed = |source| ConnectError::Failed {
        endpoint: endpoint.address.to_string(),
        source,
    };
    let io = match &endpoint.address {
        EndpointAddress::Tcp(address) => Io::connect_tcp(*address).await,
        EndpointAddress::Unix(path) => Io::connect_unix(path).await,
        EndpointAddress::Name { resolved, .. } => {
            let addresses = resolved.addresses().to_vec();
            if addresses.is_empty() {
                return Err(ConnectError::Unresolved {
                    endpoint: endpoint.address.to_string(),
                });
            }
            first_that_connects(&addresses).await
        }
    };
    let mut io = io.map_err(failed)?;
    if !greeting.is_empty() {
        io.write_all(greeting).await.map_err(failed)?;
    }
    match &endpoint.tls {
        None => Ok(io),
        Some(tls) => tls
            .client
            .connect(tls.name.clone(), io)
            .await
            .map_err(failed),
    }
}

async fn first_that_connects(addresses: &[SocketAddr]) -> io::Result<Io> {
    let mut failure = io::Error::from(io::ErrorKind::NotFound);
    for &address in addresses {
        match Io::connect_tcp(address).await {
            Ok(io) => return Ok(io),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

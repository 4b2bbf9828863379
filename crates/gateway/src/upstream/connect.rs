//! A new connection to an endpoint, within its time limit.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tidegate_http::client::ClientConnection;
use tidegate_http::{Fault, FaultKind};
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::io::Io;
use tidegate_runtime::limit::Limit;

use super::{EndpointAddress, EndpointSpec};

/// Connects, with TLS where it is spoken. The limit is for all of it: a name
/// with several addresses gets them tried one after another within it.
pub(super) async fn connect(
    endpoint: &EndpointSpec,
    timeout: Duration,
) -> Result<ClientConnection, Fault> {
    let deadline = Deadline::new();
    deadline.arm(timeout);
    let io = deadline.run(establish(endpoint)).await.map_err(|_| {
        let detail = format!("no connection to {} in time", endpoint.address);
        let limit = Limit::UpstreamConnectTimeout;
        Fault::late(FaultKind::UpstreamConnectTimeout, limit, detail)
    })??;
    Ok(ClientConnection::new(io))
}

async fn establish(endpoint: &EndpointSpec) -> Result<Io, Fault> {
    let io = match &endpoint.address {
        EndpointAddress::Tcp(address) => Io::connect_tcp(*address).await,
        EndpointAddress::Unix(path) => Io::connect_unix(path).await,
        EndpointAddress::Name { resolved, .. } => {
            let addresses = resolved.addresses();
            if addresses.is_empty() {
                let detail = format!("{} has no address", endpoint.address);
                return Err(Fault::new(FaultKind::NoEndpoint, detail));
            }
            first_that_connects(&addresses).await
        }
    };
    let io = io.map_err(|error| failed(endpoint, &error))?;
    match &endpoint.tls {
        None => Ok(io),
        Some(tls) => tls
            .client
            .connect(tls.name.clone(), io)
            .await
            .map_err(|error| failed(endpoint, &error)),
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

fn failed(endpoint: &EndpointSpec, error: &io::Error) -> Fault {
    let detail = format!("connecting to {} failed: {error}", endpoint.address);
    Fault::new(FaultKind::UpstreamConnect, detail)
}

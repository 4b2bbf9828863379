//! How an endpoint is asked.

use std::io;

use tokio::net::{TcpStream, UnixStream};

use crate::upstream::EndpointAddress;

/// A way to ask. A question that is dropped must stop costing anything soon.
pub trait Probe {
    /// Asks the endpoint at `address`.
    ///
    /// # Errors
    ///
    /// The endpoint is of no use now, and why.
    fn probe(&self, address: &EndpointAddress) -> impl Future<Output = io::Result<()>>;
}

/// Connects, and closes the connection again without a word.
#[derive(Clone, Copy, Debug, Default)]
pub struct ConnectProbe;

impl Probe for ConnectProbe {
    async fn probe(&self, address: &EndpointAddress) -> io::Result<()> {
        match address {
            EndpointAddress::Tcp(address) => TcpStream::connect(address).await.map(drop),
            EndpointAddress::Unix(path) => UnixStream::connect(path).await.map(drop),
            EndpointAddress::Name { resolved, .. } => {
                let addresses = resolved.addresses().to_vec();
                TcpStream::connect(&*addresses).await.map(drop)
            }
        }
    }
}

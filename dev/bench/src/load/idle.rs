//! Connections that are open and say nothing, after one request each.

use super::client::{Client, Failure, Persistence, get};
use super::tls::Connector;
use anyhow::{Context, Result, anyhow, ensure};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections being opened at a time; more would measure the peak of a storm.
const OPENING_MAX: usize = 64;

/// What a connection runs over.
trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// Open connections; dropping them closes them.
pub(crate) struct Crowd {
    clients: Vec<Client<Box<dyn Stream>>>,
    request: Vec<u8>,
}

impl Crowd {
    /// Opens `count` connections to `port`, over TLS if there is a `connector`, and makes one
    /// request for `path` on each.
    pub(crate) async fn gather(
        connector: Option<&Connector>,
        port: u16,
        path: &str,
        count: usize,
    ) -> Result<Self> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let request = get(path, Persistence::KeepAlive);
        let mut crowd = Self {
            clients: Vec::with_capacity(count),
            request,
        };
        let mut opening = JoinSet::new();
        for number in 0..count {
            let (connector, request) = (connector.cloned(), crowd.request.clone());
            opening.spawn_local(async move {
                let opened = open(connector, address, &request);
                timeout(REQUEST_TIMEOUT, opened)
                    .await
                    .map_err(|_| Failure::TimedOut)?
            });
            while opening.len() >= OPENING_MAX || (number + 1 == count && !opening.is_empty()) {
                let opened = opening
                    .join_next()
                    .await
                    .context("nothing left to open")??;
                let opened = opened.map_err(|failure| anyhow!("an idle connection: {failure}"))?;
                crowd.clients.push(opened);
            }
        }
        Ok(crowd)
    }

    /// Makes one more request on each connection: all must still be open.
    pub(crate) async fn ask_again(&mut self) -> Result<()> {
        let mut failures = Vec::new();
        for client in &mut self.clients {
            match timeout(REQUEST_TIMEOUT, client.exchange(&self.request)).await {
                Ok(Ok(_)) => (),
                Ok(Err(failure)) => failures.push(failure),
                Err(_) => failures.push(Failure::TimedOut),
            }
        }
        ensure!(
            failures.is_empty(),
            "{} of {} idle connections were lost, the first one: {}",
            failures.len(),
            self.clients.len(),
            failures[0]
        );
        Ok(())
    }
}

async fn open(
    connector: Option<Connector>,
    address: SocketAddr,
    request: &[u8],
) -> Result<Client<Box<dyn Stream>>, Failure> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|_| Failure::Connect)?;
    let stream: Box<dyn Stream> = match connector {
        Some(connector) => Box::new(
            connector
                .connect(stream)
                .await
                .map_err(|_| Failure::Connect)?,
        ),
        None => Box::new(stream),
    };
    let mut client = Client::new(stream);
    client.exchange(request).await?;
    Ok(client)
}

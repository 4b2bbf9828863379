//! The endpoint and the clients, both on the load core.

use crate::interrupt;
use crate::traffic::{self, Endpoint};
use anyhow::{Context, Result};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What is exchanged, again and again, on how many connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    pub(crate) connections: u32,
    pub(crate) request_bytes: usize,
    pub(crate) response_bytes: usize,
}

/// The longest one exchange may take.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(10);

/// How much is read at once.
const PIECE_BYTES: usize = 256 << 10;

/// Starts what answers each request with a response.
pub(crate) fn endpoint(traffic: Traffic) -> Result<Endpoint> {
    Endpoint::start(move |stream| answer(stream, traffic))
}

async fn answer(mut stream: TcpStream, traffic: Traffic) -> Result<()> {
    let mut request = vec![0; traffic.request_bytes];
    let response = vec![b'x'; traffic.response_bytes];
    loop {
        stream.read_exact(&mut request).await?;
        stream.write_all(&response).await?;
    }
}

/// Exchanges through the proxy at `port` for `duration`; how many there were, and how long it took.
pub(crate) fn run(port: u16, traffic: Traffic, duration: Duration) -> Result<(u64, Duration)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    traffic::run(traffic.connections, |began| {
        exchange(address, traffic, began, duration)
    })
}

async fn exchange(
    address: SocketAddr,
    traffic: Traffic,
    began: Instant,
    duration: Duration,
) -> Result<u64> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = vec![b'x'; traffic.request_bytes];
    let mut piece = vec![0; PIECE_BYTES.min(traffic.response_bytes)];
    let mut exchanges = 0;
    while began.elapsed() < duration && !interrupt::happened() {
        let one = async {
            stream.write_all(&request).await?;
            let mut left = traffic.response_bytes;
            while left > 0 {
                let most = left.min(piece.len());
                match stream.read(&mut piece[..most]).await? {
                    0 => return Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
                    count => left -= count,
                }
            }
            Ok(())
        };
        let one = timeout(EXCHANGE_TIMEOUT, one).await;
        one.context("an exchange took too long")??;
        exchanges += 1;
    }
    Ok(exchanges)
}

//! The endpoint and the clients, both on the load core.

use crate::interrupt;
use crate::load::runtime;
use anyhow::{Context, Result};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_local};
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

/// Answers each request with a response, in a thread of its own that ends with the bench.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Where it listens, on the loopback address.
    pub(crate) port: u16,
}

impl Endpoint {
    /// Starts one. It stays on the core of the caller.
    pub(crate) fn start(traffic: Traffic) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let serving = std::thread::Builder::new().name("endpoint".to_owned());
        serving.spawn(move || {
            let served = runtime().and_then(|it| it.block_on(serve(listener, traffic)));
            if let Err(error) = served {
                eprintln!("the endpoint failed: {error:#}");
            }
        })?;
        Ok(Self { port })
    }
}

async fn serve(listener: std::net::TcpListener, traffic: Traffic) -> Result<()> {
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        // A client that leaves ends its task, and that is how each ends.
        spawn_local(async move { answer(stream, traffic).await.ok() });
    }
}

async fn answer(mut stream: TcpStream, traffic: Traffic) -> io::Result<()> {
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
    let began = Instant::now();
    let counts = runtime()?.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..traffic.connections {
            clients.spawn_local(exchange(address, traffic, began, duration));
        }
        clients.join_all().await
    });
    let elapsed = began.elapsed();
    interrupt::check()?;
    let counts: Vec<u64> = counts.into_iter().collect::<Result<_>>()?;
    Ok((counts.iter().sum(), elapsed))
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

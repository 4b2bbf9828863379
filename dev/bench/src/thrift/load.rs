//! The endpoint and the clients, both on the load core: the same for every protocol.

use super::speech::Speech;
use crate::interrupt;
use crate::load::runtime;
use anyhow::{Context, Result, ensure};
use bytes::{Buf, BytesMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_local};
use tokio::time::timeout;

/// The longest one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How much is read at once.
const PIECE_BYTES: usize = 128 << 10;

/// What is said, again and again, on how many connections. Clones share the words.
#[derive(Debug, Clone)]
pub(crate) struct Traffic {
    speech: Speech,
    connections: u32,
    call: Arc<[u8]>,
    answer: Arc<[u8]>,
}

impl Traffic {
    /// Calls with `asked` bytes, answered with `answered`.
    pub(crate) fn new(
        speech: Speech,
        asked: usize,
        answered: usize,
        connections: u32,
    ) -> Result<Self> {
        Ok(Self {
            speech,
            connections,
            call: speech.call(asked)?.into(),
            answer: speech.answer(answered)?.into(),
        })
    }
}

/// Answers each call, in a thread of its own that ends with the bench.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Where it listens, on the loopback address.
    pub(crate) port: u16,
}

impl Endpoint {
    /// Starts one. It stays on the core of the caller.
    pub(crate) fn start(traffic: &Traffic) -> Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let traffic = traffic.clone();
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
        let traffic = traffic.clone();
        // A proxy that leaves ends its task, and that is how each ends.
        spawn_local(async move { answer(stream, &traffic).await.ok() });
    }
}

async fn answer(mut stream: TcpStream, traffic: &Traffic) -> Result<()> {
    let mut input = BytesMut::new();
    loop {
        take(&mut stream, &mut input, traffic.speech, traffic.call.len()).await?;
        stream.write_all(&traffic.answer).await?;
    }
}

/// Reads one message.
async fn take(
    stream: &mut TcpStream,
    input: &mut BytesMut,
    speech: Speech,
    sent: usize,
) -> Result<()> {
    loop {
        if let Some(length) = speech.length(input, sent)?
            && input.len() >= length
        {
            input.advance(length);
            return Ok(());
        }
        input.reserve(PIECE_BYTES);
        ensure!(stream.read_buf(input).await? > 0, "closed");
    }
}

/// Calls through the proxy at `port` for `duration`; how many there were, and how long it took.
pub(crate) fn run(port: u16, traffic: &Traffic, duration: Duration) -> Result<(u64, Duration)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let began = Instant::now();
    let counts = runtime()?.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..traffic.connections {
            clients.spawn_local(call(address, traffic.clone(), began, duration));
        }
        clients.join_all().await
    });
    let elapsed = began.elapsed();
    interrupt::check()?;
    let counts: Vec<u64> = counts.into_iter().collect::<Result<_>>()?;
    Ok((counts.iter().sum(), elapsed))
}

async fn call(
    address: SocketAddr,
    traffic: Traffic,
    began: Instant,
    duration: Duration,
) -> Result<u64> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut input = BytesMut::new();
    let mut calls = 0;
    while began.elapsed() < duration && !interrupt::happened() {
        let one = async {
            stream.write_all(&traffic.call).await?;
            take(
                &mut stream,
                &mut input,
                traffic.speech,
                traffic.answer.len(),
            )
            .await
        };
        timeout(CALL_TIMEOUT, one)
            .await
            .context("a call took too long")??;
        calls += 1;
    }
    Ok(calls)
}

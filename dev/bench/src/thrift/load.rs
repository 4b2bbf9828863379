//! The endpoint and the clients, both on the load core: the same for every protocol.

use super::speech::Speech;
use crate::interrupt;
use crate::traffic::{self, Endpoint};
use anyhow::{Context, Result, ensure};
use bytes::{Buf, BytesMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
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

/// Starts what answers each call.
pub(crate) fn endpoint(traffic: &Traffic) -> Result<Endpoint> {
    let traffic = traffic.clone();
    Endpoint::start(move |stream| answer(stream, traffic.clone()))
}

async fn answer(mut stream: TcpStream, traffic: Traffic) -> Result<()> {
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
    traffic::run(traffic.connections, |began| {
        call(address, traffic.clone(), began, duration)
    })
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

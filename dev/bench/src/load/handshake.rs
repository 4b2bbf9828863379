//! Full TLS 1.3 handshakes: a new connection for each request, none resumed.

use super::client::{Client, Failure, Persistence, get};
use super::tls::Connector;
use super::{Failures, Latencies, Outcome, runtime};
use crate::interrupt;
use anyhow::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// `clients` tasks ask for `path` at `port` for `duration`, one connection a request.
pub(crate) fn run(
    connector: &Connector,
    port: u16,
    path: &str,
    clients: u32,
    duration: Duration,
) -> Result<Outcome> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let request = get(path, Persistence::Close);
    let began = Instant::now();
    let results = runtime()?.block_on(async {
        let mut tasks = JoinSet::new();
        for _ in 0..clients {
            let (connector, request) = (connector.clone(), request.clone());
            tasks.spawn_local(async move {
                let (mut latencies, mut failures) = (Latencies::default(), Failures::default());
                while began.elapsed() < duration && !interrupt::happened() {
                    let started = Instant::now();
                    let one = one(&connector, address, &request);
                    match timeout(REQUEST_TIMEOUT, one).await {
                        Ok(Ok(())) => latencies.record(started.elapsed()),
                        Ok(Err(failure)) => failures.count(failure),
                        Err(_) => failures.count(Failure::TimedOut),
                    }
                }
                (latencies, failures)
            });
        }
        tasks.join_all().await
    });
    let elapsed = began.elapsed();
    interrupt::check()?;
    let (mut latencies, mut failures) = (Latencies::default(), Failures::default());
    for (some_latencies, some_failures) in results {
        latencies.merge(some_latencies);
        failures.merge(&some_failures);
    }
    let requests = latencies.count();
    let (p50, p99) = (latencies.percentile(50), latencies.percentile(99));
    Ok(Outcome {
        requests,
        failures,
        elapsed,
        p50,
        p99,
    })
}

async fn one(connector: &Connector, address: SocketAddr, request: &[u8]) -> Result<(), Failure> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(|_| Failure::Connect)?;
    // As every TLS client does: its last flight and the request are two small writes, and the
    // second would wait for an acknowledgement the server has no reason to hurry.
    stream.set_nodelay(true).map_err(|_| Failure::Connect)?;
    let stream = connector
        .connect(stream)
        .await
        .map_err(|_| Failure::Connect)?;
    let mut client = Client::new(stream);
    client.exchange(request).await?;
    client.closed().await.map_err(|_| Failure::CutShort)
}

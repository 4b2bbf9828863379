//! Clients that count every failed request while the proxy changes underneath them: some keep
//! their connection, some make a new one for each request.
//!
//! A server may close a kept connection between requests, or announce it with `Connection: close`;
//! that is no failure. Closing it after a request was written, without an answer, is one.

use super::client::{Client, Failure, Persistence, get};
use super::{Failures, Latencies};
use crate::interrupt;
use rustix::net::{RecvFlags, recv};
use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// What some clients have seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) latencies: Latencies,
    pub(crate) failures: Failures,
    /// Connections opened.
    pub(crate) connections: u64,
}

impl Tally {
    /// Adds all of `other`.
    pub(crate) fn merge(&mut self, other: Self) {
        self.latencies.merge(other.latencies);
        self.failures.merge(&other.failures);
        self.connections += other.connections;
    }
}

/// What one client does.
#[derive(Debug, Clone)]
pub(crate) struct Habit {
    pub(crate) address: SocketAddr,
    pub(crate) path: &'static str,
    pub(crate) persistence: Persistence,
    /// Pause after each request. Kept connections are idle then, and a server may close them.
    pub(crate) think: Duration,
}

/// Makes requests one after the other until `stop` is set.
pub(crate) async fn run(habit: Habit, stop: Rc<Cell<bool>>) -> Tally {
    let request = get(habit.path, habit.persistence);
    let mut tally = Tally::default();
    let mut kept: Option<Client<TcpStream>> = None;
    while !stop.get() && !interrupt::happened() {
        let started = Instant::now();
        let one = one(&habit, &request, &mut kept, &mut tally.connections);
        match timeout(REQUEST_TIMEOUT, one).await {
            Ok(Ok(())) => tally.latencies.record(started.elapsed()),
            Ok(Err(failure)) => tally.failures.count(failure),
            Err(_) => {
                kept = None;
                tally.failures.count(Failure::TimedOut);
            }
        }
        sleep(habit.think).await;
    }
    tally
}

async fn one(
    habit: &Habit,
    request: &[u8],
    kept: &mut Option<Client<TcpStream>>,
    connections: &mut u64,
) -> Result<(), Failure> {
    let still_open = match kept.take() {
        Some(client) => if_open(client)?,
        None => None,
    };
    let mut client = match still_open {
        Some(client) => client,
        None => {
            *connections += 1;
            let stream = TcpStream::connect(habit.address)
                .await
                .map_err(|_| Failure::Connect)?;
            Client::new(stream)
        }
    };
    let answer = client.exchange(request).await?;
    if answer.persistence == Persistence::KeepAlive && habit.persistence == Persistence::KeepAlive {
        *kept = Some(client);
    }
    Ok(())
}

/// Asks the socket itself, as the runtime may not have heard yet.
fn if_open(client: Client<TcpStream>) -> Result<Option<Client<TcpStream>>, Failure> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    match recv(client.stream(), &mut [0; 1], flags) {
        Ok((_, 0)) => Ok(None),
        Ok(_) => Err(Failure::Malformed),
        Err(rustix::io::Errno::AGAIN) => Ok(Some(client)),
        Err(_) => Err(Failure::ResetWhileIdle),
    }
}

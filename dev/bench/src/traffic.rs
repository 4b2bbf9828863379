//! Both ends of traffic of our own, on the load core: an endpoint that answers, and clients.

use crate::interrupt;
use crate::load::runtime;
use anyhow::Result;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinSet, spawn_local};

/// Answers what comes, in a thread of its own that ends with the bench.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Where it listens, on the loopback address.
    pub(crate) port: u16,
}

impl Endpoint {
    /// Starts one that serves each connection with `answer`. It stays on the core of the caller.
    pub(crate) fn start<F>(answer: impl Fn(TcpStream) -> F + Send + 'static) -> Result<Self>
    where
        F: Future<Output = Result<()>> + 'static,
    {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let serving = std::thread::Builder::new().name("endpoint".to_owned());
        serving.spawn(move || {
            let served = runtime().and_then(|it| it.block_on(serve(listener, answer)));
            if let Err(error) = served {
                eprintln!("the endpoint failed: {error:#}");
            }
        })?;
        Ok(Self { port })
    }
}

async fn serve<F>(listener: std::net::TcpListener, answer: impl Fn(TcpStream) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + 'static,
{
    let listener = TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let answering = answer(stream);
        // A client that leaves ends its task, and that is how each ends.
        spawn_local(async move { answering.await.ok() });
    }
}

/// Runs so many clients, which are told when they began and count what they did; how often that
/// was altogether, and how long it took.
pub(crate) fn run<F>(connections: u32, client: impl Fn(Instant) -> F) -> Result<(u64, Duration)>
where
    F: Future<Output = Result<u64>> + 'static,
{
    let began = Instant::now();
    let counts = runtime()?.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            clients.spawn_local(client(began));
        }
        clients.join_all().await
    });
    let elapsed = began.elapsed();
    interrupt::check()?;
    let counts: Vec<u64> = counts.into_iter().collect::<Result<_>>()?;
    Ok((counts.iter().sum(), elapsed))
}

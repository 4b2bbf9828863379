//! A layer of one's own that limits how often each client may ask, and an update that changes
//! the limit without forgetting who has asked how often.
//!
//! `cargo run -p tidegate-http --example rate_limit`: the client is in the program, too.

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use http::StatusCode;
use http::header::RETRY_AFTER;
use tidegate_http::server::{HttpServerFactory, ServerSettings};
use tidegate_http::{Body, Exchange, Fault, Response};
use tidegate_orchestrator::{ChainFactory, Change, RuntimeConfig, WorkerManager};
use tidegate_runtime::clock::{self, Tick};
use tidegate_runtime::listener::ListenerBuilder;
use tidegate_service::{AsyncMakeService, FactoryStack, Service, layer_fn, make_clone, service_fn};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long requests are counted together.
const WINDOW: Duration = Duration::from_secs(60);
/// How many clients are told apart in a window; newcomers beyond them have to wait.
const CLIENTS_MAX: usize = 10_000;

/// Who has asked how often on this worker, in the window that began then.
#[derive(Default)]
struct Counts {
    began: Tick,
    requests: HashMap<IpAddr, u32>,
}

/// The layer's service: lets through, or answers itself.
struct RateLimit<S> {
    requests_max: u32,
    counts: Rc<RefCell<Counts>>,
    inner: S,
}

impl<S> RateLimit<S> {
    fn admits(&self, client: IpAddr) -> bool {
        let now = clock::now();
        let mut counts = self.counts.borrow_mut();
        if now.since(counts.began) >= WINDOW {
            counts.began = now;
            counts.requests.clear();
        }
        let is_full = counts.requests.len() >= CLIENTS_MAX;
        if is_full && !counts.requests.contains_key(&client) {
            return false;
        }
        let requests = counts.requests.entry(client).or_insert(0);
        *requests += 1;
        *requests <= self.requests_max
    }
}

impl<S> Service<Exchange> for RateLimit<S>
where
    S: Service<Exchange, Response = Response, Error = Fault>,
{
    type Response = Response;
    type Error = Fault;

    async fn call(&self, exchange: Exchange) -> Result<Response, Fault> {
        match exchange.context.connection().peer.ip() {
            Some(client) if !self.admits(client) => Ok(too_many()),
            // Whoever comes over a Unix socket has no address, and is trusted.
            _ => self.inner.call(exchange).await,
        }
    }
}

fn too_many() -> Response {
    let mut response = Response::new(Body::from("not so fast"));
    *response.status_mut() = StatusCode::TOO_MANY_REQUESTS;
    response
        .headers_mut()
        .insert(RETRY_AFTER, WINDOW.as_secs().into());
    response
}

/// The layer's factory: hands the counts over, and what is inside its own part.
#[derive(Clone)]
struct RateLimitFactory<F> {
    requests_max: u32,
    inner: F,
}

impl<F: AsyncMakeService> AsyncMakeService for RateLimitFactory<F> {
    type Service = RateLimit<F::Service>;
    type Error = F::Error;

    async fn make_via_ref(&self, old: Option<&Self::Service>) -> Result<Self::Service, F::Error> {
        Ok(RateLimit {
            requests_max: self.requests_max,
            // Shared, not copied: `old` goes on counting for those who are connected to it.
            counts: old.map_or_else(Rc::default, |old| Rc::clone(&old.counts)),
            inner: self.inner.make_via_ref(old.map(|old| &old.inner)).await?,
        })
    }
}

fn chain(requests_max: u32) -> impl ChainFactory {
    let page = service_fn(async |_: Exchange| Ok(Response::new(Body::from("welcome"))));
    let handlers = FactoryStack::new(())
        .replace(make_clone(page))
        .push(layer_fn(move |&(): &(), inner| RateLimitFactory {
            requests_max,
            inner,
        }));
    HttpServerFactory::new(ServerSettings::default(), handlers.into_inner())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut manager = WorkerManager::new(RuntimeConfig::of_workers(1));
    manager.spawn_workers_async();
    let listeners = ListenerBuilder::try_from("127.0.0.1:0")?;
    for requests_max in [2, 4] {
        let change = Change::deploy("web", chain(requests_max), listeners.clone());
        manager.apply(vec![change]).await?;
        println!("at most {requests_max} in a minute");
        let address = manager.local_addresses("web")[0].tcp().ok_or("not TCP")?;
        for _ in 0..3 {
            println!("  {}", ask(address).await?);
        }
    }
    manager.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// The first line of the response.
async fn ask(address: SocketAddr) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    Ok(response.lines().next().unwrap_or_default().to_owned())
}

//! An axum router as the last service of a chain, with a layer of tower-http around it, and an
//! update of both: a client that is connected stays so, and the router's state goes on.
//!
//! `cargo run -p tidegate-tower --example axum_router`: the client is in the program, too.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::{HeaderName, HeaderValue};
use axum::routing::get;
use tidegate_http::server::{HttpServerFactory, ServerSettings};
use tidegate_orchestrator::{ChainFactory, Change, RuntimeConfig, WorkerManager};
use tidegate_runtime::listener::ListenerBuilder;
use tidegate_service::FactoryStack;
use tidegate_tower::http::{TowerHandlerFactory, http_layer};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tower_http::set_header::SetResponseHeaderLayer;

/// What the application keeps: shared by the workers, and by its routers, old and new.
type Visits = Arc<AtomicU32>;

/// The application knows axum, and nothing of Tidegate.
fn application(greeting: &'static str, visits: &Visits) -> Router {
    let hello = async move |Path(name): Path<String>,
                            State(visits): State<Visits>,
                            ConnectInfo(peer): ConnectInfo<SocketAddr>| {
        let visit = visits.fetch_add(1, Ordering::Relaxed) + 1;
        format!("{greeting}, {name} at {}; visit {visit}", peer.ip())
    };
    Router::new()
        .route("/hello/{name}", get(hello))
        .with_state(visits.clone())
}

/// From the last service to the first: the router, the layer, HTTP.
fn chain(application: Router, version: &'static str) -> impl ChainFactory {
    let name = HeaderName::from_static("x-version");
    let value = HeaderValue::from_static(version);
    let handlers = FactoryStack::new(())
        .replace(TowerHandlerFactory::new(application))
        .push(http_layer(SetResponseHeaderLayer::overriding(name, value)))
        .into_inner();
    HttpServerFactory::new(ServerSettings::default(), handlers)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut manager = WorkerManager::new(RuntimeConfig::default());
    manager.spawn_workers_async();
    let listeners = ListenerBuilder::try_from("127.0.0.1:0")?;
    let visits = Visits::default();

    let first = chain(application("Hello", &visits), "1");
    manager
        .apply(vec![Change::deploy("web", first, listeners.clone())])
        .await?;
    let address = manager.local_addresses("web")[0].tcp().ok_or("not TCP")?;
    let mut early = BufReader::new(TcpStream::connect(address).await?);
    visit(&mut early).await?;

    let second = chain(application("Servus", &visits), "2");
    manager
        .apply(vec![Change::deploy("web", second, listeners)])
        .await?;
    // The old chain answers once more, and says that it closes; the next connection is new.
    visit(&mut early).await?;
    visit(&mut BufReader::new(TcpStream::connect(address).await?)).await?;

    let report = manager.shutdown(Duration::from_secs(5)).await;
    println!("{} connections dropped", report.connections_dropped);
    Ok(())
}

/// Asks for the page and prints what matters of the response.
async fn visit(client: &mut BufReader<TcpStream>) -> Result<(), Box<dyn Error>> {
    let request = b"GET /hello/Ada HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.write_all(request).await?;
    let mut length = 0;
    loop {
        let mut line = String::new();
        client.read_line(&mut line).await?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", bytes)) => length = bytes.parse()?,
            Some((name @ ("x-version" | "connection"), value)) => print!("[{name}: {value}] "),
            Some(_) => {}
            None if line.trim_end().is_empty() => break,
            None => {}
        }
    }
    let mut page = vec![0; length];
    client.read_exact(&mut page).await?;
    println!("{}", String::from_utf8(page)?);
    Ok(())
}

//! A gateway assembled in code: routes, an upstream of two origins that take turns, and an
//! update that adds a route and keeps the connections to the origins.
//!
//! `cargo run -p tidegate-gateway --example gateway`: origins and client are in the program, too.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use http::StatusCode;
use tidegate_gateway::route::{PathPattern, RouteSpec, RouteTable};
use tidegate_gateway::site::{Action, FixedResponse, Route, SiteFactory, SiteSpec};
use tidegate_gateway::upstream::{EndpointSpec, UpstreamSpec};
use tidegate_http::server::{HttpServerFactory, ServerSettings};
use tidegate_http::{Body, Exchange, Fault, Response};
use tidegate_orchestrator::{Change, RuntimeConfig, WorkerManager};
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::listener::ListenerBuilder;
use tidegate_service::{
    ArcAsyncMakeService, AsyncMakeService, BoxedService, make_clone, service_fn,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What is deployed, whatever it is made of: origins and the gateway run on the same workers.
type Chain = ArcAsyncMakeService<BoxedService<Accepted, (), Fault>, Infallible>;
type Manager = WorkerManager<Chain, ListenerBuilder>;

/// Serves HTTP with the handlers that `factory` makes.
fn http<F>(factory: F) -> Chain
where
    F: AsyncMakeService<Error = Infallible> + Clone + Send + Sync + 'static,
    F::Service: tidegate_http::HttpHandler,
{
    ArcAsyncMakeService::erase(HttpServerFactory::new(ServerSettings::default(), factory))
}

/// Says its name.
fn origin(name: &'static str) -> Chain {
    http(make_clone(service_fn(async move |exchange: Exchange| {
        let path = exchange.request.uri().path();
        Ok(Response::new(Body::from(format!("{name} has {path}"))))
    })))
}

/// Sends `/api` on to the origins, answers `/news` itself if there are any, and knows nothing else.
fn gateway(origins: &[SocketAddr], news: Option<&'static str>) -> Result<Chain, Box<dyn Error>> {
    let endpoints = origins.iter().copied().map(EndpointSpec::from).collect();
    let api = Action::Upstream {
        upstream: 0,
        rewrite: None,
    };
    let unknown = FixedResponse::text(StatusCode::NOT_FOUND, "nothing here");
    let mut routes = vec![
        RouteSpec::new(PathPattern::prefix("/api")?, Route::new("api", api)),
        RouteSpec::new(
            PathPattern::prefix("/")?,
            Route::new("rest", Action::Respond(unknown)),
        ),
    ];
    if let Some(news) = news {
        let news = Action::Respond(FixedResponse::text(StatusCode::OK, news));
        routes.push(RouteSpec::new(
            PathPattern::parse("/news")?,
            Route::new("news", news),
        ));
    }
    let upstreams = vec![UpstreamSpec::new("api", endpoints)];
    let site = SiteSpec::new(RouteTable::build(routes)?, upstreams);
    Ok(http(SiteFactory::new(site)))
}

/// Deploys, and says where it listens.
async fn deploy(manager: &Manager, site: &str, chain: Chain) -> Result<SocketAddr, Box<dyn Error>> {
    let listeners = ListenerBuilder::try_from("127.0.0.1:0")?;
    manager
        .apply(vec![Change::deploy(site, chain, listeners)])
        .await?;
    let address = manager.local_addresses(site)[0].tcp();
    Ok(address.ok_or("not TCP")?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut manager = Manager::new(RuntimeConfig::of_workers(1));
    manager.spawn_workers_async();
    let origins = [
        deploy(&manager, "first", origin("first")).await?,
        deploy(&manager, "second", origin("second")).await?,
    ];

    let address = deploy(&manager, "gateway", gateway(&origins, None)?).await?;
    for path in ["/api/users", "/api/users", "/news"] {
        println!("{path}: {}", get(address, path).await?);
    }
    deploy(&manager, "gateway", gateway(&origins, Some("an update"))?).await?;
    for path in ["/api/users", "/news"] {
        println!("{path}: {}", get(address, path).await?);
    }
    let status = manager.status().await;
    for name in ["first", "second"] {
        println!("{name}: {} connections", status.sites[name].open());
    }

    manager.shutdown(Duration::from_secs(5)).await;
    Ok(())
}

/// The page at `path`.
async fn get(address: SocketAddr, path: &str) -> Result<String, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut response = String::new();
    stream.read_to_string(&mut response).await?;
    let (_, page) = response.split_once("\r\n\r\n").ok_or("no response")?;
    Ok(page.to_owned())
}

//! The chain of a TCP proxy.

use tidegate_gateway::logged::LogMode;
use tidegate_gateway::meter::SiteMeter;
use tidegate_gateway::route::{RouteSpec, RouteTable};
use tidegate_gateway::tcp::{TcpProxyFactory, TcpRouting, TcpSpec};
use tidegate_gateway::upstream::UpstreamSpec;
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::proxy_protocol::ProxyProtocolFactory;
use tidegate_runtime::tls::{TlsFactory, TlsMode};
use tidegate_service::layer::layer_fn;
use tidegate_service::stack::FactoryStack;

use super::AssembleError;
use super::any_error::AnyErrorFactory;
use super::chain::{SiteChain, position};
use crate::settings::{Routing, Server, Tcp, every_path};

pub(super) fn site(
    server: &Server,
    tcp: &Tcp,
    upstreams: Vec<UpstreamSpec>,
    tls: TlsMode,
    log: LogMode,
    meter: SiteMeter,
) -> Result<SiteChain, AssembleError> {
    let spec = TcpSpec {
        routing: routing(server, tcp, &upstreams)?,
        upstreams,
        send_proxy_protocol: tcp.send_proxy_protocol,
        timeouts: tcp.timeouts,
        meter,
        site: server.name.as_str().into(),
        log,
    };
    let proxied = server.proxy_protocol.clone();
    Ok(FactoryStack::new(())
        // Finds an endpoint, and passes bytes on both ways.
        .replace(TcpProxyFactory::new(spec))
        // Makes the TLS handshake, if there is one.
        .push(layer_fn(move |&(): &(), inner| {
            TlsFactory::new(tls.clone(), inner)
        }))
        // Takes what a proxy in front says of the client, if one does.
        .push(layer_fn(move |&(): &(), inner| {
            ProxyProtocolFactory::new(proxied.clone(), inner)
        }))
        // Says of any protocol's error that it is one.
        .push(layer_fn(|&(): &(), inner| AnyErrorFactory::new(inner)))
        .check_make_svc::<Accepted>()
        .push_boxed_service::<Accepted>()
        .into_arc_async_factory()
        .into_inner())
}

fn routing(
    server: &Server,
    tcp: &Tcp,
    upstreams: &[UpstreamSpec],
) -> Result<TcpRouting, AssembleError> {
    let routes = match &tcp.routing {
        Routing::All(upstream) => return Ok(TcpRouting::All(position(upstream, upstreams))),
        Routing::ByServerName(routes) => routes,
    };
    let specs = routes.iter().map(|route| RouteSpec {
        host: route.server_name.clone(),
        path: every_path(),
        target: position(&route.upstream, upstreams),
    });
    let routes = RouteTable::build(specs.collect());
    routes
        .map(|routes| TcpRouting::ByServerName(Box::new(routes)))
        .map_err(|conflicts| AssembleError::route(server, &conflicts))
}

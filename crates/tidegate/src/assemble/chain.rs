//! The chain of one site, as prose: the last pushed is the first to see a connection.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::header::CONTENT_TYPE;
use tidegate_gateway::forward::{HeaderEdits, PeerTrust, Trust, XForwarded};
use tidegate_gateway::logged::{LogMode, LoggedFactory};
use tidegate_gateway::meter::SiteMeter;
use tidegate_gateway::route::{RouteSpec, RouteTable};
use tidegate_gateway::site::{
    Action, CallRoute, FixedResponse, ForwardedSpec, Redirect, Route, RouteTimeouts, SiteFactory,
    SiteSpec, ViaName,
};
use tidegate_gateway::upstream::{Asking, UpstreamSpec};
use tidegate_http::client::ClientSettings;
use tidegate_http::h1::codec::Limits;
use tidegate_http::server::{Http2, HttpServerFactory, ServerSettings, ServerTimeouts};
use tidegate_mqtt::server::Exchange;
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::proxy_protocol::ProxyProtocolFactory;
use tidegate_runtime::tls::{TlsFactory, TlsMode};
use tidegate_service::layer::layer_fn;
use tidegate_service::stack::FactoryStack;
use tidegate_service::{ArcAsyncMakeService, BoxedService};
use tidegate_thrift::client::ClientSettings as ThriftClientSettings;
use tidegate_thrift::codec::JsonOptions;

use super::AssembleError;
use super::any_error::{AnyErrorFactory, ConnectionError, MakeError};
use super::broker_route::BrokerRoute;
use crate::settings::{self, Server};

/// A site's chain, erased: what the workers deploy.
pub type SiteChain = ArcAsyncMakeService<BoxedService<Accepted, (), ConnectionError>, MakeError>;

/// Where the cores of a broker meet, by its server's name.
pub(super) type Brokers<'a> = &'a dyn Fn(&str) -> Result<Arc<Exchange>, AssembleError>;

/// The upstreams of a site, which its routes name by position.
pub(super) struct Upstreams {
    /// Those that requests are sent on to.
    pub(super) forwarded: Vec<UpstreamSpec>,
    /// Those that are asked in Thrift.
    pub(super) called: Vec<UpstreamSpec>,
}

pub(super) fn site(
    server: &Server,
    upstreams: Upstreams,
    brokers: Brokers<'_>,
    tls: TlsMode,
    log: LogMode,
    meter: SiteMeter,
) -> Result<SiteChain, AssembleError> {
    let routes = SiteFactory::new(SiteSpec {
        routes: routes(server, &upstreams, brokers)?,
        upstreams: upstreams.forwarded,
        called: upstreams.called,
        forwarded: forwarded(&server.forwarded),
        client: ClientSettings::default(),
        meter,
    });
    let name: Arc<str> = server.name.as_str().into();
    let http = server_settings(server);
    let proxied = server.proxy_protocol.clone();
    let stack = FactoryStack::new(())
        // Finds the route, and does what it says.
        .replace(routes)
        // Notes the request when its response has been passed on.
        .push(layer_fn(move |&(): &(), inner| {
            LoggedFactory::new(name.clone(), log.clone(), inner)
        }))
        // Turns bytes into requests and responses into bytes.
        .push(layer_fn(move |&(): &(), inner| {
            HttpServerFactory::new(http.clone(), inner)
        }))
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
        .check_make_svc::<Accepted>();
    Ok(stack
        .push_boxed_service::<Accepted>()
        .into_arc_async_factory()
        .into_inner())
}

fn server_settings(server: &Server) -> ServerSettings {
    let (timeouts, limits) = (&server.timeouts, &server.limits);
    ServerSettings {
        timeouts: ServerTimeouts {
            header: timeouts.header,
            body: timeouts.body,
            idle: timeouts.idle,
            write: timeouts.write,
        },
        limits: Limits {
            request_line_bytes: limits.request_line_bytes,
            header_bytes: limits.header_bytes,
            header_count: limits.header_count,
            body_bytes: largest_body(server),
            chunk_extension_bytes: limits.chunk_extension_bytes,
            ..Limits::default()
        },
        requests_per_connection: limits.requests_per_connection,
        drain_body_bytes: limits.drain_body_bytes,
        http2: if server.http2 { Http2::On } else { Http2::Off },
        http2_streams: limits.http2_streams,
    }
}

/// What the connection lets through; each route then holds to its own limit.
fn largest_body(server: &Server) -> u64 {
    let routes = server.routes.iter().map(|route| route.limits.body_bytes);
    routes.fold(server.limits.body_bytes, u64::max)
}

fn forwarded(settings: &settings::Forwarded) -> ForwardedSpec {
    ForwardedSpec {
        trust: Trust {
            networks: settings.trust.clone(),
            unix_peers: PeerTrust::Untrusted,
        },
        x_forwarded: if settings.x_forwarded {
            XForwarded::Send
        } else {
            XForwarded::Omit
        },
        via: match settings.via.as_str() {
            "tidegate" => ViaName::Own,
            name => HeaderValue::try_from(format!("1.1 {name}"))
                .map_or(ViaName::Own, ViaName::Pseudonym),
        },
    }
}

fn routes(
    server: &Server,
    upstreams: &Upstreams,
    brokers: Brokers<'_>,
) -> Result<RouteTable<Route>, AssembleError> {
    let specs = server.routes.iter().map(|route| {
        Ok(RouteSpec {
            host: route.host.clone(),
            path: route.path.clone(),
            target: target(route, upstreams, brokers)?,
        })
    });
    let specs = specs.collect::<Result<_, AssembleError>>()?;
    RouteTable::build(specs).map_err(|conflicts| AssembleError::route(server, &conflicts))
}

/// What a route is called in the access log and in metrics.
pub(super) fn route_name(route: &settings::Route) -> String {
    route.name.clone().unwrap_or_else(|| route.path.to_string())
}

fn target(
    route: &settings::Route,
    upstreams: &Upstreams,
    brokers: Brokers<'_>,
) -> Result<Route, AssembleError> {
    Ok(Route {
        name: route_name(route).into(),
        action: action(route, upstreams, brokers)?,
        request_headers: edits(&route.request_headers),
        response_headers: edits(&route.response_headers),
        timeouts: RouteTimeouts {
            connect: route.timeouts.upstream_connect,
            response: route.timeouts.upstream_response,
            idle: route.timeouts.upstream_idle,
            tunnel_idle: route.timeouts.tunnel_idle,
        },
        body_bytes: route.limits.body_bytes,
    })
}

/// The position of the upstream called `name`.
pub(super) fn position(name: &str, upstreams: &[UpstreamSpec]) -> usize {
    let mut names = upstreams.iter().map(|upstream| &*upstream.name);
    names
        .position(|upstream| upstream == name)
        .expect("settings name only upstreams they define")
}

fn action(
    route: &settings::Route,
    upstreams: &Upstreams,
    brokers: Brokers<'_>,
) -> Result<Action, AssembleError> {
    Ok(match &route.action {
        settings::Action::Upstream { name, rewrite } => Action::Upstream {
            upstream: position(name, &upstreams.forwarded),
            rewrite: rewrite.clone(),
        },
        settings::Action::Respond(respond) => {
            let content_type = respond.content_type.clone();
            let mut headers = respond.headers.clone();
            headers.extend(content_type.map(|value| (CONTENT_TYPE, value)));
            Action::Respond(FixedResponse {
                status: respond.status,
                headers,
                body: Bytes::clone(&respond.body),
            })
        }
        settings::Action::Redirect(redirect) => Action::Redirect(Redirect {
            to: redirect.to.clone(),
            status: redirect.status,
        }),
        settings::Action::Broker { name, handshake } => {
            let route = BrokerRoute::new(brokers(name)?, handshake.clone());
            Action::Handler(Arc::new(route))
        }
        settings::Action::Thrift(call) => {
            Action::Call(Box::new(call_route(route, call, &upstreams.called)))
        }
    })
}

fn call_route(
    route: &settings::Route,
    call: &settings::ThriftCall,
    upstreams: &[UpstreamSpec],
) -> CallRoute {
    CallRoute {
        schema: Arc::clone(&call.schema),
        service: call.service.as_str().into(),
        method: call.method.clone(),
        gets: call.gets.clone(),
        upstream: position(&call.upstream, upstreams),
        spelling: call.spelling,
        asking: Asking {
            connect_timeout: route.timeouts.upstream_connect,
            client: ThriftClientSettings {
                response_timeout: route.timeouts.upstream_response,
                limits: call.limits,
            },
            retrying: call.retrying,
        },
        json: JsonOptions {
            long_integers: call.long_integers,
            limits: call.limits,
        },
        exceptions: call.exceptions.clone(),
    }
}

/// Settings refuse the fields these refuse, so that nothing is lost here.
fn edits(settings: &settings::HeaderEdits) -> HeaderEdits {
    let mut edits = HeaderEdits::default();
    let permitted = "settings refuse fields that frame messages";
    for name in &settings.remove {
        edits.remove(name.clone()).expect(permitted);
    }
    for (name, value) in &settings.set {
        edits.set(name.clone(), value.clone()).expect(permitted);
    }
    for (name, value) in &settings.add {
        edits.add(name.clone(), value.clone()).expect(permitted);
    }
    edits
}

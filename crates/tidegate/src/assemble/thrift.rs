//! The chain of a Thrift site.

use std::sync::Arc;

use tidegate_gateway::logged::LogMode;
use tidegate_gateway::meter::SiteMeter;
use tidegate_gateway::thrift::{ThriftLoggedFactory, ThriftRoute, ThriftSiteFactory, ThriftSpec};
use tidegate_gateway::upstream::{Asking, UpstreamSpec};
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::proxy_protocol::ProxyProtocolFactory;
use tidegate_runtime::tls::{TlsFactory, TlsMode};
use tidegate_service::layer::layer_fn;
use tidegate_service::stack::FactoryStack;
use tidegate_thrift::client::ClientSettings;
use tidegate_thrift::server::ThriftServerFactory;

use super::any_error::AnyErrorFactory;
use super::chain::{SiteChain, position};
use crate::settings::{self, Server, Thrift};

pub(super) fn site(
    server: &Server,
    thrift: &Thrift,
    upstreams: Vec<UpstreamSpec>,
    tls: TlsMode,
    log: LogMode,
    meter: SiteMeter,
) -> SiteChain {
    let limits = thrift.settings.limits;
    let routes = thrift.routes.iter();
    let spec = ThriftSpec {
        routes: routes
            .map(|route| target(route, thrift, &upstreams))
            .collect(),
        upstreams,
        limits,
        meter,
    };
    let name: Arc<str> = server.name.as_str().into();
    let settings = thrift.settings.clone();
    let proxied = server.proxy_protocol.clone();
    FactoryStack::new(())
        // Finds the route, and asks its upstream.
        .replace(ThriftSiteFactory::new(spec))
        // Notes the call when its answer is there.
        .push(layer_fn(move |&(): &(), inner| {
            ThriftLoggedFactory::new(name.clone(), log.clone(), inner)
        }))
        // Turns bytes into calls and answers into bytes.
        .push(layer_fn(move |&(): &(), inner| {
            ThriftServerFactory::new(settings.clone(), inner)
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
        .check_make_svc::<Accepted>()
        .push_boxed_service::<Accepted>()
        .into_arc_async_factory()
        .into_inner()
}

fn target(
    route: &settings::ThriftRoute,
    thrift: &Thrift,
    upstreams: &[UpstreamSpec],
) -> ThriftRoute {
    let target = &route.target;
    ThriftRoute {
        name: route.to_string().into(),
        calls: route.calls.clone(),
        upstream: position(&target.upstream, upstreams),
        spelling: target.spelling,
        asking: Asking {
            connect_timeout: target.timeouts.connect,
            client: ClientSettings {
                response_timeout: target.timeouts.response,
                limits: thrift.settings.limits,
            },
            retrying: target.retrying,
        },
    }
}

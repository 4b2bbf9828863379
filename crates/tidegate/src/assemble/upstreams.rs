//! The upstreams of one site, from settings.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustls_pki_types::ServerName;
use tidegate_gateway::resolve::ResolverHandle;
use tidegate_gateway::upstream::{
    EndpointAddress, EndpointSpec, EndpointTls, HostPolicy, PoolLimits, UpstreamSpec,
};
use tidegate_runtime::tls::{ClientTls, ClientTlsOptions, Roots};

use super::{AssembleError, Common};
use crate::settings::{self, Endpoint, HostHeader, Server, Settings, Upstream, Verify};

/// Those of a server that is not one of HTTP.
pub(super) fn specs(
    settings: &Settings,
    server: &Server,
    common: &Common,
) -> Result<Vec<UpstreamSpec>, AssembleError> {
    named(
        &settings.upstreams_of(server),
        settings,
        common,
        Spoken::Other,
    )
}

/// Those that HTTP requests are sent on to.
pub(super) fn forwarded(
    settings: &Settings,
    server: &Server,
    common: &Common,
) -> Result<Vec<UpstreamSpec>, AssembleError> {
    named(
        &server.forwarded_upstreams(),
        settings,
        common,
        Spoken::Http,
    )
}

/// Those that the routes of an HTTP server ask in Thrift.
pub(super) fn called(
    settings: &Settings,
    server: &Server,
    common: &Common,
) -> Result<Vec<UpstreamSpec>, AssembleError> {
    named(&server.called_upstreams(), settings, common, Spoken::Other)
}

/// What is spoken with an upstream.
#[derive(Clone, Copy)]
enum Spoken {
    Http,
    /// Something that has no name in TLS.
    Other,
}

fn named(
    names: &BTreeSet<String>,
    settings: &Settings,
    common: &Common,
    spoken: Spoken,
) -> Result<Vec<UpstreamSpec>, AssembleError> {
    let upstreams = names.iter().filter_map(|name| settings.upstreams.get(name));
    upstreams
        .map(|upstream| spec(upstream, common, spoken))
        .collect()
}

fn spec(
    upstream: &Upstream,
    common: &Common,
    spoken: Spoken,
) -> Result<UpstreamSpec, AssembleError> {
    let application_protocols = match spoken {
        Spoken::Http => vec![b"http/1.1".to_vec()],
        Spoken::Other => Vec::new(),
    };
    let tls = upstream.tls.as_ref();
    let tls = tls.map(|tls| client(upstream, tls, application_protocols));
    let tls = tls.transpose()?;
    Ok(UpstreamSpec {
        name: upstream.name.as_str().into(),
        balance: upstream.balance,
        endpoints: upstream
            .endpoints
            .iter()
            .map(|endpoint| {
                let address = address(&endpoint.address, &common.resolver);
                EndpointSpec {
                    health: upstream.health.map(|it| common.health.watch(&address, it)),
                    address,
                    weight: endpoint.weight,
                    tls: tls.as_ref().map(|tls| tls.of(endpoint)),
                }
            })
            .collect(),
        pool: PoolLimits {
            idle: upstream.pool.idle,
            idle_timeout: upstream.pool.idle_timeout,
            requests: upstream.pool.requests,
        },
        host: match &upstream.host_header {
            HostHeader::Preserve => HostPolicy::Preserve,
            HostHeader::Upstream => HostPolicy::Endpoint,
            HostHeader::Literal(host) => HostPolicy::Literal(host.clone()),
        },
        retries: upstream.retries,
        ejection: upstream.ejection,
    })
}

pub(super) fn address(
    address: &settings::EndpointAddress,
    resolver: &ResolverHandle,
) -> EndpointAddress {
    match address {
        settings::EndpointAddress::Socket(address) => EndpointAddress::Tcp(*address),
        settings::EndpointAddress::Unix(path) => EndpointAddress::Unix(path.clone()),
        settings::EndpointAddress::Name { host, port } => EndpointAddress::Name {
            resolved: resolver.watch(host, *port),
            host: host.as_str().into(),
            port: *port,
        },
    }
}

/// TLS towards the endpoints of one upstream.
struct UpstreamClient<'a> {
    client: ClientTls,
    settings: &'a settings::UpstreamTls,
    /// Differs where a connection may not be used in the place of another.
    trust: String,
}

fn client<'a>(
    upstream: &Upstream,
    settings: &'a settings::UpstreamTls,
    application_protocols: Vec<Vec<u8>>,
) -> Result<UpstreamClient<'a>, AssembleError> {
    let roots = match (&settings.verify, &settings.ca) {
        (Verify::Nothing, _) => Roots::Unverified,
        (Verify::Full, Some(path)) => Roots::File(path.clone()),
        (Verify::Full, None) => Roots::System,
    };
    let trust = format!("{roots:?}");
    let client = ClientTls::new(ClientTlsOptions {
        roots,
        application_protocols,
    })
    .map_err(|source| AssembleError::Tls {
        section: format!("upstreams.{}.tls", upstream.name),
        source: Box::new(source),
    })?;
    Ok(UpstreamClient {
        client,
        settings,
        trust,
    })
}

impl UpstreamClient<'_> {
    fn of(&self, endpoint: &Endpoint) -> EndpointTls {
        let name = self.settings.server_name.clone();
        let name = name.unwrap_or_else(|| match &endpoint.address {
            settings::EndpointAddress::Socket(address) => address.ip().to_string(),
            settings::EndpointAddress::Name { host, .. } => host.clone(),
            settings::EndpointAddress::Unix(_) => "localhost".to_owned(),
        });
        let identity: Arc<str> = format!("{name} {}", self.trust).into();
        EndpointTls {
            client: self.client.clone(),
            name: ServerName::try_from(name).expect("settings check host names"),
            identity,
        }
    }
}

//! What a server with `protocol = "tcp"` says beside its listeners.

use std::time::Duration;

use tidegate_gateway::route::{HostPattern, PathPattern, RouteSpec, RouteTable};
use tidegate_gateway::tcp::TcpTimeouts;
use tidegate_runtime::proxy_protocol::ProxyVersion;

use super::findings::{Finding, Mention};
use super::found::{Found, all, quoted};
use super::references::References;
use super::scalars::{Zero, parsed};
use super::section::Section;

/// The keys of a server that only TCP has.
#[derive(Debug, Clone, PartialEq)]
pub struct Tcp {
    /// Where its connections go.
    pub routing: Routing,
    /// Which PROXY protocol header endpoints are sent, if any.
    pub send_proxy_protocol: Option<ProxyVersion>,
    /// Whether its connections are in the access log, if there is one.
    pub access_log: bool,
    /// How long things may take.
    pub timeouts: TcpTimeouts,
    /// From accepting a connection to the end of its TLS handshake.
    pub tls_handshake: Duration,
    /// Open connections of the whole server, all workers together.
    pub connections: usize,
}

/// Where connections go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Routing {
    /// `upstream`: all to this one.
    All(String),
    /// `[[routes]]`: by the name a TLS client asks for.
    ByServerName(Vec<ServerNameRoute>),
}

/// One entry of `[[servers.NAME.routes]]` of a TCP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerNameRoute {
    /// The names it is for; all that no other route takes when absent.
    pub server_name: Option<HostPattern>,
    /// The upstream's name.
    pub upstream: String,
}

/// The most routes of a server.
const ROUTES_MAX: usize = 100_000;

const NAME: &str = "a name such as \"example.com\" or \"*.example.com\"";
const ROUTES: &str = "an array of tables, each headed [[servers.NAME.routes]]";
const ROUTING: [&str; 2] = ["upstream", "routes"];

impl Tcp {
    pub(super) fn read(section: &mut Section<'_>, references: &References) -> Option<Self> {
        let upstream = read_upstream(section, references).optional();
        let routes = section.read("routes", ROUTES, |found| read_routes(found, references));
        let routes = routes.optional();
        section.require_one(&ROUTING, "one of `upstream` and `routes`");
        section.at_most_one(&ROUTING, "only one of `upstream` and `routes`");
        section.at_most_one(
            &["tls", "routes"],
            "`upstream`: the name is read off a TLS that is not ended here",
        );
        let send_proxy_protocol = section
            .choice(
                "send_proxy_protocol",
                &[("v1", ProxyVersion::V1), ("v2", ProxyVersion::V2)],
            )
            .optional();
        let access_log = section.boolean("access_log").or(true);
        let timeouts = section.table("timeouts", read_timeouts);
        let connections = section.table("limits", |section| {
            Some(
                section
                    .integer("connections", 1..=10_000_000_u32)
                    .or(10_000),
            )
        });
        let (timeouts, tls_handshake) = timeouts?;
        Some(Self {
            routing: match (upstream?, routes?) {
                (Some(upstream), _) => Routing::All(upstream),
                (None, Some(routes)) => Routing::ByServerName(routes),
                (None, None) => return None,
            },
            send_proxy_protocol: send_proxy_protocol?,
            access_log,
            timeouts,
            tls_handshake,
            connections: connections? as usize,
        })
    }

    /// The names of the upstreams its connections go to.
    pub(super) fn upstreams(&self) -> Vec<&String> {
        match &self.routing {
            Routing::All(upstream) => vec![upstream],
            Routing::ByServerName(routes) => routes.iter().map(|it| &it.upstream).collect(),
        }
    }
}

fn read_upstream<'s, 'a>(
    section: &'s mut Section<'a>,
    references: &References,
) -> super::section::Entry<'s, 'a, String> {
    let expected = "the name of an upstream";
    section.read("upstream", expected, |found| {
        let name = found.text(expected)?.to_owned();
        references.upstream(found.mention(name.clone()));
        Some(name)
    })
}

fn read_timeouts(section: &mut Section<'_>) -> Option<(TcpTimeouts, Duration)> {
    let default = TcpTimeouts::default();
    let mut read = |key, default| section.duration(key, Zero::Refused).or(default);
    let timeouts = TcpTimeouts {
        client_hello: read("client_hello", default.client_hello),
        connect: read("upstream_connect", default.connect),
        idle: read("idle", default.idle),
        total: None,
    };
    let tls_handshake = read("tls_handshake", Duration::from_secs(10));
    let total = section.duration("total", Zero::Refused).optional()?;
    Some((TcpTimeouts { total, ..timeouts }, tls_handshake))
}

fn read_routes(found: &Found<'_>, references: &References) -> Option<Vec<ServerNameRoute>> {
    let items = found.items(ROUTES)?;
    if items.is_empty() || items.len() > ROUTES_MAX {
        let message = format!("{} routes are too few or too many", items.len());
        return found.refuse(message, format!("between 1 and {ROUTES_MAX} routes"));
    }
    let mut names: Vec<(Option<HostPattern>, Mention<()>)> = Vec::new();
    let routes = all(items.iter().map(|item| {
        item.section(|section| {
            let name = section.read("server_name", NAME, |found| {
                let name = parsed(found, NAME, |text| text.parse::<HostPattern>())?;
                Some(found.mention(name))
            });
            let name = name.optional();
            let upstream = read_upstream(section, references).required();
            let name = name?;
            let at = match &name {
                Some(name) => Mention {
                    value: (),
                    span: name.span.clone(),
                    key: name.key.clone(),
                },
                None => item.mention(()),
            };
            let server_name = name.map(|name| name.value);
            names.push((server_name.clone(), at));
            Some(ServerNameRoute {
                server_name,
                upstream: upstream?,
            })
        })
    }));
    refuse_conflicts(found, names);
    routes
}

/// Two routes for the same name: only one of them could ever be taken.
fn refuse_conflicts(found: &Found<'_>, names: Vec<(Option<HostPattern>, Mention<()>)>) {
    let specs = names.iter().map(|(name, _)| RouteSpec {
        host: name.clone(),
        path: every_path(),
        target: (),
    });
    let Err(conflicts) = RouteTable::build(specs.collect()) else {
        return;
    };
    for conflict in conflicts {
        let (name, at) = &names[conflict.route];
        let message = match name {
            Some(name) => format!("{} has a route already", quoted(&name.to_string())),
            None => "there is a route for all other names already".to_owned(),
        };
        let finding = Finding::new(at.span.clone(), at.key.clone(), message)
            .expected("a name that is not taken");
        found.findings().push(match conflict.with_route {
            Some(other) => finding.related(names[other].1.span.clone(), "taken here"),
            None => finding,
        });
    }
}

/// Connections have no path: their routes are for all.
pub(crate) fn every_path() -> PathPattern {
    PathPattern::prefix("/").expect("a slash is a prefix")
}

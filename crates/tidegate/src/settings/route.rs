//! `[[servers.NAME.routes]]`: which requests, and what happens to them.

mod action;
mod call;
mod headers;

pub use action::{Action, Redirect, Respond};
pub use call::ThriftCall;
pub use headers::HeaderEdits;

use super::findings::{Finding, Mention};
use super::found::{Found, all, quoted};
use super::limits::{Limits, Timeouts};
use super::references::References;
use super::scalars::{Zero, parsed};
use super::section::Section;
use super::{Place, Protocol, Server, Settings};
use std::collections::BTreeSet;
use std::time::Duration;
use tidegate_gateway::route::{HostPattern, PathPattern, RouteSpec, RouteTable};

/// One route.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its name in the access log, if it has one.
    pub name: Option<String>,
    /// Where it is defined.
    pub place: Place,
    /// The hosts it is for; all when absent.
    pub host: Option<HostPattern>,
    /// The paths it is for, from `path` or `prefix`.
    pub path: PathPattern,
    /// What happens to the request.
    pub action: Action,
    /// What is changed in the request before it is sent on.
    pub request_headers: HeaderEdits,
    /// What is changed in the response before it is sent back.
    pub response_headers: HeaderEdits,
    /// The server's time-outs with this route's own in their place.
    pub timeouts: RouteTimeouts,
    /// The server's limits with this route's own in their place.
    pub limits: RouteLimits,
}

/// The time-outs that a route may set for itself; see [`Timeouts`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTimeouts {
    /// Connecting to the upstream, TLS included.
    pub upstream_connect: Duration,
    /// From the end of the request to the head of the response.
    pub upstream_response: Duration,
    /// The longest silence within a response body.
    pub upstream_idle: Duration,
    /// The longest silence in both directions of an upgraded connection.
    pub tunnel_idle: Duration,
}

/// The limits that a route may set for itself; see [`Limits`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteLimits {
    /// Bytes of a request body; 413 beyond.
    pub body_bytes: u64,
}

/// The most routes of a server.
const ROUTES_MAX: usize = 100_000;

const HOST: &str = "a host such as \"example.com\" or \"*.example.com\"";
const PATH: &str = "a path such as \"/users/{id}\" or \"/files/{*rest}\"";
const PREFIX: &str = "a path prefix such as \"/api\"";

pub(super) fn read_routes(
    found: &Found<'_>,
    timeouts: &Timeouts,
    limits: &Limits,
    references: &References,
) -> Option<Vec<Route>> {
    let items = found.items("an array of tables, each headed [[servers.NAME.routes]]")?;
    if items.len() > ROUTES_MAX {
        let message = format!("{} routes are too many", items.len());
        return found.refuse(message, format!("at most {ROUTES_MAX} routes"));
    }
    let reader = RouteReader {
        timeouts,
        limits,
        references,
    };
    let mut matches = Vec::new();
    let routes = all(items.iter().map(|item| {
        let place = item.findings().place(item.span().start);
        item.section(|section| {
            let host = section
                .parsed("host", HOST, |text| text.parse::<HostPattern>())
                .optional();
            let path = read_path(section);
            if let (Some(host), Some(path)) = (&host, &path) {
                matches.push(RouteSpec {
                    host: host.clone(),
                    path: path.value.clone(),
                    target: path.clone(),
                });
            }
            reader.read(section, place, host, path)
        })
    }));
    refuse_conflicts(found, matches);
    routes
}

/// Two routes for the same requests: only one of them could ever be taken.
fn refuse_conflicts(found: &Found<'_>, matches: Vec<RouteSpec<Mention<PathPattern>>>) {
    let places: Vec<_> = matches.iter().map(|spec| spec.target.clone()).collect();
    let Err(conflicts) = RouteTable::build(matches) else {
        return;
    };
    for conflict in conflicts {
        let path = &places[conflict.route];
        let message = format!(
            "this route is for the same requests as {}",
            quoted(&conflict.with)
        );
        let finding = Finding::new(path.span.clone(), path.key.clone(), message)
            .expected("a host or path that is not taken");
        found.findings().push(match conflict.with_route {
            Some(other) => finding.related(places[other].span.clone(), "taken here"),
            None => finding,
        });
    }
}

struct RouteReader<'r> {
    timeouts: &'r Timeouts,
    limits: &'r Limits,
    references: &'r References,
}

impl RouteReader<'_> {
    fn read(
        &self,
        section: &mut Section<'_>,
        place: Place,
        host: Option<Option<HostPattern>>,
        path: Option<Mention<PathPattern>>,
    ) -> Option<Route> {
        let path = path.map(|path| path.value);
        let name = section.string("name").optional();
        let action = action::read(section, path.as_ref(), self.references);
        let request_headers = section.table("request_headers", HeaderEdits::read);
        let response_headers = section.table("response_headers", HeaderEdits::read);
        let timeouts = section.table("timeouts", |section| self.read_timeouts(section));
        let limits = section.table("limits", |section| {
            let body_bytes = section.size("body_bytes", Zero::Refused);
            Some(RouteLimits {
                body_bytes: body_bytes.or(self.limits.body_bytes),
            })
        });
        Some(Route {
            name: name?,
            place,
            host: host?,
            path: path?,
            action: action?,
            request_headers: request_headers?,
            response_headers: response_headers?,
            timeouts: timeouts?,
            limits: limits?,
        })
    }

    fn read_timeouts(&self, section: &mut Section<'_>) -> Option<RouteTimeouts> {
        let mut read = |key, default| section.duration(key, Zero::Refused).or(default);
        Some(RouteTimeouts {
            upstream_connect: read("upstream_connect", self.timeouts.upstream_connect),
            upstream_response: read("upstream_response", self.timeouts.upstream_response),
            upstream_idle: read("upstream_idle", self.timeouts.upstream_idle),
            tunnel_idle: read("tunnel_idle", self.timeouts.tunnel_idle),
        })
    }
}

fn read_path(section: &mut Section<'_>) -> Option<Mention<PathPattern>> {
    let parse = |text: &str| PathPattern::parse(text).map_err(|error| error.fault);
    let path = section.read("path", PATH, |found| {
        Some(found.mention(parsed(found, PATH, parse)?))
    });
    let path = path.optional();
    let parse = |text: &str| PathPattern::prefix(text).map_err(|error| error.fault);
    let prefix = section.read("prefix", PREFIX, |found| {
        Some(found.mention(parsed(found, PREFIX, parse)?))
    });
    let prefix = prefix.optional();
    section.require_one(
        &["path", "prefix"],
        "path = \"/users/{id}\" or prefix = \"/api\"",
    );
    section.at_most_one(&["path", "prefix"], "either `path` or `prefix`");
    path?.or(prefix?)
}

impl Settings {
    /// The names of the upstreams that `server` sends requests to.
    pub fn upstreams_of(&self, server: &Server) -> BTreeSet<String> {
        server
            .forwarded_upstreams()
            .into_iter()
            .chain(server.called_upstreams())
            .chain(match &server.protocol {
                Protocol::Tcp(tcp) => tcp.upstreams().into_iter().cloned().collect(),
                Protocol::Thrift(thrift) => thrift.upstreams().cloned().collect(),
                Protocol::Http | Protocol::Mqtt(_) | Protocol::Detect(_) => Vec::new(),
            })
            .collect()
    }
}

impl Server {
    /// The names of the upstreams that its routes send HTTP requests on to.
    pub fn forwarded_upstreams(&self) -> BTreeSet<String> {
        let actions = self.routes.iter().map(|route| &route.action);
        let names = actions.filter_map(|action| match action {
            Action::Upstream { name, .. } => Some(name.clone()),
            _ => None,
        });
        names.collect()
    }

    /// The names of the upstreams that its routes ask in Thrift.
    pub fn called_upstreams(&self) -> BTreeSet<String> {
        let actions = self.routes.iter().map(|route| &route.action);
        let names = actions.filter_map(|action| match action {
            Action::Thrift(call) => Some(call.upstream.clone()),
            _ => None,
        });
        names.collect()
    }
}

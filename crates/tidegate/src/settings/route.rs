//! `[[servers.NAME.routes]]`: which requests, and what happens to them.

mod action;
mod headers;
mod pattern;

pub use action::{Action, Redirect, Respond, Rewrite};
pub use headers::HeaderEdits;
pub use pattern::{HostPattern, Part, PathPattern, Template};

use super::findings::{Mention, Span};
use super::limits::{Limits, Timeouts};
use super::references::References;
use super::scalars::Zero;
use super::section::{Found, Section, all};
use super::{Place, Settings};
use std::collections::BTreeMap;
use std::time::Duration;

/// One route.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Its name in the access log, if it has one.
    pub name: Option<String>,
    /// Where it is defined.
    pub place: Place,
    /// The hosts it is for; all when absent.
    pub host: Option<HostPattern>,
    /// The paths it is for.
    pub path: RoutePath,
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

/// The paths a route is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RoutePath {
    /// `path = "/users/{id}"`: the whole path.
    Pattern(PathPattern),
    /// `prefix = "/api"`: that path and everything below it.
    Prefix(String),
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

/// What makes two routes the same: host and shape of the path.
type Shape = (Option<HostPattern>, String);

pub(super) fn read_routes(
    found: &Found<'_>,
    timeouts: &Timeouts,
    limits: &Limits,
    references: &References,
) -> Option<Vec<Route>> {
    let expected = "an array of tables, each headed [[servers.NAME.routes]]";
    let items = found.items(expected)?;
    if items.len() > ROUTES_MAX {
        let message = format!("{} routes are too many", items.len());
        return found.refuse(message, format!("at most {ROUTES_MAX} routes"));
    }
    let mut seen: BTreeMap<Shape, Span> = BTreeMap::new();
    all(items.iter().map(|item| {
        let place = item.findings().place(item.span().start);
        item.section(|section| {
            let mut reader = RouteReader {
                timeouts,
                limits,
                references,
                seen: &mut seen,
            };
            reader.read(section, place)
        })
    }))
}

struct RouteReader<'r> {
    timeouts: &'r Timeouts,
    limits: &'r Limits,
    references: &'r References,
    seen: &'r mut BTreeMap<Shape, Span>,
}

impl RouteReader<'_> {
    fn read(&mut self, section: &mut Section<'_>, place: Place) -> Option<Route> {
        let name = section.string("name").optional();
        let host = section
            .parsed("host", pattern::HOST, str::parse::<HostPattern>)
            .optional();
        let path = read_path(section);
        if let (Some(host), Some(path)) = (&host, &path) {
            self.refuse_repeated(section, host.clone(), path);
        }
        let path = path.map(|path| path.value);
        let action = action::read(section, path.as_ref(), self.references);
        let request_headers = section.table("request_headers", HeaderEdits::read);
        let response_headers = section.table("response_headers", HeaderEdits::read);
        let timeouts = section.table("timeouts", |section| self.read_timeouts(section));
        let limits = section.table("limits", |section| {
            Some(RouteLimits {
                body_bytes: section
                    .size("body_bytes", Zero::Refused)
                    .or(self.limits.body_bytes),
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

    /// Two routes for the same requests: the second would never be taken.
    fn refuse_repeated(
        &mut self,
        section: &Section<'_>,
        host: Option<HostPattern>,
        path: &Mention<RoutePath>,
    ) {
        let shape = match &path.value {
            RoutePath::Pattern(pattern) => format!("path {}", pattern.shape()),
            RoutePath::Prefix(prefix) => format!("prefix {prefix}"),
        };
        use std::collections::btree_map::Entry;
        match self.seen.entry((host, shape)) {
            Entry::Vacant(entry) => {
                entry.insert(path.span.clone());
            }
            Entry::Occupied(first) => section.findings().push(
                super::findings::Finding::new(
                    path.span.clone(),
                    path.key.clone(),
                    "another route is already for this host and path",
                )
                .expected("a different host or path")
                .related(first.get().clone(), "taken here"),
            ),
        }
    }
}

fn read_path(section: &mut Section<'_>) -> Option<Mention<RoutePath>> {
    let path = section.read("path", pattern::PATH, |found| {
        let pattern = super::scalars::parsed(found, pattern::PATH, str::parse::<PathPattern>)?;
        Some(found.mention(RoutePath::Pattern(pattern)))
    });
    let path = path.optional();
    let prefix = section.read("prefix", pattern::PREFIX, |found| {
        let prefix = super::scalars::parsed(found, pattern::PREFIX, pattern::parse_prefix)?;
        Some(found.mention(RoutePath::Prefix(prefix)))
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
    pub fn upstreams_of(&self, server: &super::Server) -> std::collections::BTreeSet<String> {
        let actions = server.routes.iter().map(|route| &route.action);
        actions
            .filter_map(|action| match action {
                Action::Upstream { name, .. } => Some(name.clone()),
                Action::Respond(_) | Action::Redirect(_) => None,
            })
            .collect()
    }
}

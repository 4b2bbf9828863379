//! Which route a request takes, by host and path.
//!
//! The settings build one [`RouteTable`] per site; the gateway's route handler asks
//! it once per request. A table never changes: an update builds a new one.
//!
//! Precedence: an exact host, then the longest matching `*.` wildcard, then routes
//! without a host; a host that has no matching path falls through to the less
//! specific one. Within a host a literal segment beats `{param}`, which beats
//! `{*rest}`. Give `find` a path that [`path::canonical`] accepted, never a raw one:
//! that is what keeps a spelling of a path from slipping past its route.

mod host;
mod params;
pub mod path;
mod pattern;
mod rewrite;
mod template;

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::ops::Deref;

pub use host::{HostPattern, HostPatternError};
pub use params::Params;
pub use pattern::{PathPattern, PathPatternError, PathPatternFault, ROUTE_PARAMS_MAX};
pub use rewrite::{QueryPolicy, RedirectSource, RedirectTarget, Rewrite, RewriteError};
pub use template::{TemplateError, TemplateFault};

use host::{HOST_BYTES_MAX, HostMap};

/// One route as the settings state it.
#[derive(Clone, Debug)]
pub struct RouteSpec<T> {
    /// The host it is for; `None` serves every host.
    pub host: Option<HostPattern>,
    /// The paths it is for.
    pub path: PathPattern,
    /// What the caller wants back when a request matches.
    pub target: T,
}

impl<T> RouteSpec<T> {
    /// A route for `path` on every host.
    pub const fn new(path: PathPattern, target: T) -> Self {
        Self {
            host: None,
            path,
            target,
        }
    }
}

/// Two routes of one table that claim the same requests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("route `{pattern}`{} conflicts with `{with}`", on_host(host.as_ref()))]
pub struct RouteConflict {
    /// The later route's position in the list the table was built from.
    pub route: usize,
    /// The later route's path pattern, as written.
    pub pattern: String,
    /// The earlier route's position, when it could be told.
    pub with_route: Option<usize>,
    /// The earlier route's path pattern, as written.
    pub with: String,
    /// The host both are for; `None` for any.
    pub host: Option<HostPattern>,
}

/// Every conflict of one table, as many as there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConflicts(Vec<RouteConflict>);

impl Deref for RouteConflicts {
    type Target = [RouteConflict];

    fn deref(&self) -> &[RouteConflict] {
        &self.0
    }
}

impl IntoIterator for RouteConflicts {
    type Item = RouteConflict;
    type IntoIter = std::vec::IntoIter<RouteConflict>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for RouteConflicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, conflict) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "; " };
            write!(f, "{separator}{conflict}")?;
        }
        Ok(())
    }
}

impl Error for RouteConflicts {}

fn on_host(host: Option<&HostPattern>) -> String {
    host.map_or_else(String::new, |host| format!(" on host `{host}`"))
}

/// A matched route.
#[derive(Debug)]
pub struct Match<'a, T> {
    /// The target of the route's [`RouteSpec`].
    pub target: &'a T,
    /// The route's position in the list the table was built from.
    pub route: usize,
    /// The pattern that matched.
    pub pattern: &'a PathPattern,
    /// What the pattern's `{names}` stand for in this path.
    pub params: Params<'a>,
}

/// Finds the route of a request.
///
/// ```
/// use tidegate_gateway::route::{PathPattern, RouteSpec, RouteTable};
///
/// let table = RouteTable::build(vec![RouteSpec {
///     host: Some("*.example.com".parse()?),
///     path: PathPattern::parse("/users/{id}")?,
///     target: "users",
/// }])?;
/// let found = table.find("API.example.com:8080", "/users/7").expect("it matches");
/// assert_eq!((*found.target, found.params.get("id")), ("users", Some("7")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct RouteTable<T> {
    routes: Vec<Route<T>>,
    exact: HostMap<Paths>,
    /// Keyed by what follows `*.`.
    wildcard: HostMap<Paths>,
    /// The most labels a wildcard's key has: longer suffixes of a host need no look-up.
    wildcard_labels_max: usize,
    any: Paths,
}

#[derive(Debug)]
struct Route<T> {
    target: T,
    path: PathPattern,
}

type Paths = matchit::Router<usize>;

impl<T> RouteTable<T> {
    /// Builds the table.
    ///
    /// # Errors
    ///
    /// Every pair of routes on one host that matches the same paths. An explicit
    /// path never conflicts with the empty rest of a `{*rest}` or prefix route: it wins.
    pub fn build(specs: Vec<RouteSpec<T>>) -> Result<Self, RouteConflicts> {
        let mut table = Self {
            routes: Vec::with_capacity(specs.len()),
            exact: HashMap::default(),
            wildcard: HashMap::default(),
            wildcard_labels_max: 0,
            any: Paths::new(),
        };
        let hosts: Vec<_> = specs.iter().map(|spec| spec.host.clone()).collect();
        for spec in specs {
            table.routes.push(Route {
                target: spec.target,
                path: spec.path,
            });
        }
        let conflicts = table.insert_all(&hosts);
        if conflicts.is_empty() {
            Ok(table)
        } else {
            Err(RouteConflicts(conflicts))
        }
    }

    /// The route for a request to `host` (as in the `Host` field or `:authority`:
    /// any case, with or without port and trailing dot) and the canonical `path`.
    ///
    /// Allocates nothing for patterns of up to three parameters.
    pub fn find<'a>(&'a self, host: &str, path: &'a str) -> Option<Match<'a, T>> {
        if !self.is_by_host() {
            return self.at(&self.any, path);
        }
        self.find_by_host(host, path)
            .or_else(|| self.at(&self.any, path))
    }

    /// Whether any route is for some host only, so that the host of a request matters.
    pub fn is_by_host(&self) -> bool {
        !(self.exact.is_empty() && self.wildcard.is_empty())
    }

    /// The target of the route at position `route` of what the table was built from.
    ///
    /// # Panics
    ///
    /// When there is no such route.
    pub fn target(&self, route: usize) -> &T {
        &self.routes[route].target
    }

    /// The number of routes.
    pub fn len(&self) -> usize {
        self.routes.len()
    }

    /// Whether the table has no route at all.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty()
    }

    /// Every target with its route's position, for pruning what no route uses.
    pub fn targets(&self) -> impl Iterator<Item = (usize, &T)> {
        let targets = self.routes.iter().map(|route| &route.target);
        targets.enumerate()
    }

    fn find_by_host<'a>(&'a self, host: &str, path: &'a str) -> Option<Match<'a, T>> {
        let mut scratch = [0; HOST_BYTES_MAX];
        let host = host::normalize(host, &mut scratch)?;
        if let Some(paths) = self.exact.get(host)
            && let Some(found) = self.at(paths, path)
        {
            return Some(found);
        }
        if self.wildcard.is_empty() {
            return None;
        }
        host::parents(host, self.wildcard_labels_max)
            .filter_map(|parent| self.wildcard.get(parent))
            .find_map(|paths| self.at(paths, path))
    }

    fn at<'a>(&'a self, paths: &'a Paths, path: &'a str) -> Option<Match<'a, T>> {
        let found = paths.at(path).ok()?;
        let route = &self.routes[*found.value];
        Some(Match {
            target: &route.target,
            route: *found.value,
            pattern: &route.path,
            params: Params::new(found.params, route.path.rest_name()),
        })
    }

    /// Explicit paths first, so that the spellings a pattern implies can give way.
    fn insert_all(&mut self, hosts: &[Option<HostPattern>]) -> Vec<RouteConflict> {
        let mut conflicts = Vec::new();
        let mut taken: HashSet<(Option<&HostPattern>, String)> = HashSet::new();
        for (route, host) in hosts.iter().enumerate() {
            let path = self.routes[route].path.clone();
            taken.insert((host.as_ref(), path.shape()));
            if let Err(error) = self.paths(host.as_ref()).insert(path.matched(), route) {
                conflicts.push(self.conflict(route, hosts, error));
            }
        }
        for (route, host) in hosts.iter().enumerate() {
            for implied in self.routes[route].path.implied() {
                if taken.contains(&(host.as_ref(), pattern::shape(&implied))) {
                    continue;
                }
                // A conflict between implied spellings repeats one of the routes' own.
                if let Err(error) = self.paths(host.as_ref()).insert(implied, route)
                    && conflicts.is_empty()
                {
                    conflicts.push(self.conflict(route, hosts, error));
                }
            }
        }
        conflicts
    }

    fn paths(&mut self, host: Option<&HostPattern>) -> &mut Paths {
        match host {
            None => &mut self.any,
            Some(HostPattern::Exact(name)) => self.exact.entry(name.clone()).or_default(),
            Some(HostPattern::Wildcard(parent)) => {
                let labels = host::labels(parent);
                self.wildcard_labels_max = self.wildcard_labels_max.max(labels);
                self.wildcard.entry(parent.clone()).or_default()
            }
        }
    }

    fn conflict(
        &self,
        route: usize,
        hosts: &[Option<HostPattern>],
        error: matchit::InsertError,
    ) -> RouteConflict {
        let with = match error {
            matchit::InsertError::Conflict { with } => with,
            // Patterns were checked when they were parsed; this says so if one slips by.
            other => other.to_string(),
        };
        let with_route = (0..route).find(|&earlier| {
            hosts[earlier] == hosts[route] && self.routes[earlier].path.spells(&with)
        });
        RouteConflict {
            route,
            pattern: self.routes[route].path.to_string(),
            with: with_route.map_or(with, |earlier| self.routes[earlier].path.to_string()),
            with_route,
            host: hosts[route].clone(),
        }
    }
}

//! The servers behind the gateway: who they are, which is next, and the
//! connections kept to them.
//!
//! Each worker has its own [`Upstream`]s, made from specifications all workers
//! share. An update hands over, per upstream and endpoint, the idle connections
//! and the balancer's state; endpoints are matched by address and TLS identity,
//! so the pool survives any change of time limits, weights, routes or layers.
//! What the new settings do not name goes with the old generation.

mod availability;
mod connect;
mod dial;
mod exchange;
mod notes;
mod pool;
mod thrift;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use http::HeaderValue;
use rustls_pki_types::ServerName;
use tidegate_http::client::ConnectionHome;
use tidegate_runtime::tls::ClientTls;

pub use self::connect::{ConnectError, Connecting};
pub use self::dial::{DialError, Dialed};
pub use self::exchange::{Attempt, Forwarding};
pub use self::notes::CallNotes;
pub use self::pool::{Pool, PoolLimits, Pooled};
pub use self::thrift::{Asking, Retrying, ThriftUpstream};
use crate::balance::{self, Balance, Balancer, EndpointIndex};
use crate::ejection::{EjectionPolicy, Ejector};
use crate::health::Health;
use crate::meter::UpstreamCells;
use crate::resolve::Resolved;

/// One upstream as the settings describe it, shared by all workers.
#[derive(Clone, Debug)]
pub struct UpstreamSpec {
    /// Its name in the settings: state is handed over under it.
    pub name: Arc<str>,
    /// How its endpoints take turns.
    pub balance: Balance,
    /// Its endpoints.
    pub endpoints: Vec<EndpointSpec>,
    /// Bounds of each endpoint's pool, per worker.
    pub pool: PoolLimits,
    /// What `Host` says.
    pub host: HostPolicy,
    /// How many more endpoints a request may be tried on.
    pub retries: u32,
    /// When endpoints that keep failing are left alone.
    pub ejection: EjectionPolicy,
}

/// How many more endpoints a request may be tried on, unless something else is asked for.
pub const DEFAULT_RETRIES: u32 = 1;

impl UpstreamSpec {
    /// An upstream of `endpoints` that take turns, with the client's `Host`, and defaults for
    /// everything else.
    pub fn new(name: impl Into<Arc<str>>, endpoints: Vec<EndpointSpec>) -> Self {
        Self {
            name: name.into(),
            balance: Balance::default(),
            endpoints,
            pool: PoolLimits::default(),
            host: HostPolicy::Preserve,
            retries: DEFAULT_RETRIES,
            ejection: EjectionPolicy::default(),
        }
    }
}

/// One endpoint of an upstream.
#[derive(Clone, Debug)]
pub struct EndpointSpec {
    /// Where it is.
    pub address: EndpointAddress,
    /// Its share of the requests.
    pub weight: u32,
    /// TLS, if it is spoken.
    pub tls: Option<EndpointTls>,
    /// What checks find, if it is checked.
    pub health: Option<Health>,
}

impl EndpointSpec {
    /// An endpoint of weight one, without TLS, that nobody checks.
    pub const fn new(address: EndpointAddress) -> Self {
        Self {
            address,
            weight: 1,
            tls: None,
            health: None,
        }
    }
}

impl From<SocketAddr> for EndpointSpec {
    fn from(address: SocketAddr) -> Self {
        Self::new(EndpointAddress::Tcp(address))
    }
}

/// Where an endpoint is.
#[derive(Clone, Debug)]
pub enum EndpointAddress {
    /// A TCP address.
    Tcp(SocketAddr),
    /// A name that is looked up off the worker.
    Name {
        /// The name.
        host: Arc<str>,
        /// The port.
        port: u16,
        /// What it last resolved to.
        resolved: Resolved,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Name { host, port, .. } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// How TLS is spoken with an endpoint.
#[derive(Clone, Debug)]
pub struct EndpointTls {
    /// The configuration, shared by all workers.
    pub client: ClientTls,
    /// Whom the endpoint must prove to be.
    pub name: ServerName<'static>,
    /// What distinguishes this TLS from another to the same address: connections
    /// are handed over only between equals.
    pub identity: Arc<str>,
}

/// What `Host` an upstream is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPolicy {
    /// The client's.
    Preserve,
    /// The endpoint's own address.
    Endpoint,
    /// This.
    Literal(HeaderValue),
}

/// A worker's side of one upstream.
pub struct Upstream {
    spec: UpstreamSpec,
    name: Rc<str>,
    balancer: Balancer,
    ejector: Ejector,
    endpoints: Vec<Endpoint>,
    /// Whether any endpoint is checked.
    is_checked: bool,
    cells: Arc<UpstreamCells>,
}

/// A worker's side of one endpoint.
pub struct Endpoint {
    spec: EndpointSpec,
    name: Rc<str>,
    host: Option<HeaderValue>,
    key: Box<str>,
    pool: Rc<Pool>,
    home: Rc<dyn ConnectionHome>,
    limits: PoolLimits,
}

impl Upstream {
    /// A worker's side of `spec`, with what can be taken over from `old`.
    pub fn new(spec: &UpstreamSpec, old: Option<&Self>, seed: u64) -> Self {
        let pools: HashMap<&str, &Rc<Pool>> = old
            .into_iter()
            .flat_map(|old| &old.endpoints)
            .map(|endpoint| (&*endpoint.key, &endpoint.pool))
            .collect();
        let endpoints: Vec<Endpoint> = spec
            .endpoints
            .iter()
            .map(|endpoint| Endpoint::new(endpoint, spec, &pools))
            .collect();
        let turns = endpoints
            .iter()
            .map(|endpoint| balance::Endpoint::weighted(endpoint.key.clone(), endpoint.spec.weight))
            .collect();
        let balancer = match old {
            Some(old) => Balancer::inherit(spec.balance, turns, &old.balancer),
            None => Balancer::new(spec.balance, turns, seed),
        };
        Self {
            spec: spec.clone(),
            name: Rc::from(&*spec.name),
            balancer,
            ejector: Ejector::new(
                spec.ejection,
                endpoints.iter().map(|endpoint| &*endpoint.key),
                old.map(|old| &old.ejector),
            ),
            is_checked: spec.endpoints.iter().any(|it| it.health.is_some()),
            endpoints,
            cells: Arc::default(),
        }
    }

    /// The same, counting with `cells`.
    #[must_use]
    pub(crate) fn metered(self, cells: Arc<UpstreamCells>) -> Self {
        Self { cells, ..self }
    }

    /// Its name in the settings.
    pub fn name(&self) -> &Rc<str> {
        &self.name
    }

    /// How many idle connections it keeps, over all endpoints.
    pub fn idle_connections(&self) -> usize {
        self.endpoints
            .iter()
            .map(|endpoint| endpoint.pool.len())
            .sum()
    }

    fn endpoint(&self, index: EndpointIndex) -> &Endpoint {
        &self.endpoints[index.0]
    }
}

impl Endpoint {
    fn new(spec: &EndpointSpec, upstream: &UpstreamSpec, pools: &HashMap<&str, &Rc<Pool>>) -> Self {
        let address = spec.address.to_string();
        let key: Box<str> = match &spec.tls {
            None => address.as_str().into(),
            Some(tls) => format!("{address} {}", tls.identity).into(),
        };
        let pool = pools
            .get(&*key)
            .map_or_else(Rc::default, |pool| Rc::clone(pool));
        let host = match &upstream.host {
            HostPolicy::Preserve => None,
            HostPolicy::Literal(host) => Some(host.clone()),
            HostPolicy::Endpoint => match &spec.address {
                EndpointAddress::Unix(_) => Some(HeaderValue::from_static("localhost")),
                _ => HeaderValue::from_str(&address).ok(),
            },
        };
        Self {
            spec: spec.clone(),
            name: address.into(),
            host,
            key,
            home: pool.home(upstream.pool),
            pool,
            limits: upstream.pool,
        }
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream")
            .field("name", &self.name)
            .field("idle_connections", &self.idle_connections())
            .finish_non_exhaustive()
    }
}

/// Another start for each worker's balancers, so that they do not march in step.
pub(crate) fn seed() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(0)
}

//! A TCP proxy: a service that passes a connection on to an endpoint, byte by byte.
//!
//! Which upstream it goes to is said by the listener alone or by the name a TLS client
//! asks for, which is read off its ClientHello without ending the TLS. Balancing, retries,
//! TLS towards endpoints and what is counted are those of any other [`Upstream`].
//!
//! A connection lasts until both sides have finished, one of its limits passes, or the
//! generation that serves it is dropped at the end of its drain time: there is no word in
//! TCP that asks a peer to leave.

mod greeting;
mod record;

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tidegate_runtime::connections::{Accepted, ConnectionHandle};
use tidegate_runtime::in_place;
use tidegate_runtime::limit::{self, Limit};
use tidegate_runtime::opening::{OpeningError, Silence, read_opening};
use tidegate_runtime::proxy_protocol::ProxyVersion;
use tidegate_runtime::relay::{Relay, RelayError, RelayLimits};
use tidegate_runtime::tls::{ClientHello, ClientHelloError, ClientHelloPeek};
use tidegate_service::{MakeService, Service};

use self::record::Record;
use crate::access_log::LogBuffer;
use crate::balance::InFlight;
use crate::logged::LogMode;
use crate::meter::{SiteMeter, TcpCells};
use crate::route::RouteTable;
use crate::upstream::{Connecting, DialError, Upstream, UpstreamSpec, seed};

/// What a TCP proxy does, shared by all workers.
#[derive(Debug)]
pub struct TcpSpec {
    /// Where connections go, by position among `upstreams`.
    pub routing: TcpRouting,
    /// The upstreams.
    pub upstreams: Vec<UpstreamSpec>,
    /// What endpoints are told of the client, ahead of its first byte.
    pub send_proxy_protocol: Option<ProxyVersion>,
    /// Time limits.
    pub timeouts: TcpTimeouts,
    /// What connections are counted with.
    pub meter: SiteMeter,
    /// The site's name in the access log.
    pub site: Arc<str>,
    /// Whether connections are in the access log: a line for each, when it has ended.
    pub log: LogMode,
}

/// Where connections go.
#[derive(Debug)]
pub enum TcpRouting {
    /// All to one upstream.
    All(usize),
    /// By the name a TLS client asks for, which stays encrypted past the name. A route
    /// without a host takes those that no other does, and those that name none. Routes are
    /// for every path.
    ByServerName(Box<RouteTable<usize>>),
}

/// How long things may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpTimeouts {
    /// From accepting a connection to the end of its ClientHello, where that is read.
    pub client_hello: Duration,
    /// Connecting to one endpoint, TLS included.
    pub connect: Duration,
    /// The longest time in which not a byte is passed on either way.
    pub idle: Duration,
    /// The longest a connection may last, if that is limited.
    pub total: Option<Duration>,
}

impl Default for TcpTimeouts {
    fn default() -> Self {
        Self {
            client_hello: Duration::from_secs(10),
            connect: Duration::from_secs(2),
            idle: Duration::from_secs(60 * 60),
            total: None,
        }
    }
}

/// Why a connection was not passed on, or not to its end.
#[derive(Debug, Error)]
pub enum TcpProxyError {
    /// The client did not say where it wants to go.
    #[error(transparent)]
    Opening(#[from] OpeningError<ClientHelloError>),
    /// No route is for the name it asked for.
    #[error("no route for the server name {0:?}")]
    NoRoute(Box<str>),
    /// No endpoint took the connection.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// It was broken off.
    #[error("{endpoint}: {source}")]
    Relay {
        /// Where it went.
        endpoint: Rc<str>,
        /// Why.
        source: RelayError,
    },
}

/// A worker's side of a TCP proxy.
#[derive(Debug)]
pub struct TcpProxy {
    spec: Arc<TcpSpec>,
    upstreams: Vec<Upstream>,
    cells: Arc<TcpCells>,
    site: Rc<str>,
    log: Option<Rc<LogBuffer>>,
}

/// A connection whose both ends are there.
struct Joined {
    relay: Relay,
    endpoint: Rc<str>,
    cells: Arc<TcpCells>,
    record: Option<Box<Record>>,
    // Held for their drop: a place among the connections, and the endpoint's load.
    _handle: ConnectionHandle,
    _in_flight: InFlight,
}

/// What was passed on is counted and told also of a connection that is cut off.
impl Drop for Joined {
    fn drop(&mut self) {
        let relayed = self.relay.relayed();
        self.cells.count(relayed);
        if let Some(record) = &mut self.record {
            record.passed(relayed);
        }
    }
}

impl TcpProxy {
    /// The worker's upstreams, by position in the specification.
    pub fn upstreams(&self) -> &[Upstream] {
        &self.upstreams
    }

    async fn join(&self, accepted: Accepted) -> Result<Joined, TcpProxyError> {
        let log = self.log.as_ref();
        let begin = |log| Box::new(Record::begin(&self.site, log, accepted.peer));
        let mut record = log.map(begin);
        let joined = self.dial(accepted, record.as_deref_mut()).await;
        if let (Err(error), Some(record)) = (&joined, &mut record) {
            record.ended(Some(error));
        }
        let mut joined = joined?;
        if let Some(record) = &mut record {
            record.joined(&joined.endpoint);
        }
        joined.record = record;
        Ok(joined)
    }

    async fn dial(
        &self,
        mut accepted: Accepted,
        mut record: Option<&mut Record>,
    ) -> Result<Joined, TcpProxyError> {
        let timeouts = &self.spec.timeouts;
        let upstream = match &self.spec.routing {
            TcpRouting::All(upstream) => *upstream,
            TcpRouting::ByServerName(routes) => {
                let hello = read_hello(&mut accepted, timeouts.client_hello).await?;
                let name = hello.server_name;
                if let Some(record) = &mut record {
                    record.server_name.clone_from(&name);
                }
                let name = name.unwrap_or_default();
                match routes.find(&name, "/") {
                    Some(found) => *routes.target(found.route),
                    None => return Err(TcpProxyError::NoRoute(name)),
                }
            }
        };
        if let Some(record) = record {
            record.upstream = Some(Rc::clone(self.upstreams[upstream].name()));
        }
        let greeting = greeting::of(self.spec.send_proxy_protocol, &accepted);
        let dialed = self.upstreams[upstream].dial(Connecting {
            timeout: timeouts.connect,
            greeting: &greeting,
        });
        let Accepted { io, handle, .. } = accepted;
        match dialed.await {
            Ok(dialed) => Ok(Joined {
                relay: Relay::new(io, dialed.io),
                endpoint: dialed.endpoint,
                cells: Arc::clone(&self.cells),
                record: None,
                _handle: handle,
                _in_flight: dialed.in_flight,
            }),
            Err(error) => {
                io.break_off();
                Err(error.into())
            }
        }
    }
}

async fn read_hello(
    accepted: &mut Accepted,
    timeout: Duration,
) -> Result<ClientHello, OpeningError<ClientHelloError>> {
    let mut peek = ClientHelloPeek::default();
    let mut seen = 0;
    let hello = read_opening(accepted, timeout, Silence::Refused, |bytes| {
        let new = &bytes[seen..];
        seen = bytes.len();
        peek.input(new)
    });
    Ok(hello.await?.unwrap_or_default())
}

impl Service<Accepted> for TcpProxy {
    type Response = ();
    type Error = TcpProxyError;

    async fn call(&self, accepted: Accepted) -> Result<(), TcpProxyError> {
        // Boxed: connecting takes room, and is over long before the connection is.
        let mut joined = in_place::future(|| self.join(accepted)).await?;
        let limits = RelayLimits {
            idle: self.spec.timeouts.idle,
            total: self.spec.timeouts.total,
        };
        let ended = joined.relay.run(&limits).await;
        let ended = ended.map_err(|source| {
            match &source {
                RelayError::Idle => limit::hit(Limit::TunnelIdleTimeout),
                RelayError::Overdue => limit::hit(Limit::TotalTimeout),
                RelayError::First(_) | RelayError::Second(_) => {}
            }
            TcpProxyError::Relay {
                endpoint: Rc::clone(&joined.endpoint),
                source,
            }
        });
        if let Some(record) = &mut joined.record {
            record.ended(ended.as_ref().err());
        }
        ended
    }
}

/// Makes a worker's [`TcpProxy`].
#[derive(Clone, Debug)]
pub struct TcpProxyFactory {
    spec: Arc<TcpSpec>,
}

impl TcpProxyFactory {
    /// A factory of `spec`.
    pub fn new(spec: TcpSpec) -> Self {
        Self {
            spec: Arc::new(spec),
        }
    }
}

impl MakeService for TcpProxyFactory {
    type Service = TcpProxy;
    type Error = Infallible;

    fn make_via_ref(&self, old: Option<&TcpProxy>) -> Result<TcpProxy, Infallible> {
        let spec = &self.spec;
        let upstream = |wanted: &UpstreamSpec| {
            let mut known = old.iter().flat_map(|old| &old.upstreams);
            let old = known.find(|upstream| **upstream.name() == *wanted.name);
            let cells = spec.meter.upstream(&wanted.name);
            Upstream::new(wanted, old, seed()).metered(cells)
        };
        Ok(TcpProxy {
            upstreams: spec.upstreams.iter().map(upstream).collect(),
            cells: spec.meter.tcp(),
            site: Rc::from(&*spec.site),
            log: spec.log.buffer(old.and_then(|old| old.log.as_ref())),
            spec: Arc::clone(spec),
        })
    }
}

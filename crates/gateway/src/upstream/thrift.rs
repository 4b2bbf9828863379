//! An upstream that is asked in Thrift: the same endpoints, balancing and counts as any
//! other, and connections of its own kind.
//!
//! A Thrift call does not say whether it may be made twice. It is tried again where not a
//! byte of it was sent, and beyond that only if the route says that its calls may be.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tidegate_http::client::Readiness;
use tidegate_runtime::clock::Tick;
use tidegate_thrift::client::{self, ClientConnection, ClientSettings, Progress};
use tidegate_thrift::codec::{Message, Transport};
use tidegate_thrift::{Fault, FaultKind};

use super::availability::Use;
use super::connect::{ConnectError, Connecting, connect_stream};
use super::exchange::Tries;
use super::notes::CallNotes;
use super::pool::{Pool, Pooled};
use super::{Upstream, UpstreamSpec};
use crate::balance::EndpointIndex;
use crate::meter::UpstreamCells;

/// When a call whose connection broke before an answer began is made again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retrying {
    /// If nothing of it had been sent.
    #[default]
    Unsent,
    /// Always: the endpoint may do what it is asked twice.
    Unanswered,
}

/// How a route's calls are made.
#[derive(Clone, Debug)]
pub struct Asking {
    /// The longest a new connection may take.
    pub connect_timeout: Duration,
    /// What the endpoint is granted.
    pub client: ClientSettings,
    /// When a call is made again.
    pub retrying: Retrying,
}

/// A worker's side of one upstream that is asked in Thrift.
pub struct ThriftUpstream {
    upstream: Upstream,
    /// By endpoint.
    pools: Vec<Rc<Pools>>,
}

/// Idle connections to one endpoint. A connection that began with one transport keeps it.
#[derive(Default)]
struct Pools {
    unframed: Rc<Pool<ClientConnection>>,
    framed: Rc<Pool<ClientConnection>>,
    header: Rc<Pool<ClientConnection>>,
}

impl Pools {
    const fn of(&self, transport: Transport) -> &Rc<Pool<ClientConnection>> {
        match transport {
            Transport::Unframed => &self.unframed,
            Transport::Framed => &self.framed,
            Transport::TtHeader | Transport::TtHeaderFramed => &self.header,
        }
    }

    fn len(&self) -> usize {
        self.unframed.len() + self.framed.len() + self.header.len()
    }
}

impl Pooled for ClientConnection {
    fn idle_since(&self) -> Tick {
        self.idle_since()
    }

    fn requests(&self) -> u64 {
        self.calls()
    }

    fn readiness(&mut self) -> Readiness {
        match self.readiness() {
            client::Readiness::Ready => Readiness::Ready,
            client::Readiness::Dead => Readiness::Dead,
        }
    }
}

/// What one endpoint made of a call.
enum Outcome {
    Answered(Option<Message>),
    /// Another endpoint may be asked.
    Elsewhere(Fault),
    Failed(Fault),
}

impl Outcome {
    /// What it says of the endpoint, if anything.
    fn judge(&self) -> Option<Use> {
        let fault = match self {
            Self::Answered(_) => return Some(Use::Good),
            Self::Elsewhere(fault) | Self::Failed(fault) => fault,
        };
        let blamed = matches!(
            fault.kind(),
            FaultKind::UpstreamConnect
                | FaultKind::UpstreamConnectTimeout
                | FaultKind::UpstreamReset
                | FaultKind::UpstreamProtocol(_)
                | FaultKind::UpstreamSequence
                | FaultKind::UpstreamTimeout
        );
        blamed.then_some(Use::Bad)
    }
}

impl ThriftUpstream {
    /// A worker's side of `spec`, with what can be taken over from `old`.
    pub fn new(spec: &UpstreamSpec, old: Option<&Self>, seed: u64) -> Self {
        let upstream = Upstream::new(spec, old.map(|old| &old.upstream), seed);
        let known: HashMap<&str, &Rc<Pools>> = old
            .into_iter()
            .flat_map(|old| old.upstream.endpoints.iter().zip(&old.pools))
            .map(|(endpoint, pools)| (&*endpoint.key, pools))
            .collect();
        let pools = upstream.endpoints.iter().map(|endpoint| {
            let known = known.get(&*endpoint.key);
            known.map_or_else(Rc::default, |pools| Rc::clone(pools))
        });
        Self {
            pools: pools.collect(),
            upstream,
        }
    }

    /// The same, counting with `cells`.
    #[must_use]
    pub fn metered(self, cells: std::sync::Arc<UpstreamCells>) -> Self {
        Self {
            upstream: self.upstream.metered(cells),
            ..self
        }
    }

    /// Its name in the settings.
    pub const fn name(&self) -> &Rc<str> {
        &self.upstream.name
    }

    /// How many idle connections it keeps, over all endpoints.
    pub fn idle_connections(&self) -> usize {
        self.pools.iter().map(|pools| pools.len()).sum()
    }

    /// Makes a call and waits for its answer, of which a one-way call has none.
    ///
    /// # Errors
    ///
    /// The fault of the last endpoint tried, or that none can be.
    ///
    /// # Cancellation
    ///
    /// Can be dropped at any time; the connection is closed, and the endpoint may do what
    /// it was asked all the same.
    pub async fn ask(
        &self,
        call: &Message,
        asking: &Asking,
        notes: &impl CallNotes,
    ) -> Result<Option<Message>, Fault> {
        let upstream = &self.upstream;
        notes.upstream(&upstream.name);
        let mut tries = Tries::of(upstream.spec.retries);
        let mut fault = None;
        while let Some(index) = upstream.pick(&tries) {
            notes.endpoint(&upstream.endpoint(index).name);
            let _in_flight = upstream.balancer.start(index);
            let outcome = self.ask_endpoint(index, call, asking, notes).await;
            if let Some(how) = outcome.judge() {
                upstream.note(index, how);
            }
            match outcome {
                Outcome::Answered(message) => return Ok(message),
                Outcome::Failed(fault) => return Err(fault),
                Outcome::Elsewhere(cause) => {
                    fault = Some(cause);
                    if !tries.spend(index) {
                        break;
                    }
                    notes.retry();
                }
            }
        }
        Err(fault.unwrap_or_else(|| Fault::new(FaultKind::NoEndpoint, "no endpoint is available")))
    }

    async fn ask_endpoint(
        &self,
        index: EndpointIndex,
        call: &Message,
        asking: &Asking,
        notes: &impl CallNotes,
    ) -> Outcome {
        let endpoint = self.upstream.endpoint(index);
        let cells = &self.upstream.cells;
        if let Some(kept) = self.pool(index, call).take(endpoint.limits) {
            cells.count_reused();
            match self.send(kept, index, call, asking).await {
                // Closed while it was kept, which is no fault of the endpoint: it gets one
                // more try, on a new connection.
                Outcome::Elsewhere(_) => notes.retry(),
                outcome => return outcome,
            }
        }
        let connecting = Connecting {
            timeout: asking.connect_timeout,
            greeting: &[],
        };
        // Boxed: large, and most calls find a kept connection.
        let connecting = Box::pin(connect_stream(&endpoint.spec, connecting));
        match connecting.await {
            Ok(io) => {
                cells.count_connected();
                let fresh = ClientConnection::new(io);
                self.send(fresh, index, call, asking).await
            }
            Err(error) => {
                cells.count_failed();
                Outcome::Elsewhere(connect_fault(&error))
            }
        }
    }

    async fn send(
        &self,
        connection: ClientConnection,
        index: EndpointIndex,
        call: &Message,
        asking: &Asking,
    ) -> Outcome {
        match connection.call(call, &asking.client).await {
            Ok(answered) => {
                if let Some(connection) = answered.connection {
                    let limits = self.upstream.endpoint(index).limits;
                    self.pool(index, call).put(connection, limits);
                }
                Outcome::Answered(answered.message)
            }
            Err(failure) => match (failure.progress, asking.retrying) {
                (Progress::Unsent, _) | (Progress::NoAnswer, Retrying::Unanswered) => {
                    Outcome::Elsewhere(failure.fault)
                }
                _ => Outcome::Failed(failure.fault),
            },
        }
    }

    fn pool(&self, index: EndpointIndex, call: &Message) -> &Rc<Pool<ClientConnection>> {
        self.pools[index.0].of(call.wire.transport)
    }
}

fn connect_fault(error: &ConnectError) -> Fault {
    let kind = match error {
        ConnectError::Late { .. } => FaultKind::UpstreamConnectTimeout,
        ConnectError::Unresolved { .. } => FaultKind::NoEndpoint,
        ConnectError::Failed { .. } => FaultKind::UpstreamConnect,
    };
    Fault::new(kind, error.to_string())
}

impl fmt::Debug for ThriftUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThriftUpstream")
            .field("name", self.name())
            .field("idle_connections", &self.idle_connections())
            .finish_non_exhaustive()
    }
}

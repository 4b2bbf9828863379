//! Serving Thrift on accepted connections.
//!
//! A connection's calls are answered one after the other, in the transport and protocol
//! each came in. The protocol has no word for "this connection ends", so a connection is
//! not closed because of an update: its next call is served by the chain that has replaced
//! its own.

mod connection;
mod lineage;

use std::rc::Rc;
use std::time::Duration;

use tidegate_runtime::connections::Accepted;
use tidegate_service::{AsyncMakeService, Service};

pub(crate) use self::connection::CLOSING;
use self::connection::Connection;
use self::lineage::{Generation, Lineage};
use crate::call::ThriftHandler;
use crate::codec::Limits;
use crate::fault::Fault;

/// How long a client may take, phase by phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTimeouts {
    /// From the first byte of a message to its last.
    pub message: Duration,
    /// The longest a connection may stay without a call.
    pub idle: Duration,
    /// The longest the client may stall while an answer is sent to it.
    pub write: Duration,
}

impl Default for ServerTimeouts {
    fn default() -> Self {
        Self {
            message: Duration::from_secs(30),
            // Thrift clients keep connections for long and rarely try again on another.
            idle: Duration::from_secs(600),
            write: Duration::from_secs(30),
        }
    }
}

/// What a server grants its clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// Time limits.
    pub timeouts: ServerTimeouts,
    /// Size limits of messages, both of calls and of what answers are turned into.
    pub limits: Limits,
    /// How many calls one connection may carry before it is closed.
    pub calls_per_connection: u64,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            timeouts: ServerTimeouts::default(),
            limits: Limits::default(),
            calls_per_connection: u64::MAX,
        }
    }
}

/// Serves Thrift on accepted connections with a chain of handlers.
#[derive(Debug)]
pub struct ThriftServer<H> {
    generation: Rc<Generation<H>>,
    lineage: Rc<Lineage<H>>,
}

impl<H> ThriftServer<H> {
    /// A server of `handler`.
    pub fn new(settings: ServerSettings, handler: H) -> Self {
        Self::in_lineage(Rc::default(), settings, handler)
    }

    /// A server of another handler that goes on with the connections of this one, as soon
    /// as those are asked to leave.
    #[must_use]
    pub fn successor(&self, settings: ServerSettings, handler: H) -> Self {
        Self::in_lineage(Rc::clone(&self.lineage), settings, handler)
    }

    fn in_lineage(lineage: Rc<Lineage<H>>, settings: ServerSettings, handler: H) -> Self {
        let generation = Rc::new(Generation { settings, handler });
        lineage.note(&generation);
        Self {
            generation,
            lineage,
        }
    }

    /// The handler.
    pub fn handler(&self) -> &H {
        &self.generation.handler
    }
}

impl<H: ThriftHandler> Service<Accepted> for ThriftServer<H> {
    type Response = ();
    type Error = Fault;

    // Not an `async fn`: that would keep room for the connection twice, in a future that
    // lives as long as the connection does.
    fn call(&self, accepted: Accepted) -> impl Future<Output = Result<(), Fault>> {
        let generation = Rc::clone(&self.generation);
        Connection::new(generation, Rc::clone(&self.lineage), accepted).serve()
    }
}

/// Makes a [`ThriftServer`] around the handler chain `inner` makes.
#[derive(Clone, Debug)]
pub struct ThriftServerFactory<F> {
    settings: ServerSettings,
    inner: F,
}

impl<F> ThriftServerFactory<F> {
    /// A factory of servers with `settings`.
    pub const fn new(settings: ServerSettings, inner: F) -> Self {
        Self { settings, inner }
    }
}

impl<F: AsyncMakeService> AsyncMakeService for ThriftServerFactory<F> {
    type Service = ThriftServer<F::Service>;
    type Error = F::Error;

    async fn make_via_ref(
        &self,
        old: Option<&Self::Service>,
    ) -> Result<Self::Service, Self::Error> {
        let handler = old.map(ThriftServer::handler);
        let handler = self.inner.make_via_ref(handler).await?;
        let settings = self.settings.clone();
        Ok(match old {
            Some(old) => old.successor(settings, handler),
            None => ThriftServer::new(settings, handler),
        })
    }
}

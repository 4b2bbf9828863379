//! Serving MQTT on accepted connections: the broker core of each worker, and the links
//! between it and its clients.

mod admit;
pub mod chain;
mod commits;
mod core;
pub mod embedded;
mod entrance;
mod epoch;
mod exchange;
mod gate;
mod gathering;
mod generation;
pub mod hooks;
mod inbox;
mod link;
mod local;
mod meter;
mod neighbours;
pub mod operator;
mod population;
mod receipts;
mod send_queue;
mod serving;
mod settings;
mod system_interest;

use std::cell::Ref;
use std::rc::Rc;
use std::sync::Arc;

use tidegate_runtime::connections::Accepted;
use tidegate_service::{AsyncMakeService, Service};

use self::chain::{Handler, HandlerError, HandlerFactory};
use self::core::Core;
pub use self::entrance::{Entrance, LocalEntrance};
pub use self::exchange::{Exchange, MAILBOX_CAPACITY};
use self::gate::Extensions;
use self::generation::Alive;
use self::hooks::Hooks;
use self::link::Link;
pub use self::link::LinkError;
use self::serving::Serving;
pub use self::settings::{Anonymous, ServerSettings};
use crate::broker::{Broker, Restored};
use crate::store::StoreError;

/// Serves MQTT 5.0 and 3.1.1 on accepted connections.
///
/// Each worker has one. The sessions of its core are served by it; a client whose session
/// is on another core is moved there once its CONNECT has been read.
#[derive(Debug)]
pub struct MqttServer {
    core: Rc<Core>,
    alive: Rc<Alive>,
}

impl MqttServer {
    /// The calling worker's part of the broker whose cores meet in `exchange`, which has no
    /// store.
    ///
    /// # Panics
    ///
    /// When it has one. Outside a worker's runtime, on which it starts tasks that end with it.
    pub fn new(settings: ServerSettings, exchange: Arc<Exchange>) -> Self {
        assert!(exchange.store.is_none(), "what is stored has to be loaded");
        Self::start(settings, exchange, None)
    }

    /// The calling worker's part of the broker whose cores meet in `exchange`, with what its
    /// store has kept of it, if it has one.
    ///
    /// # Errors
    ///
    /// When the store cannot be read.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new), but for the store.
    pub async fn load(
        settings: ServerSettings,
        exchange: Arc<Exchange>,
    ) -> Result<Self, StoreError> {
        let kept = match &exchange.store {
            Some(store) => Some(store.load(exchange.here(), exchange.epoch.now()).await?),
            None => None,
        };
        Ok(Self::start(settings, exchange, kept))
    }

    fn start(settings: ServerSettings, exchange: Arc<Exchange>, kept: Option<Restored>) -> Self {
        let alive = Alive::of(settings);
        Self {
            core: Core::start(exchange, &alive, kept),
            alive,
        }
    }

    /// A server with other settings that goes on with the sessions and the connections of
    /// this one. Its settings, chain and hooks are in force, for those sessions too, as soon
    /// as it serves: once the connections that this one accepted are asked to leave.
    #[must_use]
    pub fn successor(&self, settings: ServerSettings) -> Self {
        let alive = Alive::of(settings);
        self.core.note_successor(&alive);
        Self {
            core: Rc::clone(&self.core),
            alive,
        }
    }

    /// The same server, with a chain before its core.
    #[must_use]
    pub fn with_handler(self, handler: Handler) -> Self {
        let handler = Some(Rc::new(handler));
        self.extended(|extensions| extensions.handler = handler)
    }

    /// The same server, with hooks that are told what happens.
    #[must_use]
    pub fn with_hooks(self, hooks: Arc<dyn Hooks>) -> Self {
        self.extended(|extensions| extensions.hooks = Some(hooks))
    }

    fn extended(self, change: impl FnOnce(&mut Extensions)) -> Self {
        self.alive.extend(change);
        if self.core.has_only(&self.alive) {
            // At once: a client may come here from the worker that accepted it before this
            // one has accepted any, and must not get past the chain.
            self.core.put_in_force(&self.alive);
        }
        self
    }

    /// The sessions and messages of this worker.
    pub fn broker(&self) -> Ref<'_, Broker> {
        self.core.broker()
    }

    /// How many QoS 0 messages were dropped because another core was too slow for them.
    pub fn crossings_dropped(&self) -> u64 {
        self.core.crossings_dropped()
    }
}

impl Service<Accepted> for MqttServer {
    type Response = ();
    type Error = LinkError;

    // Not an `async fn`: that would keep room for the connection twice, in a future that
    // lives as long as the connection does.
    fn call(&self, accepted: Accepted) -> impl Future<Output = Result<(), LinkError>> {
        // A connection that took its time to get here must not bring old settings back.
        if !accepted.handle.is_draining() {
            self.core.put_in_force(&self.alive);
            self.core.reopen();
        }
        Serving::new(Link::new(&self.core, accepted))
    }
}

/// Makes an [`MqttServer`] on each worker, or its successor.
#[derive(Clone, Debug)]
pub struct MqttServerFactory {
    settings: ServerSettings,
    exchange: Arc<Exchange>,
    handler: Option<HandlerFactory>,
    hooks: Option<Arc<dyn Hooks>>,
}

/// Why a worker has no server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MakeServerError {
    /// Its chain was not made.
    #[error("the chain of an MQTT server cannot be made")]
    Handler(#[source] HandlerError),
    /// What its store keeps cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl MqttServerFactory {
    /// A factory of servers with `settings` whose cores meet in `exchange`: the same one
    /// for as long as the server exists, whatever its settings become.
    pub const fn new(settings: ServerSettings, exchange: Arc<Exchange>) -> Self {
        Self {
            settings,
            exchange,
            handler: None,
            hooks: None,
        }
    }

    /// With a chain before the core of each worker, made from the chain of the server that
    /// is replaced.
    #[must_use]
    pub fn with_handler(mut self, factory: HandlerFactory) -> Self {
        self.handler = Some(factory);
        self
    }

    /// With hooks that are told what happens, on all workers.
    #[must_use]
    pub fn with_hooks(mut self, hooks: Arc<dyn Hooks>) -> Self {
        self.hooks = Some(hooks);
        self
    }
}

impl AsyncMakeService for MqttServerFactory {
    type Service = MqttServer;
    type Error = MakeServerError;

    async fn make_via_ref(&self, old: Option<&MqttServer>) -> Result<MqttServer, MakeServerError> {
        let settings = self.settings.clone();
        let handler = match &self.handler {
            Some(factory) => {
                let before = old.and_then(|old| old.alive.extensions().handler.clone());
                let made = factory.make_via_ref(before.as_deref()).await;
                Some(Rc::new(made.map_err(MakeServerError::Handler)?))
            }
            None => None,
        };
        let server = match old {
            Some(old) => old.successor(settings),
            None => MqttServer::load(settings, Arc::clone(&self.exchange)).await?,
        };
        let hooks = self.hooks.clone();
        Ok(server.extended(|extensions| *extensions = Extensions { handler, hooks }))
    }
}

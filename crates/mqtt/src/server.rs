//! Serving MQTT on accepted connections: the broker core of each worker, and the links
//! between it and its clients.

mod admit;
mod core;
mod epoch;
mod exchange;
mod link;
mod neighbours;
mod send_queue;
mod settings;

use std::cell::Ref;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use tidegate_runtime::connections::Accepted;
use tidegate_service::{AsyncMakeService, Service};

use self::core::{Alive, Core};
pub use self::exchange::{Exchange, MAILBOX_CAPACITY};
use self::link::Link;
pub use self::link::LinkError;
pub use self::settings::{Anonymous, ServerSettings};
use crate::broker::Broker;

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
    /// The calling worker's part of the broker whose cores meet in `exchange`.
    ///
    /// # Panics
    ///
    /// Outside a worker's runtime, on which it starts tasks that end with it.
    pub fn new(settings: ServerSettings, exchange: Arc<Exchange>) -> Self {
        let alive = Alive::of(settings);
        Self {
            core: Core::start(exchange, &alive),
            alive,
        }
    }

    /// A server with other settings that goes on with the sessions and the connections of
    /// this one. The new settings are in force, for those sessions too, as soon as it
    /// serves: once the connections that this one accepted are asked to leave.
    #[must_use]
    pub fn successor(&self, settings: ServerSettings) -> Self {
        let alive = Alive::of(settings);
        self.core.note_successor(&alive);
        Self {
            core: Rc::clone(&self.core),
            alive,
        }
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
            self.core.exchange_settings(&self.alive.settings);
            self.core.reopen();
        }
        Link::new(&self.core, accepted).serve()
    }
}

/// Makes an [`MqttServer`] on each worker, or its successor.
#[derive(Clone, Debug)]
pub struct MqttServerFactory {
    settings: ServerSettings,
    exchange: Arc<Exchange>,
}

impl MqttServerFactory {
    /// A factory of servers with `settings` whose cores meet in `exchange`: the same one
    /// for as long as the server exists, whatever its settings become.
    pub const fn new(settings: ServerSettings, exchange: Arc<Exchange>) -> Self {
        Self { settings, exchange }
    }
}

impl AsyncMakeService for MqttServerFactory {
    type Service = MqttServer;
    type Error = Infallible;

    async fn make_via_ref(&self, old: Option<&MqttServer>) -> Result<MqttServer, Infallible> {
        let settings = self.settings.clone();
        Ok(match old {
            Some(old) => old.successor(settings),
            None => MqttServer::new(settings, Arc::clone(&self.exchange)),
        })
    }
}

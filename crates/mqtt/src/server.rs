//! Serving MQTT on accepted connections: the broker core of each worker, and the links
//! between it and its clients.

mod admit;
mod core;
mod link;
mod send_queue;
mod settings;

use std::convert::Infallible;
use std::rc::Rc;

use tidegate_runtime::connections::Accepted;
use tidegate_service::{AsyncMakeService, Service};

use self::core::{Core, Epoch};
use self::link::Link;
pub use self::link::LinkError;
pub use self::settings::{Anonymous, ServerSettings};
use crate::broker::{self, Broker};

/// Serves MQTT 5.0 and 3.1.1 on accepted connections. Its sessions are its worker's.
#[derive(Debug)]
pub struct MqttServer {
    settings: Rc<ServerSettings>,
    core: Rc<Core>,
}

impl MqttServer {
    /// A broker without state.
    ///
    /// # Panics
    ///
    /// Outside a worker's runtime, on which it starts the task that tells it the time.
    pub fn new(settings: ServerSettings) -> Self {
        let epoch = Epoch::start();
        let core = Core::start(
            epoch,
            broker::Settings {
                limits: settings.broker,
                seed: epoch.seed(),
                ..broker::Settings::default()
            },
        );
        Self {
            settings: Rc::new(settings),
            core,
        }
    }

    /// The sessions and messages of this worker.
    pub fn broker(&self) -> std::cell::Ref<'_, Broker> {
        self.core.broker()
    }
}

impl Service<Accepted> for MqttServer {
    type Response = ();
    type Error = LinkError;

    // Not an `async fn`: that would keep room for the connection twice, in a future that
    // lives as long as the connection does.
    fn call(&self, accepted: Accepted) -> impl Future<Output = Result<(), LinkError>> {
        Link::new(&self.core, &self.settings, accepted).serve()
    }
}

/// Makes an [`MqttServer`] on each worker.
#[derive(Clone, Debug)]
pub struct MqttServerFactory {
    settings: ServerSettings,
}

impl MqttServerFactory {
    /// A factory of servers with `settings`.
    pub const fn new(settings: ServerSettings) -> Self {
        Self { settings }
    }
}

impl AsyncMakeService for MqttServerFactory {
    type Service = MqttServer;
    type Error = Infallible;

    async fn make_via_ref(&self, _old: Option<&MqttServer>) -> Result<MqttServer, Infallible> {
        Ok(MqttServer::new(self.settings.clone()))
    }
}

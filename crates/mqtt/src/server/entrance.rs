//! A way into a broker for connections that a server of another protocol accepted, such as
//! those of an HTTP server that were switched to WebSocket.

use std::rc::Rc;
use std::sync::Arc;

use tidegate_runtime::connections::Accepted;

use super::core::Core;
use super::exchange::Exchange;
use super::link::{Link, LinkError};
use super::local;
use super::serving::Serving;

/// A way into a broker, on whatever worker.
#[derive(Clone, Debug)]
pub struct Entrance {
    exchange: Arc<Exchange>,
}

/// A way into a broker on the worker that it was found on.
#[derive(Debug)]
pub struct LocalEntrance {
    core: Rc<Core>,
}

impl Entrance {
    /// The way into the broker whose cores meet in `exchange`.
    pub const fn new(exchange: Arc<Exchange>) -> Self {
        Self { exchange }
    }

    /// The way in on the calling worker; none while the broker is not served there.
    pub fn here(&self) -> Option<LocalEntrance> {
        local::find(&self.exchange).map(|core| LocalEntrance { core })
    }
}

impl LocalEntrance {
    /// Serves MQTT on the connection, to its end. From now on it is one of the broker's
    /// connections: it goes on when the server that accepted it is replaced or removed,
    /// and leaves when the broker does.
    ///
    /// # Errors
    ///
    /// What it ended with, otherwise than the protocol has it.
    pub fn serve(self, mut accepted: Accepted) -> impl Future<Output = Result<(), LinkError>> {
        self.core.adopt(&mut accepted.handle);
        Serving::new(Link::new(&self.core, accepted))
    }
}

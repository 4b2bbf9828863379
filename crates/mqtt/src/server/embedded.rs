//! A broker in another program, in a few lines: listeners, workers and a server on each.
//!
//! ```
//! use tidegate_mqtt::server::embedded::BrokerBuilder;
//! use tidegate_runtime::listener::ListenerBuilder;
//!
//! let listeners = ListenerBuilder::try_from("127.0.0.1:0")?;
//! let broker = BrokerBuilder::new(listeners).workers(2).start()?;
//! println!("MQTT at {:?}", broker.local_addresses());
//! broker.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A worker that dies is not replaced, and nothing is updated while it runs: a program that
//! wants that deploys an [`MqttServerFactory`] with the orchestrator instead.

use std::io;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tidegate_runtime::cancel::CancelToken;
use tidegate_runtime::connections::{Accepted, Connections};
use tidegate_runtime::listener::{
    Admission, Admitted, BindError, Incoming, ListenAddr, Listener, ListenerBuilder, ListenerSet,
    Pass,
};
use tidegate_runtime::worker::{Placement, WorkerIndex, WorkerThread, allowed_cores, spawn_worker};
use tidegate_service::{AsyncMakeService, MakeService, Service};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::chain::HandlerFactory;
use super::exchange::Exchange;
use super::hooks::Hooks;
use super::operator::Operator;
use super::{MakeServerError, MqttServer, MqttServerFactory, ServerSettings};
use crate::broker::shard::SHARDS_MAX;

/// Why there is no broker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// It cannot listen.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The machine starts no more threads.
    #[error("no worker was started: {0}")]
    Thread(#[from] io::Error),
    /// A worker has no server.
    #[error(transparent)]
    Server(#[from] MakeServerError),
    /// A worker ended while it started.
    #[error("a worker ended while it started")]
    Worker,
}

/// What a broker is made with.
#[derive(Debug)]
pub struct BrokerBuilder {
    listeners: ListenerBuilder,
    workers: usize,
    settings: ServerSettings,
    handler: Option<HandlerFactory>,
    hooks: Option<Arc<dyn Hooks>>,
}

impl BrokerBuilder {
    /// A broker for clients of these listeners, with a worker for each core that the
    /// process may use.
    pub fn new(listeners: impl Into<ListenerBuilder>) -> Self {
        Self {
            listeners: listeners.into(),
            workers: allowed_cores().len(),
            settings: ServerSettings::default(),
            handler: None,
            hooks: None,
        }
    }

    /// With this many workers: at least one, at most [`SHARDS_MAX`].
    #[must_use]
    pub const fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// With these settings.
    #[must_use]
    pub fn settings(mut self, settings: ServerSettings) -> Self {
        self.settings = settings;
        self
    }

    /// With a chain before the core of each worker.
    #[must_use]
    pub fn handler(mut self, factory: HandlerFactory) -> Self {
        self.handler = Some(factory);
        self
    }

    /// With hooks that are told what happens, on all workers.
    #[must_use]
    pub fn hooks(mut self, hooks: Arc<dyn Hooks>) -> Self {
        self.hooks = Some(hooks);
        self
    }

    /// Listens, and serves on threads of its own. Blocks until every worker does.
    ///
    /// # Errors
    ///
    /// An address is taken, or a worker cannot start; nothing is left of the others.
    pub fn start(self) -> Result<EmbeddedBroker, StartError> {
        let workers = self.workers.clamp(1, usize::from(SHARDS_MAX));
        let listeners = MakeService::make(&self.listeners)?;
        listeners.spread(workers)?;
        let exchange = Arc::new(Exchange::new(workers));
        let mut broker = EmbeddedBroker {
            addresses: listeners.local_addresses(),
            operator: Operator::new(Arc::clone(&exchange)),
            drain: CancelToken::new(),
            workers: Vec::new(),
        };
        let mut factory = MqttServerFactory::new(self.settings, exchange);
        factory.handler = self.handler;
        factory.hooks = self.hooks;
        let (tell, told) = mpsc::sync_channel(workers);
        for index in (0..workers).map(WorkerIndex) {
            let part = Part {
                index,
                factory: factory.clone(),
                listeners: listeners.clone(),
                drain: broker.drain.clone(),
            };
            let tell = tell.clone();
            let worker = spawn_worker(index, Placement::for_worker(index), || part.run(tell))?;
            broker.workers.push(worker);
        }
        drop(tell);
        for _ in 0..workers {
            told.recv().map_err(|_| StartError::Worker)??;
        }
        Ok(broker)
    }
}

/// A broker that runs. Dropping it stops it as [`stop`](Self::stop) does.
#[derive(Debug)]
pub struct EmbeddedBroker {
    addresses: Vec<ListenAddr>,
    operator: Operator,
    drain: CancelToken,
    workers: Vec<WorkerThread>,
}

impl EmbeddedBroker {
    /// Where it listens, with the ports that the kernel chose.
    pub fn local_addresses(&self) -> &[ListenAddr] {
        &self.addresses
    }

    /// The way to its cores: figures, lists, kick, publish, and messages as they pass.
    pub const fn operator(&self) -> &Operator {
        &self.operator
    }

    /// Tells every client that the server goes, waits until they have been told, at most
    /// as long as the listeners' `drain`, and ends the workers. Blocks meanwhile.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.drain.cancel();
        self.workers.drain(..).for_each(WorkerThread::join);
    }
}

/// One worker's part.
struct Part {
    index: WorkerIndex,
    factory: MqttServerFactory,
    listeners: ListenerSet,
    drain: CancelToken,
}

impl Part {
    async fn run(self, tell: mpsc::SyncSender<Result<(), StartError>>) {
        // Whoever starts the workers waits for each of them, or has given up.
        match self.open().await {
            Ok(serving) => {
                let _ = tell.send(Ok(()));
                drop(tell);
                self.drain.cancelled().await;
                serving.leave(self.listeners.drain()).await;
            }
            Err(error) => {
                let _ = tell.send(Err(error));
            }
        }
    }

    async fn open(&self) -> Result<Serving, StartError> {
        let connections = Connections::new();
        let server = connections.while_made(self.factory.make_via_ref(None));
        let server = Rc::new(server.await?);
        let mut accepting = JoinSet::new();
        for listener in self.listeners.for_worker(self.index)? {
            let door = Door {
                admission: self.listeners.admission(),
                connections: connections.clone(),
                server: Rc::clone(&server),
            };
            accepting.spawn_local(door.accept(listener));
        }
        Ok(Serving {
            connections,
            accepting,
            _server: server,
        })
    }
}

struct Serving {
    connections: Connections,
    accepting: JoinSet<()>,
    _server: Rc<MqttServer>,
}

impl Serving {
    async fn leave(mut self, drain: Duration) {
        // Dropped with their listeners.
        self.accepting.abort_all();
        // Nobody listens any more.
        self.connections.hurry();
        if timeout(drain, self.connections.idle()).await.is_err() {
            self.connections.abort_all();
        }
    }
}

/// What a listener's connections go through.
struct Door {
    admission: Admission,
    connections: Connections,
    server: Rc<MqttServer>,
}

impl Door {
    async fn accept(self, mut listener: Listener) {
        while let Some(incoming) = listener.accept().await {
            match self.admission.enter() {
                Some(pass) => self.serve(incoming, pass),
                None => incoming.refuse(),
            }
        }
    }

    fn serve(&self, incoming: Incoming, pass: Pass) {
        let peer = incoming.peer();
        let Admitted {
            io,
            peer,
            local,
            permit,
        } = match incoming.admit(&self.admission, pass) {
            Ok(admitted) => admitted,
            Err(error) => {
                tracing::debug!(%peer, %error, "the connection could not be taken up");
                return;
            }
        };
        let server = Rc::clone(&self.server);
        self.connections.spawn(peer, Some(permit), |handle| {
            let accepted = Accepted {
                io,
                peer,
                local,
                handle,
            };
            async move { server.call(accepted).await }
        });
    }
}

//! One site on one worker: what serves, what is staged, what is leaving.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tidegate_runtime::connections::{Accepted, Connections};
use tidegate_runtime::listener::{Admission, Admitted, Incoming, Listener, Pass, SocketId};
use tidegate_runtime::panic::catch;
use tidegate_runtime::worker::WorkerIndex;
use tidegate_service::Service;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::accept_loop::AcceptLoop;
use crate::command::{CommandError, GenerationCount, Order, Origin};
use crate::factory::{Chain, ChainFactory};
use crate::site::{Generation, Phase, SiteName};

/// How long connections that idle at the drain deadline may take to close in order.
pub const HURRY_GRACE: Duration = Duration::from_millis(250);

/// When those connections of a leaving generation go that idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Idlers {
    /// With the answer to their next request, so that no request crosses a close.
    Stay,
    /// At once: nobody listens any more where they came in.
    Leave,
}

/// A chain with the connections it serves.
pub(crate) struct Deployed<S> {
    generation: Generation,
    chain: Rc<S>,
    connections: Connections,
    admission: Admission,
    drain: Duration,
}

impl<S> Deployed<S> {
    pub(crate) fn admission(&self) -> &Admission {
        &self.admission
    }

    pub(crate) fn connections(&self) -> &Connections {
        &self.connections
    }
}

impl<S> Deployed<S> {
    /// Waits until nobody is left; false when the drain deadline came first.
    async fn leaves_in_time(&self) -> bool {
        if timeout(self.drain, self.connections.idle()).await.is_ok() {
            return true;
        }
        // Who idles has waited for a request in vain, and need not be cut off for it.
        self.connections.hurry();
        timeout(HURRY_GRACE, self.connections.idle()).await.is_ok()
    }
}

impl<S: Chain> Deployed<S> {
    /// Gives the connection to the chain, as a task of its own.
    pub(crate) fn connect(&self, incoming: Incoming, pass: Pass) {
        let peer = incoming.peer();
        let admitted = match incoming.admit(&self.admission, pass) {
            Ok(admitted) => admitted,
            Err(error) => {
                tracing::debug!(%peer, %error, "the connection could not be taken up");
                return;
            }
        };
        let Admitted {
            io,
            peer,
            local,
            permit,
        } = admitted;
        let chain = Rc::clone(&self.chain);
        self.connections.spawn(peer, Some(permit), |handle| {
            // On the heap until the call, or the task would keep room for it all its life.
            let accepted = Box::new(Accepted {
                io,
                peer,
                local,
                handle,
            });
            async move { chain.call(unbox(accepted)).await }
        });
    }
}

#[expect(clippy::boxed_local, reason = "the box is what is to be got rid of")]
fn unbox<T>(boxed: Box<T>) -> T {
    *boxed
}

/// Where accept loops find the chain for the next connection. Clones are the same slot.
pub struct ServiceSlot<S> {
    current: Rc<RefCell<Rc<Deployed<S>>>>,
}

impl<S> Clone for ServiceSlot<S> {
    fn clone(&self) -> Self {
        Self {
            current: Rc::clone(&self.current),
        }
    }
}

impl<S> fmt::Debug for ServiceSlot<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceSlot")
            .field("generation", &self.generation())
            .finish_non_exhaustive()
    }
}

impl<S> ServiceSlot<S> {
    fn new(deployed: Deployed<S>) -> Self {
        Self {
            current: Rc::new(RefCell::new(Rc::new(deployed))),
        }
    }

    pub(crate) fn current(&self) -> Rc<Deployed<S>> {
        Rc::clone(&self.current.borrow())
    }

    fn replace(&self, deployed: Deployed<S>) -> Rc<Deployed<S>> {
        self.current.replace(Rc::new(deployed))
    }

    /// The chain that gets the next connection.
    pub fn service(&self) -> Rc<S> {
        Rc::clone(&self.current().chain)
    }

    /// The generation that gets the next connection.
    pub fn generation(&self) -> Generation {
        self.current().generation
    }
}

struct Staged<S> {
    deployed: Deployed<S>,
    /// Listeners of addresses that no running loop serves.
    listeners: Vec<Listener>,
    addresses: Vec<SocketId>,
}

struct Live<S> {
    slot: ServiceSlot<S>,
    loops: Vec<AcceptLoop>,
}

/// A generation that was replaced or removed and still has connections.
#[derive(Debug)]
struct Leaving {
    site: SiteName,
    generation: Generation,
    connections: Connections,
}

/// Every leaving generation of a worker. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Departures {
    list: Rc<RefCell<Vec<Leaving>>>,
    dropped: Rc<Cell<usize>>,
}

impl Departures {
    /// Asks the generation's connections to leave, and drops them when its time is over.
    fn see_off<S: 'static>(&self, site: &SiteName, old: Rc<Deployed<S>>, idlers: Idlers) {
        let connections = old.connections.clone();
        match idlers {
            Idlers::Stay => connections.drain(),
            Idlers::Leave => connections.hurry(),
        }
        if connections.count() == 0 {
            return;
        }
        self.list.borrow_mut().push(Leaving {
            site: site.clone(),
            generation: old.generation,
            connections,
        });
        let departures = self.clone();
        let site = site.clone();
        spawn_local(async move {
            if !old.leaves_in_time().await {
                let left = old.connections.count();
                let generation = old.generation;
                tracing::warn!(%site, %generation, left, "connections dropped at the drain deadline");
                departures.drop_all(&old.connections);
                old.connections.idle().await;
            }
            // Empty by now, and so is any other that no longer counts.
            let mut list = departures.list.borrow_mut();
            list.retain(|leaving| leaving.connections.count() > 0);
        });
    }

    pub(crate) fn counts(&self) -> Vec<GenerationCount> {
        let list = self.list.borrow();
        let counts = list.iter().map(|leaving| GenerationCount {
            site: leaving.site.clone(),
            generation: leaving.generation,
            phase: Phase::Draining,
            open: leaving.connections.count(),
        });
        counts.filter(|count| count.open > 0).collect()
    }

    fn connections(&self) -> Vec<Connections> {
        let list = self.list.borrow();
        list.iter()
            .map(|leaving| leaving.connections.clone())
            .collect()
    }

    /// Waits until nobody is left.
    pub(crate) async fn all_gone(&self) {
        for connections in self.connections() {
            connections.idle().await;
        }
    }

    /// Asks those who idle to leave at once, whatever their generation.
    pub(crate) fn hurry_all(&self) {
        for connections in self.connections() {
            connections.hurry();
        }
    }

    /// Drops whoever is left.
    pub(crate) fn abort_all(&self) {
        for connections in self.connections() {
            self.drop_all(&connections);
        }
    }

    /// How many connections were dropped because they did not leave in time.
    pub(crate) fn dropped(&self) -> usize {
        self.dropped.get()
    }

    fn drop_all(&self, connections: &Connections) {
        self.dropped.set(self.dropped.get() + connections.count());
        connections.abort_all();
    }
}

/// One site on one worker.
pub struct ServiceDeploymentContainer<S> {
    site: SiteName,
    live: Option<Live<S>>,
    staged: Option<Staged<S>>,
    departures: Departures,
}

impl<S> fmt::Debug for ServiceDeploymentContainer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceDeploymentContainer")
            .field("site", &self.site)
            .field("deployed", &self.slot().map(ServiceSlot::generation))
            .field("is_staged", &self.is_staged())
            .finish_non_exhaustive()
    }
}

impl<S> ServiceDeploymentContainer<S> {
    pub(crate) fn new(site: SiteName, departures: Departures) -> Self {
        Self {
            site,
            live: None,
            staged: None,
            departures,
        }
    }

    /// The deployed chain's slot, if one is deployed.
    pub fn slot(&self) -> Option<&ServiceSlot<S>> {
        self.live.as_ref().map(|live| &live.slot)
    }

    /// Whether a chain waits to be deployed.
    pub fn is_staged(&self) -> bool {
        self.staged.is_some()
    }

    /// Drops what is staged.
    pub(crate) fn abort(&mut self) {
        self.staged = None;
    }

    pub(crate) fn count(&self) -> Option<GenerationCount> {
        let current = self.slot()?.current();
        Some(GenerationCount {
            site: self.site.clone(),
            generation: current.generation,
            phase: Phase::Serving,
            open: current.connections.count(),
        })
    }
}

impl<S: Chain> ServiceDeploymentContainer<S> {
    /// Makes the chain and takes up the listeners, without touching what serves.
    pub(crate) async fn stage<F>(
        &mut self,
        order: Order<F>,
        worker: WorkerIndex,
    ) -> Result<(), CommandError>
    where
        F: ChainFactory<Service = S>,
    {
        let current = match order.origin {
            Origin::Current => self.slot().map(ServiceSlot::service),
            Origin::Nothing => None,
        };
        let chain = catch(order.factory.make_via_ref(current.as_deref()))
            .await
            .map_err(CommandError::BuildPanicked)?
            .map_err(|error| CommandError::Build(format!("{error:#}")))?;
        let listeners = order
            .listeners
            .for_worker_except(worker, |socket| self.serves(socket))
            .map_err(|error| CommandError::Listen(error.to_string()))?;
        self.staged = Some(Staged {
            deployed: Deployed {
                generation: order.generation,
                chain: Rc::new(chain),
                connections: Connections::of_generation(order.generation.0),
                admission: order.listeners.admission(),
                drain: order.listeners.drain(),
            },
            listeners,
            addresses: order.listeners.socket_ids(),
        });
        Ok(())
    }

    fn serves(&self, socket: SocketId) -> bool {
        let loops = self.live.iter().flat_map(|live| &live.loops);
        loops.into_iter().any(|running| running.socket() == socket)
    }

    /// Lets what is staged serve. Answers with the loops of addresses that are not its own,
    /// which the caller closes; does nothing when nothing is staged.
    pub(crate) fn deploy(&mut self) -> Vec<AcceptLoop> {
        let Some(staged) = self.staged.take() else {
            return Vec::new();
        };
        let Some(live) = &mut self.live else {
            let slot = ServiceSlot::new(staged.deployed);
            let loops = start(staged.listeners, &slot);
            self.live = Some(Live { slot, loops });
            return Vec::new();
        };
        let old = live.slot.replace(staged.deployed);
        let (kept, closing) = std::mem::take(&mut live.loops)
            .into_iter()
            .partition(|running| staged.addresses.contains(&running.socket()));
        live.loops = kept;
        live.loops.extend(start(staged.listeners, &live.slot));
        self.departures.see_off(&self.site, old, Idlers::Stay);
        closing
    }

    /// Asks the connections of now to leave; the chain goes on with new ones.
    pub(crate) fn drain(&self) -> Result<(), CommandError> {
        let slot = self.slot().ok_or(CommandError::NotDeployed)?;
        let current = slot.current();
        let old = slot.replace(Deployed {
            generation: current.generation,
            chain: Rc::clone(&current.chain),
            connections: Connections::of_generation(current.generation.0),
            admission: current.admission.clone(),
            drain: current.drain,
        });
        self.departures.see_off(&self.site, old, Idlers::Stay);
        Ok(())
    }

    /// Stops accepting once the queues are empty, then drains.
    pub(crate) async fn retire(self) {
        let Some(live) = self.live else {
            return;
        };
        AcceptLoop::close_all(live.loops).await;
        let last = live.slot.current();
        self.departures.see_off(&self.site, last, Idlers::Leave);
    }
}

fn start<S: Chain>(listeners: Vec<Listener>, slot: &ServiceSlot<S>) -> Vec<AcceptLoop> {
    listeners
        .into_iter()
        .map(|listener| AcceptLoop::start(listener, slot.clone()))
        .collect()
}

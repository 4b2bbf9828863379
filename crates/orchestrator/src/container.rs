//! One site on one worker: what serves, what is staged, what is leaving.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use tidegate_runtime::connections::Connections;
use tidegate_runtime::listener::{Listener, SocketId};
use tidegate_runtime::panic::catch;
use tidegate_runtime::worker::WorkerIndex;

use crate::accept_loop::AcceptLoop;
use crate::command::{CommandError, GenerationCount, Order, Origin};
use crate::deployed::{Departures, Deployed, Idlers};
use crate::doors;
use crate::factory::{Chain, ChainFactory};
use crate::site::{Generation, Phase, SiteName};

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
        let connections = Connections::of_generation(order.generation.0);
        let make = order.factory.make_via_ref(current.as_deref());
        let chain = catch(connections.while_made(make))
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
                connections,
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
            doors::open(&self.site, &slot.current);
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

    /// Stops accepting once the queues are empty. Doing it again changes nothing.
    pub(crate) async fn close(&mut self, idlers: Idlers) {
        let Some(live) = &mut self.live else {
            return;
        };
        if idlers == Idlers::Leave {
            // Before the address is closed: who is refused there counts on the others being told.
            live.slot.current().connections.hurry();
        }
        AcceptLoop::close_all(std::mem::take(&mut live.loops)).await;
    }

    /// Stops accepting once the queues are empty, and is reached by no door; then drains.
    pub(crate) async fn remove(self, idlers: Idlers) {
        if let Some(live) = &self.live {
            doors::close(&self.site, &live.slot.current);
        }
        drop(self.retire(idlers).await);
    }

    /// Stops accepting once the queues are empty, then drains. While what this answers with
    /// is kept, the chain serves whom other sites and other workers bring it.
    pub(crate) async fn retire(mut self, idlers: Idlers) -> Option<ServiceSlot<S>> {
        self.close(idlers).await;
        let slot = self.live?.slot;
        self.departures.see_off(&self.site, slot.current(), idlers);
        Some(slot)
    }
}

fn start<S: Chain>(listeners: Vec<Listener>, slot: &ServiceSlot<S>) -> Vec<AcceptLoop> {
    listeners
        .into_iter()
        .map(|listener| AcceptLoop::start(listener, slot.clone()))
        .collect()
}

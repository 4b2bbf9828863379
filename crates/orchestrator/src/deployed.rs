//! One generation of a site on one worker: its chain, its connections, and its end.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tidegate_runtime::connections::{Accepted, Connections};
use tidegate_runtime::listener::{Admission, Admitted, Incoming, Pass};
use tidegate_service::Service;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::command::GenerationCount;
use crate::container::ServiceSlot;
use crate::factory::Chain;
use crate::site::{Generation, Phase, SiteName};

/// How long connections that idle at the drain deadline may take to close in order.
pub const HURRY_GRACE: Duration = Duration::from_millis(250);

/// When those connections of a leaving generation go that idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Idlers {
    /// With the answer to their next request, so that no request crosses a close.
    Stay,
    /// At once: nobody listens any more where they came in.
    Leave,
}

/// A chain with the connections it serves.
pub(crate) struct Deployed<S> {
    pub(crate) generation: Generation,
    pub(crate) chain: Rc<S>,
    pub(crate) connections: Connections,
    pub(crate) admission: Admission,
    pub(crate) drain: Duration,
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
    pub(crate) fn see_off<S: 'static>(
        &self,
        site: &SiteName,
        old: Rc<Deployed<S>>,
        idlers: Idlers,
    ) {
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

    /// Waits until nobody is left, not even among those that have come to `last` since.
    pub(crate) async fn all_gone<S>(&self, last: &[ServiceSlot<S>]) {
        let is_open = |connections: &Connections| connections.count() > 0;
        while let Some(open) = self.all(last).into_iter().find(is_open) {
            open.idle().await;
        }
    }

    fn all<S>(&self, last: &[ServiceSlot<S>]) -> Vec<Connections> {
        let mut all = self.connections();
        for slot in last {
            let connections = slot.current().connections.clone();
            if !all.iter().any(|it| it.is_same_as(&connections)) {
                all.push(connections);
            }
        }
        all
    }

    /// Asks those who idle to leave at once, whatever their generation.
    pub(crate) fn hurry_all(&self) {
        for connections in self.connections() {
            connections.hurry();
        }
    }

    /// Drops whoever is left, also in `last`.
    pub(crate) fn abort_all<S>(&self, last: &[ServiceSlot<S>]) {
        for connections in self.all(last) {
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

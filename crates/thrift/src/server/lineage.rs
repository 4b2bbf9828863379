//! The generations of one server on one worker: what a connection goes on under when its
//! own is replaced.

use std::cell::RefCell;
use std::fmt;
use std::rc::{Rc, Weak};

use tidegate_runtime::connections::{self, ConnectionHandle, Connections};

use super::ServerSettings;

/// What serves calls: a handler and its settings.
#[derive(Debug)]
pub(super) struct Generation<H> {
    pub(super) settings: ServerSettings,
    pub(super) handler: H,
}

struct Entry<H> {
    connections: Connections,
    generation: Weak<Generation<H>>,
}

impl<H> Entry<H> {
    /// The generation, if it is deployed or may yet be.
    fn staying(&self) -> Option<Rc<Generation<H>>> {
        let stays = !self.connections.is_draining();
        self.generation.upgrade().filter(|_| stays)
    }
}

/// All generations, newest last. Those that are gone are forgotten when one is added.
pub(super) struct Lineage<H>(RefCell<Vec<Entry<H>>>);

impl<H> Default for Lineage<H> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

impl<H> fmt::Debug for Lineage<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lineage")
            .field(&self.0.borrow().len())
            .finish()
    }
}

impl<H> Lineage<H> {
    /// Notes the generation whose chain the calling task makes.
    pub(super) fn note(&self, generation: &Rc<Generation<H>>) {
        let mut entries = self.0.borrow_mut();
        entries.retain(|entry| entry.staying().is_some());
        // Without a group nobody is ever asked to leave for it.
        if let Some(connections) = connections::being_made() {
            entries.push(Entry {
                connections,
                generation: Rc::downgrade(generation),
            });
        }
    }

    /// Makes the connection one of the newest generation that stays; `None` if there is none,
    /// and the connection has to end.
    pub(super) fn follow(&self, handle: &mut ConnectionHandle) -> Option<Rc<Generation<H>>> {
        let entries = self.0.borrow();
        let found = entries
            .iter()
            .rev()
            .find_map(|entry| Some((entry.staying()?, entry.connections.clone())));
        drop(entries);
        let (generation, connections) = found?;
        handle.move_to(&connections);
        // It stays where it was if that group takes no more.
        (!handle.is_draining()).then_some(generation)
    }
}

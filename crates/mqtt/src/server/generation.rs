//! The servers that are made around a core, one after the other, and which of them serves.

use std::cell::{Ref, RefCell};
use std::rc::{Rc, Weak};

use tidegate_runtime::connections::Connections;
use tokio::sync::Notify;

use super::core::Core;
use super::gate::Extensions;
use super::settings::ServerSettings;

/// What a generation's server brings, and lives as long as it; one that was staged and not
/// deployed ends without having served.
#[derive(Debug)]
pub(super) struct Alive {
    pub(super) settings: Rc<ServerSettings>,
    extensions: RefCell<Extensions>,
}

impl Alive {
    pub(super) fn of(settings: ServerSettings) -> Rc<Self> {
        Rc::new(Self {
            settings: Rc::new(settings),
            extensions: RefCell::default(),
        })
    }

    /// What it puts before the core.
    pub(super) fn extensions(&self) -> Ref<'_, Extensions> {
        self.extensions.borrow()
    }

    pub(super) fn extend(&self, change: impl FnOnce(&mut Extensions)) {
        change(&mut self.extensions.borrow_mut());
    }
}

/// A server that was made around the core, and the connections that are its.
#[derive(Debug)]
pub(super) struct Generation {
    pub(super) group: Connections,
    pub(super) server: Weak<Alive>,
}

impl Generation {
    pub(super) fn stays(&self) -> bool {
        !self.group.is_draining() && self.server.strong_count() > 0
    }
}

/// Puts what a generation brings in force once it serves: when its predecessor's
/// connections are asked to leave, be there any or none.
pub(super) async fn keep_up(core: Weak<Core>, successors: Rc<Notify>) {
    loop {
        // The core is not held while waiting: it is to end with its last user.
        match core.upgrade().map(|core| core.group()) {
            None => return,
            Some(Some(serving)) => serving.asked_to_leave().await,
            // Nobody serves. Who does next brings its own with its first connection.
            Some(None) => {
                successors.notified().await;
                continue;
            }
        }
        if let Some(core) = core.upgrade() {
            core.catch_up();
        }
    }
}

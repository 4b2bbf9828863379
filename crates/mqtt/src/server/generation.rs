//! The servers that are made around a core, one after the other, and which of them serves.

use std::rc::{Rc, Weak};

use tidegate_runtime::connections::Connections;
use tokio::sync::Notify;

use super::core::Core;
use super::settings::ServerSettings;

/// Lives as long as the server of a generation; one that was staged and not deployed ends
/// without having served.
#[derive(Debug)]
pub(super) struct Alive {
    pub(super) settings: Rc<ServerSettings>,
}

impl Alive {
    pub(super) fn of(settings: ServerSettings) -> Rc<Self> {
        Rc::new(Self {
            settings: Rc::new(settings),
        })
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

/// Puts the settings of a generation in force once it serves: when its predecessor's
/// connections are asked to leave, be there any or none.
pub(super) async fn keep_up(core: Weak<Core>, successors: Rc<Notify>) {
    loop {
        // The core is not held while waiting: it is to end with its last user.
        match core.upgrade().map(|core| core.group()) {
            None => return,
            Some(Some(serving)) => serving.asked_to_leave().await,
            // Nobody serves. Who does next brings its settings with its first connection.
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

//! The tasks of a core, which end with it.

use std::rc::{Rc, Weak};
use std::task::Poll;

use tidegate_runtime::mailbox::Receiver;
use tokio::sync::{Notify, watch};

use super::Core;
use crate::broker::Input;
use crate::server::exchange::Crossing;
use crate::store::Progress;

/// How many parcels are taken in before others have their turn.
const CROSSINGS_PER_TURN: usize = 32;

/// Tells the core what has become of its commits.
pub(super) async fn hear(core: Weak<Core>, mut progress: watch::Receiver<Progress>) {
    while progress.changed().await.is_ok() {
        let Some(core) = core.upgrade() else {
            return;
        };
        let news = core
            .commits
            .borrow_mut()
            .hear(*progress.borrow_and_update());
        news.into_iter().for_each(|input| core.handle(input));
        core.settle();
    }
}

/// Tells the core the time whenever it asked to be told.
pub(super) async fn tick(core: Weak<Core>) {
    loop {
        // Not held while waiting: the core is to end with its last user.
        let elapsed = std::future::poll_fn(|cx| match core.upgrade() {
            Some(core) => core.deadline.poll_elapsed(cx),
            None => Poll::Ready(()),
        });
        elapsed.await;
        let Some(core) = core.upgrade() else {
            return;
        };
        core.due.set(None);
        core.deadline.disarm();
        core.handle(Input::Tick);
        core.settle();
    }
}

/// Brings other cores what there is for them: once a turn, so that messages of many
/// connections go together and wake a core that sleeps once.
pub(super) async fn deliver(core: Weak<Core>, called: Rc<Notify>) {
    loop {
        called.notified().await;
        let Some(core) = core.upgrade() else {
            return;
        };
        core.courier_called.set(false);
        core.deliver();
    }
}

/// Takes in what other cores send, many at a time.
pub(super) async fn receive(core: Weak<Core>, mut receiver: Receiver<Crossing>) {
    while let Some(first) = receiver.receive().await {
        // Not held while waiting: the core is to end with its last user.
        let Some(core) = core.upgrade() else {
            return;
        };
        core.cross(first);
        for _ in 1..CROSSINGS_PER_TURN {
            let Some(next) = receiver.try_receive() else {
                break;
            };
            core.cross(next);
        }
        core.settle();
    }
}

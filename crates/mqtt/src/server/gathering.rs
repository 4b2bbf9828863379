//! Waiting for the other cores at a start with a store.
//!
//! Sessions that were kept have subscriptions, and until every core knows those of all
//! others a message could match nobody, be acknowledged, and be gone. So each core greets
//! the others once it has told them what it wants, and serves nobody before it was greeted
//! by all.

use std::task::{Context, Poll, Waker};

use super::exchange::Moved;
use crate::broker::shard::{ShardId, ShardSet};

/// Who waits until all cores are there.
#[derive(Debug)]
pub(super) struct Gathering {
    missing: ShardSet,
    wakers: Vec<Waker>,
    /// Connections that came from a core which has been greeted by all.
    early: Vec<Moved>,
}

impl Gathering {
    /// What the core `here` of `count` waits for; none if it is alone.
    pub(super) fn of(here: ShardId, count: u8) -> Option<Self> {
        let missing = ShardSet::all_but(here, count);
        (!missing.is_empty()).then(|| Self {
            missing,
            wakers: Vec::new(),
            early: Vec::new(),
        })
    }

    pub(super) fn poll(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.wakers.push(cx.waker().clone());
        Poll::Pending
    }

    pub(super) fn keep(&mut self, moved: Moved) {
        self.early.push(moved);
    }

    /// Takes notice of a greeting; true once there has been one of each.
    pub(super) fn greeted_by(&mut self, from: ShardId) -> bool {
        self.missing.remove(from);
        self.missing.is_empty()
    }

    /// Lets all that wait go on; returns the connections that came early.
    pub(super) fn end(self) -> Vec<Moved> {
        self.wakers.into_iter().for_each(Waker::wake);
        self.early
    }
}

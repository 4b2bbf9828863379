//! Retained messages on their way to a new subscription.
//!
//! A subscription to `#` may match a million of them. They are queued a few at
//! a time, as the queue of the session runs low, so that neither the queue's
//! bound nor anybody's patience is broken.

use super::grant::Grant;

/// Messages a replay keeps in the queue.
pub(super) const REPLAY_QUEUE: usize = 64;

/// How far the retained messages for one subscription have been queued.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) filter: Box<str>,
    /// The topic queued last.
    pub(super) after: Option<Box<str>>,
    pub(super) grant: Grant,
}

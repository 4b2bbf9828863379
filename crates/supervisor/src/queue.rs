//! A bounded queue that takes bursts on credit.
//!
//! Up to the soft limit everything is taken. Beyond it each item costs a credit, of which there
//! are at first as many as the burst. The hard limit is never passed. Reading earns credit, the
//! more the emptier the queue is, up to what lies between soft and hard. The soft limit moves:
//! up to what was taken on credit, down again while the queue is less than half as full. So a
//! queue that is always nearly full refuses early, and one that is usually empty takes a burst.

mod credit;

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use self::credit::Credit;

/// Bounds of a [`Queue`]. `hard` is at least 1 and `soft` between that and `hard`, whatever is
/// written: a queue that takes nothing is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// So many items are taken without credit, at first.
    pub soft: usize,
    /// More than this are never taken.
    pub hard: usize,
    /// The credit of a new queue.
    pub burst: usize,
}

impl QueueLimits {
    /// Those of a pool with `workers`: two jobs each, four at most, one on credit.
    pub const fn for_workers(workers: usize) -> Self {
        let workers = if workers == 0 { 1 } else { workers };
        Self {
            soft: 2 * workers,
            hard: 4 * workers,
            burst: workers,
        }
    }
}

/// Why an item was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The hard limit is reached.
    #[error("the queue is full")]
    Full,
    /// The soft limit is reached and the credit spent.
    #[error("the queue has no credit left")]
    NoCredit,
    /// It takes nothing any more.
    #[error("the queue is closed")]
    Closed,
}

struct Inside<T> {
    items: VecDeque<T>,
    credit: Credit,
    closed: bool,
}

struct Shared<T> {
    inside: Mutex<Inside<T>>,
    arrived: Notify,
    left: Notify,
}

/// A bounded queue. Clones are the same queue.
pub struct Queue<T>(Arc<Shared<T>>);

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Queue<T> {
    /// An empty queue.
    pub fn new(limits: QueueLimits) -> Self {
        Self(Arc::new(Shared {
            inside: Mutex::new(Inside {
                items: VecDeque::new(),
                credit: Credit::new(limits),
                closed: false,
            }),
            arrived: Notify::new(),
            left: Notify::new(),
        }))
    }

    fn inside(&self) -> MutexGuard<'_, Inside<T>> {
        let inside = self.0.inside.lock();
        inside.unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `item` in, or gives it back with the reason. Never waits.
    ///
    /// # Errors
    ///
    /// The queue is full, without credit, or closed.
    pub fn try_submit(&self, item: T) -> Result<(), (T, QueueError)> {
        let mut inside = self.inside();
        if inside.closed {
            return Err((item, QueueError::Closed));
        }
        if let Err(error) = inside.credit.admit() {
            return Err((item, error));
        }
        inside.items.push_back(item);
        drop(inside);
        self.0.arrived.notify_one();
        Ok(())
    }

    /// Puts `item` in as soon as there is room. Cancellation gives the item up.
    ///
    /// # Errors
    ///
    /// The queue is closed, or was while this waited.
    pub async fn submit(&self, item: T) -> Result<(), (T, QueueError)> {
        let mut item = item;
        loop {
            let mut left = pin!(self.0.left.notified());
            // In line before the look, or what leaves in between is never heard of.
            left.as_mut().enable();
            item = match self.try_submit(item) {
                Err((item, QueueError::Full | QueueError::NoCredit)) => item,
                settled => {
                    self.pass_on();
                    return settled;
                }
            };
            left.await;
        }
    }

    /// Lets the next in that waits, if there still is room: one that left may have earned
    /// enough for two. Were it woken in vain, it would lose its place in the line.
    fn pass_on(&self) {
        if self.inside().credit.verdict().is_ok() {
            self.0.left.notify_one();
        }
    }

    /// The oldest item, as soon as there is one; `None` once the queue is closed and empty.
    /// Cancellation safe.
    pub async fn receive(&self) -> Option<T> {
        loop {
            let mut arrived = pin!(self.0.arrived.notified());
            // In line before the look, or two that arrive in between wake only one of two.
            arrived.as_mut().enable();
            {
                let mut inside = self.inside();
                if let Some(item) = inside.items.pop_front() {
                    inside.credit.release();
                    drop(inside);
                    self.0.left.notify_one();
                    return Some(item);
                }
                if inside.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Takes nothing more; what is in it is still given out.
    pub fn close(&self) {
        self.inside().closed = true;
        self.0.arrived.notify_waiters();
        self.0.left.notify_waiters();
    }

    /// Takes nothing more, and drops what is in it; how many items that were.
    pub fn discard(&self) -> usize {
        self.close();
        let mut inside = self.inside();
        inside.credit.clear();
        let items = std::mem::take(&mut inside.items);
        // What an item does when it is dropped may concern this queue.
        drop(inside);
        items.len()
    }

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.inside().credit.present()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

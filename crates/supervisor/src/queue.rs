//! A bounded queue that takes bursts on credit.
//!
//! Up to the soft limit everything is taken. Beyond it each item costs a credit, of which there
//! are as many as the burst; credit comes back as the queue is emptied below the soft limit.
//! The hard limit is never passed. So a queue that is always nearly full refuses early, and
//! one that is usually empty takes a burst.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Bounds of a [`Queue`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueLimits {
    /// So many items are taken without credit.
    pub soft: usize,
    /// More than this are never taken.
    pub hard: usize,
    /// The credit of an empty queue.
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

/// Who may come in. Pure.
#[derive(Clone, Copy, Debug)]
struct Credit {
    limits: QueueLimits,
    left: f64,
}

impl Credit {
    fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            left: as_credit(limits.burst),
        }
    }

    /// Lets one more in beside `present`.
    fn admit(&mut self, present: usize) -> Result<(), QueueError> {
        if present >= self.limits.hard {
            return Err(QueueError::Full);
        }
        if present >= self.limits.soft {
            if self.left < 1.0 {
                return Err(QueueError::NoCredit);
            }
            self.left -= 1.0;
        }
        Ok(())
    }

    /// One has gone and `present` are left.
    fn released(&mut self, present: usize) {
        if present < self.limits.soft {
            let free = as_credit(self.limits.soft - present);
            let earned = free / as_credit(self.limits.soft.max(1));
            self.left = (self.left + earned).min(as_credit(self.limits.burst));
        }
    }
}

/// Counts here are far below what a float holds exactly.
fn as_credit(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
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
        let present = inside.items.len();
        if let Err(error) = inside.credit.admit(present) {
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
            let left = self.0.left.notified();
            item = match self.try_submit(item) {
                Err((item, QueueError::Full | QueueError::NoCredit)) => item,
                settled => return settled,
            };
            left.await;
        }
    }

    /// The oldest item, as soon as there is one; `None` once the queue is closed and empty.
    /// Cancellation safe.
    pub async fn receive(&self) -> Option<T> {
        loop {
            let arrived = self.0.arrived.notified();
            {
                let mut inside = self.inside();
                if let Some(item) = inside.items.pop_front() {
                    let present = inside.items.len();
                    inside.credit.released(present);
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

    /// How many items wait.
    pub fn len(&self) -> usize {
        self.inside().items.len()
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_sequence_passes_the_hard_limit_or_mints_credit(
            soft in 0..20_usize,
            more in 0..20_usize,
            burst in 0..20_usize,
            steps in proptest::collection::vec(any::<bool>(), 0..200),
        ) {
            let limits = QueueLimits { soft, hard: soft + more, burst };
            let mut credit = Credit::new(limits);
            let mut present = 0;
            for adds in steps {
                if adds {
                    match credit.admit(present) {
                        Ok(()) => present += 1,
                        Err(QueueError::Full) => prop_assert!(present >= limits.hard),
                        Err(error) => {
                            prop_assert_eq!(error, QueueError::NoCredit);
                            prop_assert!(present >= soft && credit.left < 1.0);
                        }
                    }
                } else if present > 0 {
                    present -= 1;
                    credit.released(present);
                }
                prop_assert!(present <= limits.hard);
                prop_assert!((0.0..=as_credit(burst)).contains(&credit.left));
            }
        }
    }
}

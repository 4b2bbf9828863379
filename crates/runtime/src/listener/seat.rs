//! A worker's part in a shared address: its load, its counters, and the mailbox
//! through which the other workers hand it connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Mutex;

use super::admission::Incoming;
use crate::mailbox::{self, Receiver, Sender};

/// How many connections more than the least loaded worker's, and an eighth of those, a
/// worker may have before it hands new ones over.
pub const HANDOVER_SLACK: usize = 8;

/// How many handed-over connections may wait for a worker.
pub const HANDOVER_CAPACITY: usize = 64;

/// What one worker did at one address since the address was bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListenerCounters {
    /// Connections that are open now.
    pub open: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections closed at once because the site had all it may have.
    pub refused_over_limit: u64,
    /// Failed attempts to accept.
    pub accept_errors: u64,
    /// Pauses because the machine had no descriptor or memory for a connection.
    pub backoffs: u64,
    /// Connections given to a less loaded worker.
    pub handed_over: u64,
}

/// On cache lines of its own: one worker writes it, the others read it at every accept.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Load {
    open: AtomicUsize,
    serving: AtomicBool,
    accepted: AtomicU64,
    refused_over_limit: AtomicU64,
    accept_errors: AtomicU64,
    backoffs: AtomicU64,
    handed_over: AtomicU64,
}

impl Load {
    pub(super) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn is_serving(&self) -> bool {
        self.serving.load(Ordering::Relaxed)
    }

    pub(super) fn set_serving(&self, serving: bool) {
        self.serving.store(serving, Ordering::Relaxed);
    }

    pub(super) fn count_accepted(&self) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_refused(&self) {
        self.refused_over_limit.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_error(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_backoff(&self) {
        self.backoffs.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count_handed_over(&self) {
        self.handed_over.fetch_add(1, Ordering::Relaxed);
    }

    fn counters(&self) -> ListenerCounters {
        ListenerCounters {
            open: self.open(),
            accepted: self.accepted.load(Ordering::Relaxed),
            refused_over_limit: self.refused_over_limit.load(Ordering::Relaxed),
            accept_errors: self.accept_errors.load(Ordering::Relaxed),
            backoffs: self.backoffs.load(Ordering::Relaxed),
            handed_over: self.handed_over.load(Ordering::Relaxed),
        }
    }
}

/// One open connection in a worker's load.
#[derive(Debug)]
pub(super) struct Place {
    load: Arc<Load>,
}

impl Place {
    pub(super) fn take(load: &Arc<Load>) -> Self {
        load.open.fetch_add(1, Ordering::Relaxed);
        Self {
            load: Arc::clone(load),
        }
    }

    pub(super) fn load(&self) -> &Load {
        &self.load
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Debug)]
pub(super) struct Seat {
    /// Apart from the seat, because connections waiting in `mail` hold on to it.
    pub(super) load: Arc<Load>,
    pub(super) inbox: Sender<Incoming>,
    /// Held by the listener that serves this seat; free again when it ends, however it ends.
    pub(super) mail: Arc<Mutex<Receiver<Incoming>>>,
}

impl Seat {
    pub(super) fn new() -> Self {
        let (inbox, mail) = mailbox::channel(HANDOVER_CAPACITY);
        Self {
            load: Arc::default(),
            inbox,
            mail: Arc::new(Mutex::new(mail)),
        }
    }

    pub(super) fn counters(&self) -> ListenerCounters {
        self.load.counters()
    }
}

/// The seat that should get the next connection rather than `own`, if there is one.
pub(super) fn less_loaded(seats: &[Arc<Seat>], own: usize) -> Option<&Arc<Seat>> {
    let mine = seats.get(own)?.load.open();
    let (_, seat) = seats
        .iter()
        .enumerate()
        .filter(|&(index, seat)| index != own && seat.load.is_serving())
        .min_by_key(|(_, seat)| seat.load.open())?;
    let least = seat.load.open();
    (mine >= least + HANDOVER_SLACK + least / 8).then_some(seat)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_notable_imbalance_is_handed_over_and_only_to_who_serves() {
        let seats = [Arc::new(Seat::new()), Arc::new(Seat::new())];
        let mut mine = Vec::new();
        for _ in 0..HANDOVER_SLACK {
            seats[1].load.set_serving(true);
            assert!(less_loaded(&seats, 0).is_none());
            mine.push(Place::take(&seats[0].load));
        }
        assert!(less_loaded(&seats, 0).is_some());
        seats[1].load.set_serving(false);
        assert!(less_loaded(&seats, 0).is_none());
        mine.clear();
        assert_eq!(seats[0].counters().open, 0);
    }
}

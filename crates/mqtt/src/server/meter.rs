//! What a worker's part of the broker counts besides its core: bytes, and clients that were
//! not let in, by the reason they were told.

use std::cell::{Cell, RefCell};

use smallvec::SmallVec;

use crate::codec::ReasonCode;

/// Counts of one worker; they only grow.
#[derive(Debug)]
pub(super) struct Meter {
    /// Unlike that of any other core of the broker, one before it on the same worker
    /// included.
    pub(super) incarnation: u64,
    /// A handful of reasons at most, so a search is as good as a table.
    refused: RefCell<Refusals>,
    traffic: Cell<Traffic>,
}

/// Bytes of MQTT packets, without what carries them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Read from clients.
    pub received_bytes: u64,
    /// Written to clients.
    pub sent_bytes: u64,
}

impl Traffic {
    pub(super) fn add(&mut self, other: Self) {
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
    }
}

/// Refused CONNECTs, by reason.
pub(super) type Refusals = SmallVec<[(ReasonCode, u64); 4]>;

impl Meter {
    pub(super) fn new(incarnation: u64) -> Self {
        Self {
            incarnation,
            refused: RefCell::default(),
            traffic: Cell::default(),
        }
    }

    pub(super) fn count_received(&self, bytes: usize) {
        let mut traffic = self.traffic.get();
        traffic.received_bytes += bytes as u64;
        self.traffic.set(traffic);
    }

    pub(super) fn count_sent(&self, bytes: usize) {
        let mut traffic = self.traffic.get();
        traffic.sent_bytes += bytes as u64;
        self.traffic.set(traffic);
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.traffic.get()
    }

    /// A client was told in CONNACK why it may not come in.
    pub(super) fn count_refused(&self, reason: ReasonCode) {
        add(&mut self.refused.borrow_mut(), reason, 1);
    }

    pub(super) fn refused(&self) -> Refusals {
        self.refused.borrow().clone()
    }
}

/// Adds to the count of one reason.
pub(super) fn add(refusals: &mut Refusals, reason: ReasonCode, count: u64) {
    match refusals.iter_mut().find(|(known, _)| *known == reason) {
        Some((_, sum)) => *sum += count,
        None => refusals.push((reason, count)),
    }
}

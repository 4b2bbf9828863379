//! What a worker's part of the broker counts besides its core: clients that were not let
//! in, by the reason they were told.

use std::cell::RefCell;

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
}

/// Refused CONNECTs, by reason.
pub(super) type Refusals = SmallVec<[(ReasonCode, u64); 4]>;

impl Meter {
    pub(super) fn new(incarnation: u64) -> Self {
        Self {
            incarnation,
            refused: RefCell::default(),
        }
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

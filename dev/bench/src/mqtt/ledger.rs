//! What every message says of itself, and the account of all that arrived: none twice, none
//! before an earlier one of the same publisher, and at the end none missing.

use anyhow::{Context, Result, ensure};
use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

/// The shortest payload.
pub(crate) const STAMP_BYTES: usize = 16;

/// The start of each payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Who published it.
    pub(crate) publisher: u32,
    /// Its place among the publisher's messages, from 0.
    pub(crate) sequence: u32,
    /// When it was to be sent, since the start of the load.
    pub(crate) due: Duration,
}

impl Stamp {
    /// Writes it over the start of `payload`.
    pub(crate) fn write(self, payload: &mut [u8]) {
        payload[..4].copy_from_slice(&self.publisher.to_le_bytes());
        payload[4..8].copy_from_slice(&self.sequence.to_le_bytes());
        let nanoseconds = u64::try_from(self.due.as_nanos()).unwrap_or(u64::MAX);
        payload[8..16].copy_from_slice(&nanoseconds.to_le_bytes());
    }

    /// Reads it from the start of `payload`.
    pub(crate) fn read(payload: &[u8]) -> Option<Self> {
        let (publisher, rest) = payload.split_first_chunk()?;
        let (sequence, rest) = rest.split_first_chunk()?;
        let (due, _) = rest.split_first_chunk()?;
        Some(Self {
            publisher: u32::from_le_bytes(*publisher),
            sequence: u32::from_le_bytes(*sequence),
            due: Duration::from_nanos(u64::from_le_bytes(*due)),
        })
    }
}

/// Who is to get a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Every subscriber it is meant for, once each.
    Each,
    /// Any one of the subscribers.
    OneOf,
}

/// Sequence numbers that have arrived.
#[derive(Debug, Clone, Default)]
struct Seen {
    /// All below have.
    floor: u32,
    above: HashSet<u32>,
}

impl Seen {
    /// Whether it had not arrived before.
    fn insert(&mut self, sequence: u32) -> bool {
        if sequence < self.floor {
            return false;
        }
        if sequence > self.floor {
            return self.above.insert(sequence);
        }
        self.floor += 1;
        while !self.above.is_empty() && self.above.remove(&self.floor) {
            self.floor += 1;
        }
        true
    }
}

/// What must not have happened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) twice: u64,
    pub(crate) out_of_order: u64,
}

impl Faults {
    /// Whether all is as it should be.
    pub(crate) fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Both together.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            lost: self.lost + other.lost,
            twice: self.twice + other.twice,
            out_of_order: self.out_of_order + other.out_of_order,
        }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return formatter.pad("none");
        }
        let Self {
            lost,
            twice,
            out_of_order,
        } = self;
        formatter.pad(&format!("{lost} lost, {twice} twice, {out_of_order} late"))
    }
}

/// The account of one load.
#[derive(Debug)]
pub(crate) struct Ledger {
    audience: Audience,
    publishers: usize,
    seen: Vec<Seen>,
    /// The lowest sequence number that may come next, by subscriber and publisher.
    next: Vec<u32>,
    /// Messages of each publisher that arrived, all subscribers together.
    arrived: Vec<u64>,
    total: u64,
    faults: Faults,
}

impl Ledger {
    /// For so many publishers and subscribers.
    pub(crate) fn new(audience: Audience, publishers: usize, subscribers: usize) -> Self {
        let lists = match audience {
            Audience::Each => publishers * subscribers,
            Audience::OneOf => publishers,
        };
        Self {
            audience,
            publishers,
            seen: vec![Seen::default(); lists],
            next: vec![0; publishers * subscribers],
            arrived: vec![0; publishers],
            total: 0,
            faults: Faults::default(),
        }
    }

    /// Enters a message that `subscriber` got.
    pub(crate) fn enter(&mut self, subscriber: usize, payload: &[u8]) -> Result<Stamp> {
        let stamp = Stamp::read(payload).context("a message without a stamp")?;
        let publisher = stamp.publisher as usize;
        ensure!(publisher < self.publishers, "a message of nobody");
        let place = subscriber * self.publishers + publisher;
        let list = match self.audience {
            Audience::Each => place,
            Audience::OneOf => publisher,
        };
        if !self.seen[list].insert(stamp.sequence) {
            self.faults.twice += 1;
            return Ok(stamp);
        }
        if stamp.sequence < self.next[place] {
            self.faults.out_of_order += 1;
        } else {
            self.next[place] = stamp.sequence + 1;
        }
        self.arrived[publisher] += 1;
        self.total += 1;
        Ok(stamp)
    }

    /// Messages that arrived, each counted once for each subscriber.
    pub(crate) const fn total(&self) -> u64 {
        self.total
    }

    /// The same of one publisher.
    pub(crate) fn arrived(&self, publisher: usize) -> u64 {
        self.arrived[publisher]
    }

    /// What went wrong, when `expected` messages were to arrive in all.
    pub(crate) const fn faults(&self, expected: u64) -> Faults {
        Faults {
            lost: expected.saturating_sub(self.total),
            ..self.faults
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn enter(ledger: &mut Ledger, subscriber: usize, publisher: u32, sequence: u32) {
        let mut payload = [0; STAMP_BYTES];
        let due = Duration::from_micros(7);
        let stamp = Stamp {
            publisher,
            sequence,
            due,
        };
        stamp.write(&mut payload);
        assert_eq!(ledger.enter(subscriber, &payload).unwrap(), stamp);
    }

    #[test]
    fn a_gap_is_a_loss_unless_it_is_filled_late() {
        let mut ledger = Ledger::new(Audience::Each, 2, 2);
        for sequence in [0, 2, 3] {
            enter(&mut ledger, 1, 1, sequence);
        }
        assert_eq!(ledger.faults(4).lost, 1);
        assert_eq!(ledger.faults(4).out_of_order, 0);
        enter(&mut ledger, 1, 1, 1);
        assert_eq!(ledger.faults(4).lost, 0);
        assert_eq!(ledger.faults(4).out_of_order, 1);
    }

    #[test]
    fn a_second_copy_is_not_an_arrival() {
        let mut ledger = Ledger::new(Audience::Each, 1, 2);
        enter(&mut ledger, 0, 0, 0);
        enter(&mut ledger, 1, 0, 0);
        assert!(ledger.faults(2).is_empty());
        enter(&mut ledger, 1, 0, 0);
        assert_eq!(ledger.faults(2).twice, 1);
        assert_eq!(ledger.total(), 2);
    }

    #[test]
    fn one_of_many_may_get_a_message_but_not_two() {
        let mut ledger = Ledger::new(Audience::OneOf, 1, 2);
        enter(&mut ledger, 0, 0, 1);
        enter(&mut ledger, 1, 0, 0);
        assert!(ledger.faults(2).is_empty());
        enter(&mut ledger, 1, 0, 1);
        assert_eq!(ledger.faults(2).twice, 1);
    }
}

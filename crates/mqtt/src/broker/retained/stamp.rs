//! The order of changes to retained messages that cores make apart.

use crate::broker::time::Moment;

/// Which of two changes to one topic is the later, alike on every core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Stamp {
    /// Milliseconds, moved on where two changes fall into one.
    pub at: u64,
    /// The core that made the change: breaks ties.
    pub shard: u8,
}

impl Stamp {
    /// The earliest stamp of a moment.
    pub fn at(moment: Moment) -> Self {
        Self {
            at: moment.as_millis(),
            shard: 0,
        }
    }
}

/// Gives stamps, each later than all it has given or seen.
#[derive(Debug, Clone, Copy, Default)]
pub struct StampClock {
    last: u64,
}

impl StampClock {
    /// A stamp for a change made by `shard` at `now`.
    pub fn next(&mut self, now: Moment, shard: u8) -> Stamp {
        self.last = now.as_millis().max(self.last + 1);
        Stamp {
            at: self.last,
            shard,
        }
    }

    /// Takes notice of a stamp given elsewhere.
    pub fn saw(&mut self, stamp: Stamp) {
        self.last = self.last.max(stamp.at);
    }
}

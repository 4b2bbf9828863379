//! Time as the cores are told it.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::time::{Duration, UNIX_EPOCH};

use tidegate_runtime::clock::{self, Tick};

use crate::broker::time::Moment;

/// Turns the coarse clock into moments: the wall clock read once, and what the monotonic
/// one has counted since. The same on every worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Epoch {
    wall_ms: u64,
    tick: Tick,
}

impl Epoch {
    pub(super) fn start() -> Self {
        let wall = clock::wall().duration_since(UNIX_EPOCH);
        Self {
            wall_ms: wall.map_or(0, |wall| wall.as_millis() as u64),
            tick: clock::now(),
        }
    }

    /// A number that other runs of the program do not have.
    pub(super) fn seed(self) -> u64 {
        RandomState::new().hash_one(self.wall_ms)
    }

    /// How long ago it began.
    pub(super) fn elapsed(self) -> Duration {
        clock::now().since(self.tick)
    }

    pub(super) fn now(self) -> Moment {
        Moment::from_millis(self.wall_ms) + self.elapsed()
    }
}

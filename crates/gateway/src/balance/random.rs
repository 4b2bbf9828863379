//! A small, quick source of chance for balancing: wyrand. Not for secrets.

use std::cell::Cell;

#[derive(Clone, Debug)]
pub(super) struct Random {
    state: Cell<u64>,
}

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            state: Cell::new(seed),
        }
    }

    /// A number below `limit`. The bias is below one in 2^32 for limits below 2^32.
    pub(super) fn below(&self, limit: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(limit);
        u64::try_from(wide >> 64).expect("a product of two u64 shifted by 64 fits")
    }

    fn next(&self) -> u64 {
        let state = self.state.get().wrapping_add(0xa076_1d64_78bd_642f);
        self.state.set(state);
        let product = u128::from(state) * u128::from(state ^ 0xe703_7ed1_a0b4_28db);
        let folded = (product >> 64) ^ (product & u128::from(u64::MAX));
        u64::try_from(folded).expect("both halves fit")
    }
}

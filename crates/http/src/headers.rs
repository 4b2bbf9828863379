//! Header maps whose message is over, kept by each worker for the next one.
//!
//! A map's tables are the largest allocation of a small message.

use std::cell::RefCell;

use http::HeaderMap;

/// How many maps a worker keeps.
const KEPT_MAX: usize = 64;
/// A map with room for more fields than this is not worth keeping.
const CAPACITY_MAX: usize = 128;

thread_local! {
    static KEPT: RefCell<Vec<HeaderMap>> = const { RefCell::new(Vec::new()) };
}

/// An empty map.
pub(crate) fn take() -> HeaderMap {
    KEPT.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Gives back a map that is no longer needed, so that the next message of this
/// worker need not allocate one. Its fields are dropped.
pub fn give(mut map: HeaderMap) {
    if map.capacity() == 0 || map.capacity() > CAPACITY_MAX {
        return;
    }
    map.clear();
    KEPT.with_borrow_mut(|kept| {
        if kept.len() < KEPT_MAX {
            kept.push(map);
        }
    });
}

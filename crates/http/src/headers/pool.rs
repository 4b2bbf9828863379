//! Lines whose message is over, kept by each worker for the next one.

use std::cell::RefCell;

use super::lines::Lines;

/// How many a worker keeps.
const KEPT_MAX: usize = 64;
/// What has taken more memory than this, in bytes, is not worth keeping.
const KEPT_BYTES_MAX: usize = 16 * 1024;

thread_local! {
    #[expect(clippy::vec_box, reason = "messages hold them boxed, and get them without a move")]
    static KEPT: RefCell<Vec<Box<Lines>>> = const { RefCell::new(Vec::new()) };
}

/// Empty lines.
pub(super) fn take() -> Box<Lines> {
    // Gone already where a thread ends.
    let kept = KEPT.try_with(|kept| kept.borrow_mut().pop());
    kept.ok().flatten().unwrap_or_default()
}

/// Gives back lines that are no longer needed.
pub(super) fn give(mut lines: Box<Lines>) {
    if lines.kept_bytes() > KEPT_BYTES_MAX {
        return;
    }
    lines.clear();
    let _ = KEPT.try_with(|kept| {
        let mut kept = kept.borrow_mut();
        if kept.len() < KEPT_MAX {
            kept.push(lines);
        }
    });
}

//! How often which fault was answered: every limit that bit, and every upstream that failed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::FaultKind;

/// Every fault that was ever answered, by name. As many as there are names.
static ALL: Mutex<BTreeMap<&'static str, Arc<AtomicU64>>> = Mutex::new(BTreeMap::new());

thread_local! {
    /// Those this thread has answered, so that it takes the lock once for each.
    static SEEN: RefCell<Vec<(&'static str, Arc<AtomicU64>)>> = const { RefCell::new(Vec::new()) };
}

/// Counts a fault that is being answered.
pub(crate) fn count(kind: FaultKind) {
    let name = kind.name();
    SEEN.with_borrow_mut(|seen| {
        if let Some((_, count)) = seen.iter().find(|(known, _)| *known == name) {
            count.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let mut all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
        let count = Arc::clone(all.entry(name).or_default());
        drop(all);
        count.fetch_add(1, Ordering::Relaxed);
        seen.push((name, count));
    });
}

/// How often each fault was answered since the process began, by
/// [name](FaultKind::name).
pub fn counts() -> Vec<(&'static str, u64)> {
    let all = ALL.lock().unwrap_or_else(PoisonError::into_inner);
    let counts = all.iter();
    counts
        .map(|(name, count)| (*name, count.load(Ordering::Relaxed)))
        .collect()
}

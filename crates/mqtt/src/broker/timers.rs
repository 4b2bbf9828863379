//! What is due when: one entry for each thing that waits, taken out exactly.

use std::collections::BTreeSet;

use super::time::Moment;

/// Moments at which `K`s are due, each `K` at most once.
///
/// Entries are removed when they are moved or cancelled, so there are never
/// more of them than things that wait, however often those change their minds.
#[derive(Debug)]
pub(super) struct Timers<K> {
    due: BTreeSet<(Moment, K)>,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self {
            due: BTreeSet::new(),
        }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Moves `key` from where `armed` says it stands to `at`; `None` cancels.
    pub(super) fn arm(&mut self, key: K, armed: &mut Option<Moment>, at: Option<Moment>) {
        let at = at.filter(|at| *at != Moment::NEVER);
        if *armed == at {
            return;
        }
        if let Some(old) = armed.take() {
            self.due.remove(&(old, key));
        }
        if let Some(new) = at {
            self.due.insert((new, key));
            *armed = Some(new);
        }
    }

    /// When the first is due.
    pub(super) fn next(&self) -> Option<Moment> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes out the first that is due by `now`.
    pub(super) fn pop(&mut self, now: Moment) -> Option<K> {
        let (at, _) = self.due.first()?;
        if *at > now {
            return None;
        }
        self.due.pop_first().map(|(_, key)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moved_timer_leaves_no_entry_behind() {
        let mut timers = Timers::default();
        let mut armed = None;
        for second in 0..100 {
            let at = Moment::default().plus_secs(100 - second);
            timers.arm(7, &mut armed, Some(at));
        }
        assert_eq!(timers.due.len(), 1);
        assert_eq!(timers.next(), Some(Moment::from_millis(1_000)));
        assert_eq!(timers.pop(Moment::from_millis(999)), None);
        assert_eq!(timers.pop(Moment::from_millis(1_000)), Some(7));
        assert_eq!(timers.next(), None);
    }
}

//! Which name is looked up next, and when.

use std::collections::BTreeMap;
use std::sync::Weak;

use tokio::time::Instant;

use super::name::Name;

/// Names by the time their next lookup is due; first come, first served within one.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    due: BTreeMap<(Instant, u64), Weak<Name>>,
    added: u64,
}

impl Schedule {
    pub(super) fn add(&mut self, when: Instant, name: Weak<Name>) {
        self.added += 1;
        self.due.insert((when, self.added), name);
    }

    /// Takes the name that has been due longest at `now`.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Weak<Name>> {
        let first = self.due.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first_key_value().map(|((when, _), _)| *when)
    }
}

//! What a store has done and found, counted by its thread and read by others.

use std::sync::atomic::{AtomicU64, Ordering};

use super::engine::Found;

#[derive(Debug, Default)]
pub(super) struct Counters {
    handed_over: AtomicU64,
    commits: AtomicU64,
    written_bytes: AtomicU64,
    groups: AtomicU64,
    failures: AtomicU64,
    damaged_bytes: AtomicU64,
    databases_set_aside: AtomicU64,
    records_set_aside: AtomicU64,
}

/// What a store has done and found since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Commits of cores that are done.
    pub commits: u64,
    /// Bytes of those.
    pub written_bytes: u64,
    /// Commits that were handed over and are not done.
    pub waiting: u64,
    /// Groups in which they were written.
    pub groups: u64,
    /// Attempts at writing a group that failed.
    pub failures: u64,
    /// Bytes at the ends of journals that were damaged, and set aside.
    pub damaged_bytes: u64,
    /// Databases that were damaged beyond reading, and set aside.
    pub databases_set_aside: u64,
    /// Records that were damaged, and set aside.
    pub records_set_aside: u64,
}

impl Counters {
    pub(super) fn handed_over(&self) {
        self.handed_over.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn wrote(&self, commits: usize, bytes: usize) {
        self.commits.fetch_add(commits as u64, Ordering::Relaxed);
        self.written_bytes
            .fetch_add(bytes as u64, Ordering::Relaxed);
        self.groups.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn found(&self, found: Found) {
        let add = |to: &AtomicU64, count| to.fetch_add(count, Ordering::Relaxed);
        add(&self.damaged_bytes, found.damaged_bytes);
        add(&self.databases_set_aside, found.set_aside);
        add(&self.records_set_aside, found.unreadable);
    }

    pub(super) fn read(&self) -> StoreCounts {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let commits = read(&self.commits);
        StoreCounts {
            commits,
            written_bytes: read(&self.written_bytes),
            // Read after them: never less.
            waiting: read(&self.handed_over).saturating_sub(commits),
            groups: read(&self.groups),
            failures: read(&self.failures),
            damaged_bytes: read(&self.damaged_bytes),
            databases_set_aside: read(&self.databases_set_aside),
            records_set_aside: read(&self.records_set_aside),
        }
    }
}

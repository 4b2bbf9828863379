//! Which cores have subscribers of the broker's own topics.
//!
//! Noted by the cores when that changes, and read by whoever tells them the figures: while
//! nobody asks for them, nobody is woken for them.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use crate::broker::shard::ShardId;

/// A bit for each core.
#[derive(Debug, Default)]
pub(super) struct SystemInterest {
    wanting: AtomicU64,
    /// Cores that have begun to want them since they were told last.
    begun: AtomicU64,
    changed: Notify,
}

impl SystemInterest {
    pub(super) fn note(&self, shard: ShardId, wants: bool) {
        let bit = 1 << shard.0;
        if wants {
            self.wanting.fetch_or(bit, Ordering::Relaxed);
            self.begun.fetch_or(bit, Ordering::Release);
        } else {
            self.wanting.fetch_and(!bit, Ordering::Relaxed);
            self.begun.fetch_and(!bit, Ordering::Release);
        }
        self.changed.notify_one();
    }

    /// The cores that want them.
    pub(super) fn wanting(&self) -> Vec<ShardId> {
        shards(self.wanting.load(Ordering::Relaxed))
    }

    /// The cores that have begun to, each told once.
    pub(super) fn take_begun(&self) -> Vec<ShardId> {
        shards(self.begun.swap(0, Ordering::Acquire))
    }

    /// Waits for a change; one that nobody has waited for counts. For one who waits.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }
}

fn shards(bits: u64) -> Vec<ShardId> {
    let all = (0..64).filter(|number| bits & (1 << number) != 0);
    all.map(ShardId).collect()
}

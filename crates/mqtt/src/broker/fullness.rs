//! A store that takes no more, of this core or another.
//!
//! What a core cannot store it does not say that it has; whoever waits for that elsewhere
//! would wait until the disk has room again. So the others are told: who waits is refused
//! with 0x97, as by a store of this core, and what would go there is refused from the start.

use super::{
    Broker,
    crossing::{CrossingNumber, ShardContent},
    input::StoreState,
    receipts::Published,
    shard::{ShardId, ShardSet},
};

impl Broker {
    /// What the store of this core says of itself.
    pub(super) fn store_is(&mut self, state: StoreState) {
        if std::mem::replace(&mut self.store, state) == state {
            return;
        }
        for to in ShardSet::all_but(self.crossing.me(), self.crossing.count()).iter() {
            let content = match state {
                StoreState::Full => ShardContent::StoreFull(CrossingNumber::default()),
                StoreState::Open => ShardContent::StoreOpen,
            };
            self.crossing.say_aside(to, content);
        }
    }

    /// Tells the others which of their messages this core could not store so far.
    pub(super) fn settle_fullness(&mut self) {
        if self.store == StoreState::Full {
            let committed = self.journal.committed();
            for (to, through) in self.crossing.not_stored(committed) {
                self.crossing
                    .say_aside(to, ShardContent::StoreFull(through));
            }
        }
    }

    /// Another core cannot store what it was sent up to this number, or anything more.
    pub(super) fn full_elsewhere(&mut self, from: ShardId, through: CrossingNumber) {
        self.full.insert(from);
        let taken = self.crossing.last_taken(from);
        let is_refused = |(shard, number): &(ShardId, CrossingNumber)| {
            *shard == from && taken < *number && *number <= through
        };
        for key in self.holding.clone() {
            let link = self.sessions.get_mut(key).and_then(|it| it.link.as_mut());
            if let Some(link) = link {
                let refused = link.replies.fail_storing(is_refused);
                self.not_received(key, refused);
            }
        }
        self.release_replies();
        self.end_receipts(Published::NotStored, |until| {
            until.taken.iter().any(is_refused)
        });
    }

    /// Another core's store takes more again.
    pub(super) fn open_elsewhere(&mut self, from: ShardId) {
        self.full.remove(from);
    }

    /// Whether something that is to be kept of a message would have to be stored where that is
    /// not possible.
    pub(super) fn is_full_for(&mut self, topic: &str, is_retained: bool) -> bool {
        if self.store == StoreState::Full {
            return true;
        }
        if self.full.is_empty() {
            return false;
        }
        let matched = self.subscriptions.matched(topic.as_bytes());
        let mut groups = matched.groups.iter();
        is_retained
            || matched.shards.iter().any(|shard| self.full.contains(shard))
            || groups.any(|group| self.subscriptions.group(*group).is_among(self.full))
    }
}

//! Another core has died, and a new one is in its place.
//!
//! The new one has what the store kept, and nothing else. It tells what its subscribers
//! want before anything; until then they are taken to want what they wanted, for a
//! message that matches nobody is acknowledged and gone.

use std::{ops::ControlFlow, rc::Rc};

use super::{
    Broker,
    crossing::{Audience, CrossingNumber, ShardContent},
    draft::Draft,
    shard::ShardId,
};

impl Broker {
    pub(super) fn neighbour_restarted(&mut self, shard: ShardId) {
        if shard == self.crossing.me() {
            return;
        }
        // What waits for the dead one has numbers that the new one would take for its own.
        self.crossing.restart(shard);
        let told = self.tell_all_interest(shard);
        for key in self.holding.clone() {
            let link = self.sessions.get_mut(key).and_then(|it| it.link.as_mut());
            if let Some(link) = link {
                let refused = link.replies.fail_crossing(shard, told);
                self.not_received(key, refused);
            }
        }
        self.release_replies();
        self.lose_receipts(shard);
        self.tell_retained(shard);
        self.recover_hand_overs(shard);
    }

    /// What was handed over to the dead core and not taken goes to other members, or to
    /// those that the new one has from the store.
    fn recover_hand_overs(&mut self, shard: ShardId) {
        // Until they come back, to whatever core accepts them.
        self.subscriptions.set_away_offline(shard);
        for lost in self.handed.take_back(shard) {
            let group = self
                .subscriptions
                .find_group(&lost.name.filter, &lost.name.name);
            if let Some(group) = group {
                self.counters.shared_recovered += 1;
                self.place_shared(group, &lost.message);
            }
        }
    }

    /// Tells everything that subscribers here want; returns the number of the last word.
    fn tell_all_interest(&mut self, shard: ShardId) -> CrossingNumber {
        // Changes that nobody has heard of yet are in it, and told to the others after.
        let mut told = CrossingNumber::default();
        for change in self.subscriptions.wanted_here() {
            told = self.say(shard, ShardContent::Interest(change));
        }
        self.interest_told.retain(|(to, _)| *to != shard);
        self.interest_told.push((shard, told));
        told
    }

    /// Every core has all retained messages: the first of the others passes them on.
    fn tell_retained(&mut self, shard: ShardId) {
        let first = (0..self.crossing.count())
            .map(ShardId)
            .find(|other| *other != shard);
        if first != Some(self.crossing.me()) {
            return;
        }
        let mut retained = Vec::new();
        self.retained.matching("#", None, |topic, message| {
            retained.push((topic.to_owned(), Rc::clone(message)));
            ControlFlow::Continue(())
        });
        for (topic, message) in retained {
            let stamp = self.retained.stamp(&topic);
            self.forward(shard, &mut Draft::Made(message), Audience::Retained, stamp);
        }
    }
}

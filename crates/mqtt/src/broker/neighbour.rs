//! Another core has died, and a new one is in its place.
//!
//! The new one has what the store kept, and nothing else. It tells what its subscribers
//! want before anything; until then they are taken to want what they wanted, for a
//! message that matches nobody is acknowledged and gone.

use std::{collections::BTreeMap, ops::ControlFlow, rc::Rc};

use super::{
    Broker,
    crossing::{Audience, CrossingNumber, ShardContent},
    draft::Draft,
    handed::{Beside, HandOver, Owner, RunId},
    held::{Lost, Places, Until},
    route::Reached,
    shard::ShardId,
    time::Moment,
};
use crate::codec::QualityOfService::ExactlyOnce;

impl Broker {
    pub(super) fn neighbour_restarted(&mut self, now: Moment, shard: ShardId) {
        if shard == self.crossing.me() {
            return;
        }
        let taken = self.crossing.last_taken(shard);
        let strays = self.handed.lose(shard);
        // What waits for the dead one has numbers that the new one would take for its own.
        self.crossing.restart(shard);
        self.forget_runs(shard);
        self.full.remove(shard);
        let told = self.tell_all_interest(shard);
        let lost = Lost {
            me: self.crossing.me(),
            shard,
            taken,
            strays: &strays,
        };
        for key in self.holding.clone() {
            let link = self.sessions.get_mut(key).and_then(|it| it.link.as_mut());
            if let Some(link) = link {
                let refused = link.replies.fail_crossing(&lost, told);
                self.not_received(key, refused);
            }
        }
        self.release_replies();
        self.lose_receipts(&lost);
        self.tell_retained(shard);
        // Until they come back, to whatever core accepts them.
        self.subscriptions.set_away_offline(shard);
        if !self.journal.is_on() {
            // The new core remembers nothing, and does not say so.
            self.place_strays(now, shard, &[]);
        }
    }

    /// What the dead core had neither taken nor, as the new one says, stored goes to other
    /// members, and to whom the new one has from the store.
    pub(super) fn place_strays(
        &mut self,
        now: Moment,
        shard: ShardId,
        stored: &[(RunId, CrossingNumber)],
    ) {
        let mut places = BTreeMap::new();
        for stray in self.handed.take_strays(shard) {
            let is_there = stray.hand_over.message.qos() == ExactlyOnce && stray.was_stored(stored);
            let until = match is_there || stray.hand_over.message.is_expired(now) {
                true => Until::default(),
                false => self.place_stray(shard, &stray.hand_over),
            };
            if stray.hand_over.owner == Owner::Publisher {
                places.insert(stray.number, until);
            }
        }
        if places.is_empty() {
            return;
        }
        let me = self.crossing.me();
        let places = Places { me, places };
        for key in self.holding.clone() {
            let link = self.sessions.get_mut(key).and_then(|it| it.link.as_mut());
            if let Some(link) = link {
                link.replies.placed(&places);
            }
        }
        self.release_replies();
        self.place_receipts(&places);
    }

    /// Returns what its publisher waits for now.
    fn place_stray(&mut self, shard: ShardId, stray: &HandOver) -> Until {
        self.counters.crossings_recovered += 1;
        let before = self.journal.mark();
        let mut reached = Reached::default();
        let again = HandOver {
            groups: Vec::new(),
            placings: stray.placings.saturating_add(1),
            ..stray.clone()
        };
        for name in &stray.groups {
            let group = self.subscriptions.find_group(&name.filter, &name.name);
            let place = group.and_then(|group| self.place_shared(group, again.clone()));
            reached.shards.extend(place);
        }
        if stray.beside == Beside::Matching {
            let number = self.forward_kept(shard, again);
            reached.shards.push((shard, number));
        }
        let wrote = self.journal.mark() != before;
        self.until(reached, wrote)
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

//! Messages of shared subscriptions that change hands: their member has gone, or one has come
//! who can take them (4.8.2).

use std::rc::Rc;

use super::{
    Broker,
    crossing::{Audience, CrossingNumber, SharedName},
    draft::Draft,
    durable::Joint,
    grant::Joined,
    handed::{Beside, HandOver},
    message::Message,
    outbox::{Delivery, Stage},
    session::{Session, SessionKey},
    shard::{ShardId, ShardSet},
    shared::Choice,
    subscriptions::GroupId,
};
use crate::codec::QualityOfService;

impl Broker {
    /// Gives unsent messages of shared subscriptions to members that are
    /// connected, if there are any.
    pub(super) fn pass_on_shared(&mut self, key: SessionKey) {
        if !self.sessions[key].outbox.has_shared() {
            return;
        }
        for at in 0..self.sessions[key].groups.len() {
            let group = self.sessions[key].groups[at];
            if self.subscriptions.group(group).is_served() {
                self.take_back(key, group);
            }
        }
    }

    /// Takes the unsent messages of one group from a session to other members.
    fn take_back(&mut self, key: SessionKey, group: GroupId) {
        let session = &mut self.sessions[key];
        let taken = session.outbox.take_shared(group);
        let (number, stored) = (session.number, session.is_stored());
        self.jointly(stored, |broker| {
            let places = taken.into_iter().filter_map(|delivery| {
                // The new place is written before the old one is removed.
                let place = broker.redeliver(group, &delivery.message);
                if stored {
                    broker.journal.unqueued(number, &delivery);
                }
                place
            });
            places.collect()
        });
    }

    /// Does `work`, which gives messages away. If they are dropped from the store for that,
    /// they are so together with what the cores that it names store of them.
    pub(super) fn jointly(&mut self, stored: bool, work: impl FnOnce(&mut Self) -> ShardSet) {
        let is_joint = stored && self.crossing.count() > 1;
        let number = is_joint.then(|| self.journal.new_joint(self.crossing.me()));
        let outer = std::mem::replace(&mut self.joint, number);
        let others = work(self);
        self.joint = outer;
        if let Some(number) = number
            && !others.is_empty()
        {
            self.journal.join(Joint {
                number,
                others: Some(others),
            });
        }
    }

    /// Gives a message of a shared subscription to another member (4.8.2). Returns the core
    /// that it went to, if that is another.
    pub(super) fn redeliver(&mut self, id: GroupId, message: &Rc<Message>) -> Option<ShardId> {
        if !self.subscriptions.has_group(id) {
            return None;
        }
        self.counters.shared_redelivered += 1;
        let place = self.place_shared(id, HandOver::ownerless(message));
        place.map(|(shard, _)| shard)
    }

    /// Brings a message to a member of a group, wherever it is. Returns the core that it went
    /// to, if that is another, and its number there.
    pub(super) fn place_shared(
        &mut self,
        id: GroupId,
        hand_over: HandOver,
    ) -> Option<(ShardId, CrossingNumber)> {
        let sessions = &self.sessions;
        let limits = self.outbox_limits();
        let group = self.subscriptions.group_mut(id);
        let choice = group.choose(|key| sessions[key].outbox.has_room(limits));
        match choice {
            Choice::Member(member) | Choice::Offline(member) => {
                let joined = Joined::of(member.grant);
                self.deliver(member.session, &hand_over.message, &joined, Some(id));
                None
            }
            Choice::Shard(shard) => {
                let name = self.shared_name(id);
                Some((shard, self.hand_over(shard, hand_over, name)))
            }
            Choice::Nobody => None,
        }
    }

    /// Gives a message of a shared subscription to another core, which chooses among its
    /// members. It is kept until that core has it.
    pub(super) fn hand_over(
        &mut self,
        shard: ShardId,
        hand_over: HandOver,
        name: SharedName,
    ) -> CrossingNumber {
        if hand_over.message.qos() == QualityOfService::AtMostOnce {
            let mut draft = Draft::Made(hand_over.message);
            return self.forward(shard, &mut draft, Audience::Shared(name), None);
        }
        let hand_over = HandOver {
            beside: Beside::Nobody,
            groups: vec![name],
            retain: None,
            ..hand_over
        };
        self.forward_kept(shard, hand_over)
    }

    /// Passes a message to another core, and keeps it until that core has it.
    pub(super) fn forward_kept(&mut self, shard: ShardId, hand_over: HandOver) -> CrossingNumber {
        let audience = match (hand_over.beside, hand_over.groups.as_slice()) {
            (Beside::Nobody, [one]) if hand_over.retain.is_none() => Audience::Shared(one.clone()),
            _ => Audience::Matching(hand_over.groups.clone()),
        };
        let mut draft = Draft::Made(Rc::clone(&hand_over.message));
        if draft.qos() == QualityOfService::ExactlyOnce {
            self.keeping = Some(self.handed.run(shard));
        }
        let number = self.forward(shard, &mut draft, audience, hand_over.retain);
        self.keeping = None;
        if self.handed.keep(shard, number, hand_over).is_err() {
            self.counters.hand_overs_exceeded += 1;
        }
        number
    }

    /// Takes a client out of a group. What was not sent goes to the members
    /// that are left.
    pub(super) fn leave_group(&mut self, key: SessionKey, id: GroupId) {
        self.sessions[key].groups.retain(|group| *group != id);
        self.subscriptions.leave(id, key);
        if self.subscriptions.has_group(id) {
            self.take_back(key, id);
        }
        self.sessions[key].outbox.forget_group(id);
    }

    /// Members that were not there have left messages with `key`'s group: it
    /// has just connected and can take them.
    pub(super) fn gather_shared(&mut self, group: GroupId) {
        let offline: Vec<_> = self
            .subscriptions
            .group(group)
            .offline()
            .iter()
            .map(|member| member.session)
            .filter(|key| self.sessions[*key].outbox.has_shared())
            .collect();
        for key in offline {
            self.take_back(key, group);
        }
    }
}

/// What an ended session leaves to other members of its groups: what was not
/// sent, and what was sent at QoS 1 and not acknowledged. What was sent at
/// QoS 2 nobody else may have (4.8.2-5).
pub(super) fn unfinished(mut session: Session) -> Vec<(GroupId, Delivery)> {
    let mut unfinished = Vec::new();
    let sent = session.outbox.take_inflight();
    let sent = sent.into_iter().filter_map(|entry| match entry.stage {
        Stage::Sent(delivery) if delivery.qos == QualityOfService::AtLeastOnce => Some(delivery),
        _ => None,
    });
    let waiting = std::iter::from_fn(|| session.outbox.pop_waiting());
    for delivery in sent.chain(waiting) {
        if let Some(group) = delivery.group {
            unfinished.push((group, delivery));
        }
    }
    unfinished
}

//! What comes from other cores.

use std::rc::Rc;

use super::{
    Broker,
    crossing::{
        Audience, CrossingNumber, ForwardedPublish, ShardContent, ShardMessage, SharedName,
    },
    durable::Joint,
    grant::Joined,
    handed::HandOver,
    message::{Message, MessageParts},
    parcel::{Parcel, Topic, Unpacked},
    route::Source,
    shard::ShardId,
    shared::Choice,
    subscriptions::{GroupId, InterestChange, Matched},
    time::Moment,
};
use crate::codec::QualityOfService;

impl Broker {
    pub(super) fn crossed(&mut self, now: Moment, from: ShardId, parcel: Parcel) {
        if self.crossing.is_first_of(from) {
            self.subscriptions.forget(from);
        }
        // What matches the topic of the message before. Nothing but what is said otherwise
        // changes that while a parcel is unpacked.
        let mut known: Option<Rc<Matched>> = None;
        for unpacked in parcel.unpack() {
            match unpacked {
                Unpacked::Whole(message) => {
                    known = None;
                    self.said(now, from, message);
                }
                Unpacked::Common(number, topic, parts) => {
                    known.take_if(|_| topic == Topic::New);
                    let matched = known
                        .get_or_insert_with(|| self.subscriptions.matched(parts.topic.as_bytes()));
                    let awaited = parts.qos != QualityOfService::AtMostOnce;
                    self.common(now, parts, matched);
                    if awaited {
                        self.has_come((from, number));
                    }
                }
            }
        }
    }

    /// A message for everybody here whose filters match.
    fn common(&mut self, now: Moment, parts: MessageParts, matched: &Matched) {
        self.counters.forwards_received += 1;
        let message = Rc::new(Message::new(parts));
        if message.is_expired(now) {
            self.counters.messages_expired += 1;
        } else {
            self.send_to_targets(&message, Source::Broker, matched);
        }
    }

    /// Somebody there waits for it to be told as taken, which it is once the store has what
    /// it has led to.
    fn has_come(&mut self, (from, number): (ShardId, CrossingNumber)) {
        let after = self.journal.latest();
        self.crossing.received(from, number, after);
    }

    fn said(&mut self, now: Moment, from: ShardId, message: ShardMessage) {
        match message.content {
            ShardContent::Taken(number) => {
                self.crossing.taken(from, number);
                self.handed.taken(from, number);
                self.release_replies();
                self.release_receipts();
                return;
            }
            ShardContent::StoreFull(through) => {
                self.full_elsewhere(from, through);
                return;
            }
            ShardContent::StoreOpen => {
                self.open_elsewhere(from);
                return;
            }
            ShardContent::Recalled(stored) => {
                self.place_strays(now, from, &stored);
                return;
            }
            ShardContent::Interest(change) => {
                self.interest_changed(from, &change);
                self.crossing.hurry();
            }
            ShardContent::Publish(forwarded) => {
                if let Some(run) = forwarded.run {
                    self.remember(from, run, message.number);
                }
                self.forwarded(now, *forwarded);
            }
        }
        self.has_come((from, message.number));
    }

    fn forwarded(&mut self, now: Moment, forwarded: ForwardedPublish) {
        self.counters.forwards_received += 1;
        if let Some(number) = forwarded.joint {
            // Even if nothing comes of it here: the sender's part waits for this one.
            self.journal.join(Joint {
                number,
                others: None,
            });
        }
        let message = Rc::new(Message::new(forwarded.message));
        if let Some(stamp) = forwarded.retain {
            self.retain(&message, stamp);
        }
        if message.is_expired(now) {
            self.counters.messages_expired += 1;
            return;
        }
        match forwarded.audience {
            Audience::Retained => {}
            Audience::Matching(shared) => {
                let matched = self.subscriptions.matched(message.topic().as_bytes());
                self.send_to_targets(&message, Source::Broker, &matched);
                for name in shared {
                    self.send_to_shared(&message, &name);
                }
            }
            Audience::Shared(name) => self.send_to_shared(&message, &name),
        }
    }

    /// Brings a message to one member of a group here; the sender has chosen
    /// this core. If the members have left meanwhile it goes to where they are.
    fn send_to_shared(&mut self, message: &Rc<Message>, name: &SharedName) {
        let Some(id) = self.subscriptions.find_group(&name.filter, &name.name) else {
            return;
        };
        let sessions = &self.sessions;
        let limits = self.outbox_limits();
        let group = self.subscriptions.group_mut(id);
        let choice = match group.counts() {
            (_, 0) => group.choose(|_| true),
            _ => group.choose_local(|key| sessions[key].outbox.has_room(limits)),
        };
        match choice {
            Choice::Member(member) | Choice::Offline(member) => {
                self.deliver(member.session, message, &Joined::of(member.grant), Some(id));
            }
            Choice::Shard(shard) => {
                self.hand_over(shard, HandOver::ownerless(message), name.clone());
            }
            Choice::Nobody => {}
        }
    }

    fn interest_changed(&mut self, from: ShardId, change: &InterestChange) {
        if let Some(group) = self.subscriptions.apply(from, change) {
            self.offer_elsewhere(group);
        }
    }

    /// Members on another core have come, none is connected here: what waits
    /// here for the group goes there.
    fn offer_elsewhere(&mut self, id: GroupId) {
        let group = self.subscriptions.group(id);
        if group.is_served() && group.counts().0 == 0 {
            self.gather_shared(id);
        }
    }
}

//! The same state for another number of cores: a session goes to the core that
//! its client id falls to now.

use std::{collections::BTreeMap, rc::Rc};

use super::Restored;
use crate::broker::{
    durable::{MessageNumber, Record, SessionNumber, StoredDelivery},
    message::Message,
    shard::{ShardId, shard_of},
};

/// A new core's part, as it fills.
#[derive(Default)]
struct Part {
    state: Restored,
    sessions: u64,
    messages: u64,
}

/// Where the sessions of one old core have gone: core and number.
type Moved = BTreeMap<SessionNumber, (usize, SessionNumber)>;

impl Restored {
    /// Deals out what was stored for some cores to `count` cores, in their
    /// order. Sessions and messages get new numbers, so what comes of it
    /// belongs into an empty store: see [`records`](Self::records).
    pub fn redistribute(old: &[Self], count: u8) -> Vec<Self> {
        let mut parts: Vec<Part> = (0..count).map(|_| Part::default()).collect();
        for state in old {
            state.deal(&mut parts);
        }
        parts.into_iter().map(|part| part.state).collect()
    }

    fn deal(&self, parts: &mut [Part]) {
        let moved = self.deal_sessions(parts);
        for ((session, filter), subscription) in &self.subscriptions {
            if let Some((to, number)) = moved.get(session) {
                let mut subscription = subscription.clone();
                subscription.session = *number;
                let key = (*number, filter.clone());
                parts[*to].state.subscriptions.insert(key, subscription);
            }
        }
        self.deal_queues(parts, &moved);
        for (session, position) in &self.sent {
            if let Some((to, number)) = moved.get(session) {
                parts[*to].state.sent.insert(*number, *position);
            }
        }
        for (session, packet_id) in &self.received {
            if let Some((to, number)) = moved.get(session) {
                parts[*to].state.received.insert((*number, *packet_id));
            }
        }
        for part in parts {
            for (topic, (stamp, message)) in &self.retained {
                let held = part.state.retained.get(topic);
                if held.is_none_or(|(held, _)| held < stamp) {
                    let retained = (*stamp, message.clone());
                    part.state.retained.insert(topic.clone(), retained);
                }
            }
        }
    }

    fn deal_sessions(&self, parts: &mut [Part]) -> Moved {
        let mut moved = Moved::new();
        let count = parts.len() as u8;
        for session in self.sessions.values() {
            let to = usize::from(shard_of(&session.client_id, count).0);
            parts[to].sessions += 1;
            let number = SessionNumber(parts[to].sessions);
            moved.insert(session.number, (to, number));
            let mut session = session.clone();
            session.number = number;
            parts[to].state.sessions.insert(number, session);
        }
        moved
    }

    fn deal_queues(&self, parts: &mut [Part], moved: &Moved) {
        // A message in the queues of sessions that part is copied.
        let mut copies: BTreeMap<(MessageNumber, usize), MessageNumber> = BTreeMap::new();
        for ((session, position), entry) in &self.queue {
            let Some((to, number)) = moved.get(session) else {
                continue;
            };
            let part = &mut parts[*to];
            let delivery = match entry {
                None => None,
                Some(stored) => {
                    let Some(message) = self.messages.get(&stored.message) else {
                        continue;
                    };
                    let copy = *copies.entry((stored.message, *to)).or_insert_with(|| {
                        part.messages += 1;
                        let copy = MessageNumber(part.messages);
                        part.state.messages.insert(copy, message.clone());
                        copy
                    });
                    Some(StoredDelivery {
                        session: *number,
                        message: copy,
                        ..stored.clone()
                    })
                }
            };
            part.state.queue.insert((*number, *position), delivery);
        }
    }

    /// The records that an empty store must be given for it to have this state,
    /// as the core `shard` of `count` keeps it.
    pub fn records(&self, shard: ShardId, count: u8) -> Vec<Record> {
        let mut records = Vec::new();
        let sessions = self.sessions.values().cloned();
        records.extend(sessions.map(|session| Record::SessionPut(Box::new(session))));
        let subscriptions = self.subscriptions.values().cloned();
        records.extend(subscriptions.map(|one| Record::SubscriptionPut(Box::new(one))));
        records.extend(self.messages.iter().map(|(number, parts)| {
            Record::MessagePut(*number, Rc::new(Message::new(parts.clone())))
        }));
        records.extend(
            self.queue
                .iter()
                .map(|((session, position), entry)| match entry {
                    None => Record::QueueReleased(*session, *position),
                    Some(delivery) => Record::QueuePut(delivery.clone()),
                }),
        );
        let sent = self.sent.iter();
        records.extend(sent.map(|(session, at)| Record::QueueSent(*session, *at)));
        let received = self.received.iter();
        records.extend(received.map(|(session, id)| Record::ReceivedPut(*session, *id)));
        let mine = self
            .retained
            .iter()
            .filter(|(topic, _)| shard_of(topic, count) == shard);
        records.extend(mine.map(|(_, (stamp, parts))| {
            Record::RetainedPut(*stamp, Rc::new(Message::new(parts.clone())))
        }));
        records
    }
}

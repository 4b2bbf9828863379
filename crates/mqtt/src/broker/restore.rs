//! Building a core from what the store has kept.

mod kept;
mod redistribute;

use std::{collections::BTreeMap, rc::Rc};

pub use self::kept::Restored;
use super::{
    Broker,
    crossing::SharedName,
    durable::{MessageNumber, Record, SessionNumber, StoredDelivery, StoredSession},
    grant::Identifiers,
    message::Message,
    outbox::{Delivery, Inflight, RetainFlag, Stage},
    session::{Kept, Session, SessionKey},
    time::Moment,
    will::Will,
};

/// Positions left out after a restart. Messages may have been sent whose
/// records the store never got; a client that awaits PUBREL for one would take
/// a new message under the same identifier for a repetition.
const RESTART_GAP: u64 = super::limits::INFLIGHT_MAX as u64;

/// How soon after a restart the will of a client that has not come back may be published.
const WILL_DELAY_AFTER_RESTART_SECS: u32 = 1;

impl Broker {
    /// Takes over what the store has kept of this core's sessions, and the
    /// retained messages of all cores, before anything else happens. Nobody is
    /// connected: whoever was has lost its connection `now`. What the state no
    /// longer needs is written as dropped.
    ///
    /// If the number of cores has changed, [`Restored::redistribute`] comes first.
    pub fn restore(&mut self, now: Moment, restored: Restored) {
        let mut keys = BTreeMap::new();
        for stored in restored.sessions.values() {
            keys.insert(stored.number, self.restore_session(stored));
        }
        for subscription in restored.subscriptions.values() {
            if let Some(key) = keys.get(&subscription.session) {
                self.resubscribe(*key, subscription);
            }
        }
        self.restore_queues(&restored, &keys);
        for (session, packet_id) in &restored.received {
            if let Some(key) = keys.get(session) {
                self.sessions[*key].inbox.insert(*packet_id);
            }
        }
        for (stamp, message) in restored.retained.values() {
            self.stamps.saw(*stamp);
            let message = Rc::new(Message::new(message.clone()));
            let bytes = message.bytes();
            let topic = message.topic().clone();
            self.retained.set(topic.as_str(), *stamp, message, bytes);
        }
        for key in keys.into_values() {
            self.delay_will(now, key);
            if restored.was_connected(self.sessions[key].number) {
                self.left(now, key);
            } else {
                self.arm(key);
            }
        }
        for ((from, run), number) in restored.taken {
            if from.0 < self.crossing.count() {
                self.recall.note(from, run, number);
            }
        }
        self.settle();
        self.tell_recalled();
    }

    /// What subscribers of other cores want has yet to be heard; until then the will would be
    /// brought to nobody there.
    fn delay_will(&mut self, now: Moment, key: SessionKey) {
        if self.crossing.count() > 1
            && let Some(will) = &mut self.sessions[key].will
        {
            let soonest = now.plus_secs(WILL_DELAY_AFTER_RESTART_SECS);
            will.delay_secs = will.delay_secs.max(WILL_DELAY_AFTER_RESTART_SECS);
            will.due = will.due.map(|due| due.max(soonest));
        }
    }

    fn restore_session(&mut self, stored: &StoredSession) -> SessionKey {
        self.journal.saw_session(stored.number);
        let mut session = Session::new((*stored.client_id).into(), stored.number);
        session.expiry_secs = stored.expiry_secs;
        session.ends_at = stored.ends_at;
        session.kept = Kept::InStore;
        session.will = stored.will.as_ref().map(|will| {
            Box::new(Will {
                message: Rc::clone(&will.message),
                delay_secs: will.delay_secs,
                expiry_secs: will.expiry_secs,
                due: will.due,
            })
        });
        self.sessions.insert(session)
    }

    fn restore_queues(&mut self, restored: &Restored, keys: &BTreeMap<SessionNumber, SessionKey>) {
        let mut messages: BTreeMap<MessageNumber, Rc<Message>> = BTreeMap::new();
        for (number, parts) in &restored.messages {
            self.journal.saw_message(*number);
            messages.insert(*number, Rc::new(Message::new(parts.clone())));
        }
        for ((session, position), entry) in &restored.queue {
            let Some(key) = keys.get(session) else {
                continue;
            };
            let stage = match entry {
                None => Stage::Released,
                Some(stored) => match messages.get(&stored.message) {
                    Some(message) => Stage::Sent(self.restored_delivery(stored, message)),
                    None => continue,
                },
            };
            let sent_through = restored.sent_through(*session);
            let inflight = Inflight {
                position: *position,
                stage,
            };
            self.sessions[*key].outbox.restore(inflight, sent_through);
        }
        let window = usize::from(self.limits.inflight);
        for (session, key) in keys {
            let session_state = &mut self.sessions[*key];
            let sent = restored.sent_through(*session);
            session_state.sent_stored = sent;
            if restored.was_connected(*session) {
                session_state.outbox.may_have_sent(window);
            }
            session_state.outbox.continue_at(sent);
            session_state.outbox.skip(RESTART_GAP);
            let restored = session_state.outbox.next_position();
            session_state.outbox.kept(restored);
        }
        for (number, message) in messages {
            if Rc::strong_count(&message) == 1 {
                self.journal.write(Record::MessageDrop(number));
            }
        }
    }

    fn restored_delivery(&mut self, stored: &StoredDelivery, message: &Rc<Message>) -> Delivery {
        if message.stored.refer().is_none() {
            message.stored.begin(stored.message);
        }
        let group = stored
            .shared
            .as_ref()
            .and_then(|SharedName { filter, name }| self.subscriptions.find_group(filter, name));
        Delivery {
            message: Rc::clone(message),
            identifiers: Identifiers::all(&stored.identifiers),
            position: stored.position,
            group,
            qos: stored.qos,
            retain: match stored.retain {
                true => RetainFlag::Set,
                false => RetainFlag::Clear,
            },
        }
    }
}

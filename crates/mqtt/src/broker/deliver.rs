//! Putting one message into one session's outbox: the step that is taken once
//! for every subscriber, so it allocates nothing and asks little.

use std::rc::Rc;

use super::{
    Broker,
    counters::Counters,
    durable::{SessionNumber, Token},
    grant::Joined,
    link::{Phase, Told},
    message::Message,
    outbox::{Delivery, Full, OutboxLimits, Position, Queued},
    output::Output,
    session::SessionKey,
    subscriptions::GroupId,
};
use crate::codec::QualityOfService;

/// A message of QoS 2 that is not sent before the store has it.
#[derive(Debug)]
pub(super) struct Unsent {
    session: SessionKey,
    number: SessionNumber,
    position: Position,
    after: Token,
}

impl Broker {
    pub(super) fn outbox_limits(&self) -> OutboxLimits {
        OutboxLimits {
            messages: self.limits.queue_messages,
            bytes: self.limits.queue_bytes,
            policy: self.limits.queue_drop,
        }
    }

    /// Queues a message that is forwarded as it is published.
    pub(super) fn deliver(
        &mut self,
        key: SessionKey,
        message: &Rc<Message>,
        joined: &Joined,
        group: Option<GroupId>,
    ) {
        let delivery = Delivery {
            message: Rc::clone(message),
            identifiers: joined.identifiers.clone(),
            position: Position::default(),
            group,
            qos: Self::delivery_qos(message, joined),
            retain: Self::retain_flag(message, joined),
        };
        self.enqueue(key, delivery);
    }

    /// Queues a delivery, and tells the connection, if there is one.
    pub(super) fn enqueue(&mut self, key: SessionKey, delivery: Delivery) {
        let limits = self.outbox_limits();
        let session = &mut self.sessions[key];
        if delivery.qos == QualityOfService::AtMostOnce {
            // What is sent at most once is not kept for who is not there.
            if session.link.is_none() {
                return;
            }
            if let Queued::Dropped(full, _) = session.outbox.push_instant(delivery, limits) {
                count(&mut self.counters, full);
            }
            self.wake(key);
            return;
        }
        let stored = session.is_stored();
        if !session.outbox.has_room(limits) {
            for expired in session.outbox.take_expired(self.now) {
                self.counters.messages_expired += 1;
                if stored {
                    self.journal.unqueued(session.number, &expired);
                }
            }
        }
        let position = session.outbox.next_position();
        let queued = session.outbox.push_waiting(delivery, limits);
        let taken = session.outbox.next_position() > position;
        if let Queued::Dropped(full, dropped) = &queued {
            count(&mut self.counters, *full);
            // The one that waited longest was in the store; the new one was not.
            if stored && taken {
                self.journal.unqueued(session.number, dropped);
            }
        }
        match stored {
            true if taken => self.store_last_queued(key),
            true => {}
            false => session.outbox.kept(Position(position.0 + 1)),
        }
        self.wake(key);
    }

    fn store_last_queued(&mut self, key: SessionKey) {
        let session = &self.sessions[key];
        if let Some(delivery) = session.outbox.waiting().back() {
            let shared = delivery.group.map(|group| self.shared_name(group));
            self.journal.queued(session.number, delivery, shared);
            if delivery.qos == QualityOfService::ExactlyOnce {
                self.unsent.push_back(Unsent {
                    session: key,
                    number: session.number,
                    position: delivery.position,
                    after: self.journal.open(),
                });
            }
        }
    }

    /// Lets messages go that the store has by now.
    pub(super) fn send_committed(&mut self) {
        let committed = self.journal.committed();
        while let Some(unsent) = self.unsent.pop_front_if(|unsent| unsent.after <= committed) {
            let session = self.sessions.get_mut(unsent.session);
            let Some(session) = session.filter(|session| session.number == unsent.number) else {
                continue;
            };
            session.outbox.kept(Position(unsent.position.0 + 1));
            self.wake(unsent.session);
        }
    }

    /// Says once that a connection has something to be sent.
    pub(super) fn wake(&mut self, key: SessionKey) {
        if let Some(link) = &mut self.sessions[key].link
            && link.told == Told::No
            && link.phase != Phase::Accepted
        {
            link.told = Told::Yes;
            self.outputs.push_back(Output::Ready(link.connection));
        }
    }
}

fn count(counters: &mut Counters, full: Full) {
    match full {
        Full::Messages => counters.queue_messages_dropped += 1,
        Full::Bytes => counters.queue_bytes_dropped += 1,
    }
}

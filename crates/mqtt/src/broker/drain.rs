//! What a connection is to be sent, one packet at a time, taken as fast as its
//! socket takes it: nothing is encoded for a client that does not read.

mod publish_out;

use std::{ops::ControlFlow, rc::Rc};

pub use self::publish_out::PublishOut;
use super::{
    Broker, ConnectionId,
    connect::Slot,
    link::{Phase, Told},
    outbox::{Delivery, Next, Position, RetainFlag, Stage},
    replay::REPLAY_QUEUE,
    reply::Reply,
    session::SessionKey,
    time::Moment,
};
use crate::{
    broker::grant::Joined,
    codec::{Acknowledgement, Packet, ProtocolVersion, QualityOfService, ReasonCode},
};

/// A step towards a client.
#[derive(Debug)]
pub enum Outgoing {
    /// Send this; never PUBLISH.
    Packet(Packet),
    /// Send this PUBLISH.
    Publish(PublishOut),
    /// Close the connection once all before this is written.
    Close,
}

impl Broker {
    /// The next step for a connection; none until it is named in
    /// [`Output::Ready`](super::Output::Ready) again.
    pub fn next_packet(&mut self, now: Moment, connection: ConnectionId) -> Option<Outgoing> {
        let next = self.next_outgoing(now, connection);
        if let Some(Outgoing::Packet(_) | Outgoing::Publish(_)) = next {
            self.counters.packets_sent += 1;
        }
        next
    }

    fn next_outgoing(&mut self, now: Moment, connection: ConnectionId) -> Option<Outgoing> {
        match self.connections.get_mut(connection.0 as usize)? {
            Slot::Free => None,
            Slot::Authenticating(begun) => {
                let reply = (!begun.replies.is_empty()).then(|| begun.replies.remove(0));
                reply.map(|reply| Outgoing::Packet(reply.into_packet()))
            }
            Slot::Leaving(farewell) => match farewell.last.take() {
                Some(last) if last.bytes_max() <= farewell.packet_bytes_max as usize => {
                    Some(Outgoing::Packet(last.into_packet()))
                }
                _ => Some(Outgoing::Close),
            },
            Slot::Session(key) => {
                let key = *key;
                self.next_of_session(now, key, connection)
            }
        }
    }

    fn next_of_session(
        &mut self,
        now: Moment,
        key: SessionKey,
        connection: ConnectionId,
    ) -> Option<Outgoing> {
        loop {
            let session = &mut self.sessions[key];
            let link = session.link.as_mut()?;
            if let Some(reply) = link.replies.pop() {
                if link.version == ProtocolVersion::V311 && reply.refuses_to_keep() {
                    // It has no word for that: its acknowledgement says success (3.3.5-2).
                    self.drop_link(now, key, ReasonCode::QuotaExceeded);
                    self.settle();
                    return Some(Outgoing::Close);
                }
                let welcomes = matches!(reply, Reply::ConnAck(_));
                if reply.bytes_max() <= link.packet_bytes_max as usize {
                    if welcomes && link.phase == Phase::Accepted {
                        link.phase = Phase::Open;
                    }
                    return Some(Outgoing::Packet(reply.into_packet()));
                }
                self.counters.packets_oversize += 1;
                if welcomes {
                    // Who cannot take even this cannot be served.
                    self.drop_link(now, key, ReasonCode::PacketTooLarge);
                    self.settle();
                    return Some(Outgoing::Close);
                }
                continue;
            }
            if link.phase == Phase::Accepted {
                break;
            }
            let Some(next) = session.outbox.next(link.inflight_max) else {
                if self.refill(now, key) {
                    continue;
                }
                break;
            };
            if let Some(packet) = self.take(now, key, next) {
                return Some(packet);
            }
        }
        self.pause(now, key, connection)
    }

    /// There is nothing more to be sent for now.
    fn pause(
        &mut self,
        now: Moment,
        key: SessionKey,
        connection: ConnectionId,
    ) -> Option<Outgoing> {
        self.store_sent(key);
        let link = self.sessions[key].link.as_mut()?;
        link.told = Told::No;
        let Phase::Leaving(reason) = link.phase else {
            return None;
        };
        if link.replies.is_holding() {
            return None;
        }
        // All that was queued is on its way: now the client is told to go.
        self.drop_link(now, key, reason);
        self.settle();
        self.next_outgoing(now, connection)
    }

    /// Takes one message out of the outbox; none if it is not to be sent after all.
    fn take(&mut self, now: Moment, key: SessionKey, next: Next) -> Option<Outgoing> {
        let outbox = &mut self.sessions[key].outbox;
        let publish = match next {
            Next::Again(_) => {
                let entry = outbox.send_again()?;
                let packet_id = entry.packet_id();
                match &entry.stage {
                    Stage::Released => {
                        let pubrel = Acknowledgement::success(packet_id);
                        return Some(Outgoing::Packet(Packet::PublishRelease(pubrel)));
                    }
                    Stage::Sent(delivery) => PublishOut::again(delivery),
                }
            }
            Next::Instant => {
                let delivery = outbox.pop_instant()?;
                if self.is_expired(now, &delivery) {
                    return None;
                }
                PublishOut::first(&delivery)
            }
            Next::Waiting => {
                let first = outbox.first_waiting()?;
                if first.message.is_expired(now) {
                    self.counters.messages_expired += 1;
                    self.give_up_waiting(key);
                    return None;
                }
                PublishOut::first(first)
            }
        };
        let publish = self.address(now, key, publish, next)?;
        if next == Next::Waiting {
            self.sessions[key].outbox.send_waiting();
        }
        self.counters.publishes_sent += 1;
        match publish.qos() {
            QualityOfService::AtMostOnce => {}
            QualityOfService::AtLeastOnce => self.counters.publishes_sent_qos1 += 1,
            QualityOfService::ExactlyOnce => self.counters.publishes_sent_qos2 += 1,
        }
        self.counters.payload_bytes_sent += publish.message().payload().len() as u64;
        Some(Outgoing::Publish(publish))
    }

    fn is_expired(&mut self, now: Moment, delivery: &Delivery) -> bool {
        let expired = delivery.message.is_expired(now);
        self.counters.messages_expired += u64::from(expired);
        expired
    }

    /// Completes a PUBLISH with what depends on the connection; none if the
    /// client does not take one of its size, and then its delivery is as good
    /// as complete (3.1.2-25).
    fn address(
        &mut self,
        now: Moment,
        key: SessionKey,
        mut publish: PublishOut,
        next: Next,
    ) -> Option<PublishOut> {
        let session = &mut self.sessions[key];
        let link = session.link.as_mut()?;
        publish.set_expiry(now);
        if let Some(aliases) = &mut link.aliases_out {
            publish.set_form(aliases.form(publish.message().topic()));
        }
        if publish.encoded_len(link.version) <= link.packet_bytes_max as usize {
            return Some(publish);
        }
        self.counters.packets_oversize += 1;
        if let Some(aliases) = &mut link.aliases_out
            && publish.sets_alias()
        {
            aliases.forget(publish.message().topic());
        }
        match next {
            Next::Waiting => self.give_up_waiting(key),
            Next::Again(place) => {
                let entry = session.outbox.complete(place);
                if let Some(Stage::Sent(delivery)) = entry.map(|entry| entry.stage)
                    && session.is_stored()
                {
                    self.journal.unqueued(session.number, &delivery);
                }
            }
            Next::Instant => {}
        }
        None
    }

    /// Drops the message that waits first.
    fn give_up_waiting(&mut self, key: SessionKey) {
        let session = &mut self.sessions[key];
        if let Some(delivery) = session.outbox.pop_waiting()
            && session.is_stored()
        {
            self.journal.unqueued(session.number, &delivery);
        }
    }

    /// Queues more retained messages for new subscriptions, if few messages
    /// wait; returns whether any were.
    fn refill(&mut self, now: Moment, key: SessionKey) -> bool {
        let session = &mut self.sessions[key];
        if session.outbox.queued() >= REPLAY_QUEUE {
            return false;
        }
        let Some(mut replay) = session.replays.pop_front() else {
            return false;
        };
        let grant = replay.grant;
        let mut found = Vec::with_capacity(REPLAY_QUEUE);
        self.retained
            .matching(&replay.filter, replay.after.as_deref(), |_, message| {
                found.push(Rc::clone(message));
                match found.len() < REPLAY_QUEUE {
                    true => ControlFlow::Continue(()),
                    false => ControlFlow::Break(()),
                }
            });
        if let (REPLAY_QUEUE, Some(last)) = (found.len(), found.last()) {
            replay.after = Some(last.topic().as_str().into());
            self.sessions[key].replays.push_front(replay);
        }
        let joined = Joined::of(grant);
        for message in found.iter().filter(|message| !message.is_expired(now)) {
            let delivery = Delivery {
                message: Rc::clone(message),
                identifiers: joined.identifiers.clone(),
                position: Position::default(),
                group: None,
                qos: Self::delivery_qos(message, &joined),
                retain: RetainFlag::Set,
            };
            self.enqueue(key, delivery);
        }
        true
    }
}

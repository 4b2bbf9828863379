//! The end of a connection, of a session, and what a will does then.

use super::{
    Broker, ConnectionId,
    connect::{Farewell, Slot},
    draft::Draft,
    durable::Record,
    hand_over,
    link::{Link, Phase},
    outbox::Stage,
    output::Output,
    reply::Reply,
    route::Source,
    session::{EXPIRES_NEVER, Kept, SessionKey},
    time::Moment,
};
use crate::codec::{ProtocolVersion, QualityOfService, ReasonCode};

impl Broker {
    /// The session of a connection that is still taking part.
    pub(super) fn session_of(&self, connection: ConnectionId) -> Option<SessionKey> {
        match self.connections.get(connection.0 as usize) {
            Some(Slot::Session(key)) => Some(*key),
            _ => None,
        }
    }

    pub(super) fn set_slot(&mut self, connection: ConnectionId, slot: Slot) -> Slot {
        let place = connection.0 as usize;
        if self.connections.len() <= place {
            self.connections.resize_with(place + 1, || Slot::Free);
        }
        let is_open = !matches!(slot, Slot::Free);
        let before = std::mem::replace(&mut self.connections[place], slot);
        let was_open = !matches!(before, Slot::Free);
        self.open = self.open + usize::from(is_open) - usize::from(was_open);
        before
    }

    /// The connection is gone.
    pub(super) fn closed(&mut self, now: Moment, connection: ConnectionId) {
        match self.set_slot(connection, Slot::Free) {
            Slot::Session(key) => {
                self.detach(key);
                self.left(now, key);
            }
            Slot::Authenticating(mut begun) => {
                self.timers.arm(
                    super::TimerKey::Authentication(connection),
                    &mut begun.armed,
                    None,
                );
            }
            Slot::Free | Slot::Leaving(_) => {}
        }
    }

    /// The client broke the protocol.
    pub(super) fn broken(&mut self, now: Moment, connection: ConnectionId, reason: ReasonCode) {
        self.counters.protocol_errors += 1;
        if reason == ReasonCode::PacketTooLarge {
            self.counters.packet_bytes_exceeded += 1;
        }
        match self.session_of(connection) {
            Some(key) => self.drop_link(now, key, reason),
            None => self.refuse_begun(connection, reason),
        }
    }

    /// Sends a client away at once: DISCONNECT, and nothing else that waits.
    pub(super) fn drop_link(&mut self, now: Moment, key: SessionKey, reason: ReasonCode) {
        if let Some(link) = self.detach(key) {
            self.say_farewell(&link, reason);
        }
        self.left(now, key);
    }

    /// Leaves a connection with nothing but its last packet. MQTT 3.1.1 has
    /// none for it (3.14), and before CONNACK none may be sent (3.14.0-1).
    pub(super) fn say_farewell(&mut self, link: &Link, reason: ReasonCode) {
        let speaks = link.version == ProtocolVersion::V5 && link.phase != Phase::Accepted;
        let last = speaks.then_some(Reply::Disconnect(reason));
        let farewell = Farewell {
            packet_bytes_max: link.packet_bytes_max,
            last,
        };
        self.set_slot(link.connection, Slot::Leaving(farewell));
        self.tell_connection(link.connection);
    }

    /// Takes the connection from a session.
    pub(super) fn detach(&mut self, key: SessionKey) -> Option<Link> {
        let session = &mut self.sessions[key];
        let link = session.link.take()?;
        self.connected -= 1;
        session.outbox.disconnect();
        self.store_sent(key);
        for at in 0..self.sessions[key].groups.len() {
            let group = self.sessions[key].groups[at];
            self.subscriptions.set_offline(group, key);
        }
        Some(link)
    }

    /// A session has lost its connection: its will and its end come near.
    pub(super) fn left(&mut self, now: Moment, key: SessionKey) {
        let session = &mut self.sessions[key];
        session.ends_at = match session.expiry_secs {
            EXPIRES_NEVER => None,
            secs => Some(now.plus_secs(secs)),
        };
        let ends_at = session.ends_at;
        if let Some(will) = &mut session.will {
            // The will is due at the end of the session at the latest (3.1.3.2.2).
            let due = now.plus_secs(will.delay_secs);
            will.due = Some(ends_at.map_or(due, |ends| due.min(ends)));
        }
        if session.expiry_secs == 0 {
            self.end_session(now, key);
            return;
        }
        if session
            .will
            .as_ref()
            .and_then(|will| will.due)
            .is_some_and(|due| due <= now)
        {
            self.publish_will(now, key);
        }
        self.pass_on_shared(key);
        self.store_session(key);
        self.arm(key);
    }

    /// Publishes the will of a session and forgets it (3.1.2-8, 3.1.2-10).
    pub(super) fn publish_will(&mut self, now: Moment, key: SessionKey) {
        if let Some(will) = self.sessions[key].will.take() {
            self.counters.wills_published += 1;
            let mut draft = Draft::Made(will.published(now));
            // One of QoS 0 may be lost on its way, and would be waited for.
            let stored = self.sessions[key].is_stored();
            let is_joint = stored && draft.qos() != QualityOfService::AtMostOnce;
            self.jointly(is_joint, |broker| {
                let reached = broker.route(now, &mut draft, Source::Will);
                broker.store_session(key);
                reached.shards.iter().map(|(shard, _)| *shard).collect()
            });
        }
    }

    /// Ends a session that has no connection, and all that is its.
    pub(super) fn end_session(&mut self, now: Moment, key: SessionKey) {
        if self.sessions[key].will.is_some() {
            self.publish_will(now, key);
        }
        self.end_subscriptions(key);
        self.own.retain(|own| *own != key);
        let session = &mut self.sessions[key];
        let mut armed = session.armed.take();
        self.timers
            .arm(super::TimerKey::Session(key), &mut armed, None);
        let was_stored = self.sessions[key].is_stored();
        self.jointly(was_stored, |broker| {
            broker.unstore(key);
            let session = broker.sessions.remove(key);
            let unfinished = hand_over::unfinished(session).into_iter();
            let places = unfinished
                .filter_map(|(group, delivery)| broker.redeliver(group, &delivery.message));
            places.collect()
        });
    }

    /// Takes a session that is no longer to be kept out of the store.
    pub(super) fn unstore(&mut self, key: SessionKey) {
        let session = &mut self.sessions[key];
        if !session.is_stored() {
            return;
        }
        session.kept = Kept::InMemory;
        self.journal.write(Record::SessionDrop(session.number));
        for delivery in session.outbox.waiting() {
            self.journal.let_go(&delivery.message);
        }
        for entry in session.outbox.inflight() {
            if let Stage::Sent(delivery) = &entry.stage {
                self.journal.let_go(&delivery.message);
            }
        }
    }

    fn end_subscriptions(&mut self, key: SessionKey) {
        let subscriptions = std::mem::take(&mut self.sessions[key].subscriptions);
        for (filter, position) in subscriptions {
            self.remove_subscriber(filter, position);
        }
        for group in std::mem::take(&mut self.sessions[key].groups) {
            self.subscriptions.leave(group, key);
        }
    }

    /// Takes a subscriber off a filter and tells the session that moved into
    /// its place where it stands now.
    pub(super) fn remove_subscriber(
        &mut self,
        filter: super::topics::FilterId,
        position: super::subscriptions::Position,
    ) {
        if let Some(moved) = self.subscriptions.remove(filter, position) {
            self.sessions[moved.session]
                .subscriptions
                .insert(filter, moved.to);
        }
    }

    /// Brings the store in line with the session itself.
    pub(super) fn store_session(&mut self, key: SessionKey) {
        let session = &mut self.sessions[key];
        if !session.is_persistent() {
            self.unstore(key);
        } else if self.journal.is_on() {
            session.kept = Kept::InStore;
            self.journal
                .write(Record::SessionPut(Box::new(session.stored())));
        }
    }

    /// Lets the store know how far messages have been sent.
    pub(super) fn store_sent(&mut self, key: SessionKey) {
        let session = &mut self.sessions[key];
        let Some(last) = session.outbox.inflight().back() else {
            return;
        };
        let through = super::Position(last.position.0 + 1);
        if through > session.sent_stored && session.is_stored() {
            session.sent_stored = through;
            self.journal
                .write_aside(Record::QueueSent(session.number, through));
        }
    }

    /// Sends the client of a name away.
    pub(super) fn kick(&mut self, now: Moment, client_id: &str, reason: ReasonCode) {
        if let Some(key) = self.sessions.find(client_id)
            && self.sessions[key].link.is_some()
        {
            self.drop_link(now, key, reason);
        }
    }

    pub(super) fn say_stopped(&mut self) {
        self.outputs.push_back(Output::Stopped);
    }
}

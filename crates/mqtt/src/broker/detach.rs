//! The end of a connection, of a session, and what a will does then.

use super::{
    Broker, ConnectionId,
    connect::{Farewell, Slot},
    crossing::Audience,
    durable::Record,
    grant::Joined,
    link::{Link, Phase},
    outbox::{Delivery, Stage},
    output::Output,
    reply::Reply,
    route::Source,
    session::{EXPIRES_NEVER, Kept, Session, SessionKey},
    shared::Choice,
    subscriptions::GroupId,
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
            self.route(now, &will.published(now), Source::Broker);
            self.store_session(key);
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
        self.unstore(key);
        let session = self.sessions.remove(key);
        for (group, delivery) in unfinished_shared(session) {
            self.redeliver(group, delivery);
        }
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
    pub(super) fn take_back(&mut self, key: SessionKey, group: GroupId) {
        let session = &mut self.sessions[key];
        let taken = session.outbox.take_shared(group);
        let (number, stored) = (session.number, session.is_stored());
        for delivery in taken {
            // The new place is written before the old one is removed.
            self.redeliver(group, delivery.clone());
            if stored {
                self.journal.unqueued(number, &delivery);
            }
        }
    }

    /// Gives a message of a shared subscription to another member (4.8.2).
    pub(super) fn redeliver(&mut self, id: GroupId, delivery: Delivery) {
        if !self.subscriptions.has_group(id) {
            return;
        }
        let sessions = &self.sessions;
        let limits = self.outbox_limits();
        let group = self.subscriptions.group_mut(id);
        let choice = group.choose(|key| sessions[key].outbox.has_room(limits));
        match choice {
            Choice::Member(member) | Choice::Offline(member) => {
                self.counters.shared_redelivered += 1;
                let joined = Joined::of(member.grant);
                self.deliver(member.session, &delivery.message, &joined, Some(id));
            }
            Choice::Shard(shard) => {
                self.counters.shared_redelivered += 1;
                let name = self.shared_name(id);
                self.forward(shard, &delivery.message, Audience::Shared(name), None);
            }
            Choice::Nobody => {}
        }
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

/// What an ended session leaves to other members of its groups: what was not
/// sent, and what was sent at QoS 1 and not acknowledged. What was sent at
/// QoS 2 nobody else may have (4.8.2-5).
fn unfinished_shared(mut session: Session) -> Vec<(GroupId, Delivery)> {
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

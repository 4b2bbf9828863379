//! From CONNECT to CONNACK (section 3.1.4).

mod arrival;

use std::rc::Rc;

use super::{
    Broker, ConnectionId,
    access::{Access, Client, Identity},
    aliases::{AliasesIn, AliasesOut},
    auth::{Exchange, Step},
    durable::Token,
    expire::TimerKey,
    held::{Replies, Until},
    input::{ConnectOrigin, StoreState},
    limits::INFLIGHT_MAX,
    link::{Link, LinkAuth, Phase, Told},
    rate::Bucket,
    reply::{Granted, Reply},
    session::{Session, SessionKey},
    shard,
    time::Moment,
};
use crate::codec::{Connect, ProtocolVersion, ReasonCode, Text};

pub(super) use self::arrival::Arrival;

/// Topic levels and the like are checked before anything is changed.
type Refusal = ReasonCode;

/// What a connection number stands for.
#[derive(Debug)]
pub(super) enum Slot {
    Free,
    /// The connection of a session.
    Session(SessionKey),
    /// An enhanced authentication is under way, CONNACK is not sent yet.
    Authenticating(Box<Begun>),
    /// It has no session any more and is to be closed after its last packet.
    Leaving(Farewell),
}

/// The end of a connection.
#[derive(Debug)]
pub(super) struct Farewell {
    pub(super) packet_bytes_max: u32,
    pub(super) last: Option<Reply>,
}

/// A connection that began with an enhanced authentication.
#[derive(Debug)]
pub(super) struct Begun {
    arrival: Arrival,
    exchange: Box<dyn Exchange>,
    pub(super) armed: Option<Moment>,
    /// AUTH packets to be sent.
    pub(super) replies: Vec<Reply>,
}

impl Begun {
    pub(super) fn method(&self) -> Option<&Text> {
        self.arrival.auth_method.as_ref()
    }
}

impl Broker {
    pub(super) fn connect(
        &mut self,
        now: Moment,
        connection: ConnectionId,
        packet: &Connect,
        origin: ConnectOrigin,
    ) {
        let mut arrival = Arrival::new(connection, packet, origin);
        if let Err(reason) = self.admit(now, &mut arrival) {
            self.refuse(&arrival, reason);
            return;
        }
        match arrival.auth_method.clone() {
            None => self.establish(now, arrival, Vec::new()),
            Some(method) => self.begin_auth(now, arrival, &method),
        }
    }

    /// What can be said against a CONNECT without knowing more of the client.
    fn admit(&mut self, now: Moment, arrival: &mut Arrival) -> Result<(), Refusal> {
        if self.is_closed() {
            return Err(ReasonCode::ServerUnavailable);
        }
        if !self.connect_rate.take(self.limits.connect_rate, now) {
            self.counters.connect_rate_exceeded += 1;
            return Err(ReasonCode::ConnectionRateExceeded);
        }
        if let Some(reason) = self.refusing {
            return Err(reason);
        }
        if arrival.client_id.is_empty() {
            // MQTT 3.1.1 has no way to tell the client its identifier, so such
            // a session must not be one to come back to (3.1.3-8 there).
            if arrival.version == ProtocolVersion::V311 && !arrival.clean_start {
                return Err(ReasonCode::ClientIdentifierNotValid);
            }
            arrival.client_id = self.assign_client_id();
            arrival.is_assigned = true;
        }
        if let Some(will) = &arrival.will
            && will.message.topic().levels().count() > self.limits.topic_levels
        {
            self.counters.levels_exceeded += 1;
            return Err(ReasonCode::TopicNameInvalid);
        }
        Ok(())
    }

    /// A client id that no session has and that falls to this core (3.2.2-16).
    fn assign_client_id(&mut self) -> Rc<str> {
        loop {
            self.assigned += 1;
            let id = format!("tidegate-{:016x}-{:x}", self.seed, self.assigned);
            let here = shard::shard_of(&id, self.crossing.count()) == self.crossing.me();
            if here && self.sessions.find(&id).is_none() {
                return id.into();
            }
        }
    }

    /// Answers CONNECT with a reason against it; the connection ends (3.2.2-7).
    fn refuse(&mut self, arrival: &Arrival, reason: ReasonCode) {
        self.counters.connects_refused += 1;
        let farewell = Farewell {
            packet_bytes_max: arrival.packet_bytes_max,
            last: Some(Reply::refusal(reason)),
        };
        self.set_slot(arrival.connection, Slot::Leaving(farewell));
        self.tell_connection(arrival.connection);
    }

    /// Refuses a connection that has no session yet.
    pub(super) fn refuse_begun(&mut self, connection: ConnectionId, reason: ReasonCode) {
        if !matches!(
            self.connections.get(connection.0 as usize),
            Some(Slot::Authenticating(_))
        ) {
            return;
        }
        if let Slot::Authenticating(mut begun) = self.set_slot(connection, Slot::Free) {
            self.timers
                .arm(TimerKey::Authentication(connection), &mut begun.armed, None);
            self.refuse(&begun.arrival, reason);
        }
    }

    fn begin_auth(&mut self, now: Moment, arrival: Arrival, method: &Text) {
        match self
            .authenticator
            .begin(method.as_str(), &arrival.client_id)
        {
            None => self.refuse(&arrival, ReasonCode::BadAuthenticationMethod),
            Some(exchange) => {
                let data = arrival.auth_data.clone();
                let begun = Begun {
                    arrival,
                    exchange,
                    armed: None,
                    replies: Vec::new(),
                };
                self.step_begun(now, Box::new(begun), &data);
            }
        }
    }

    /// One step of the authentication that a connection began with.
    pub(super) fn step_begun(&mut self, now: Moment, mut begun: Box<Begun>, data: &[u8]) {
        let connection = begun.arrival.connection;
        let step = begun.exchange.step(data);
        let due = matches!(step, Step::Continue(_)).then(|| now + self.limits.auth_timeout);
        self.timers
            .arm(TimerKey::Authentication(connection), &mut begun.armed, due);
        match step {
            Step::Continue(data) => {
                if let Some(method) = begun.method() {
                    let reply = Reply::auth(ReasonCode::ContinueAuthentication, method, data);
                    begun.replies.push(reply);
                }
                self.set_slot(connection, Slot::Authenticating(begun));
                self.tell_connection(connection);
            }
            Step::Done { identity, data } => {
                let mut arrival = begun.arrival;
                arrival.identity = Rc::new(Identity {
                    address: identity.address.or(arrival.identity.address),
                    ..identity
                });
                self.establish(now, arrival, data);
            }
            Step::Refuse(reason) => self.refuse(&begun.arrival, reason),
        }
    }

    pub(super) fn auth_overdue(&mut self, _now: Moment, connection: ConnectionId) {
        if let Some(Slot::Authenticating(begun)) = self.connections.get_mut(connection.0 as usize) {
            begun.armed = None;
            self.refuse_begun(connection, ReasonCode::NotAuthorized);
        }
    }

    /// The client is who it says: finds or makes its session.
    fn establish(&mut self, now: Moment, arrival: Arrival, auth_data: Vec<u8>) {
        let client = Client {
            id: &arrival.client_id,
            identity: &arrival.identity,
        };
        if !self.validity.holds(&arrival.identity) {
            // It was taken back while it was being proved.
            self.counters.proofs_revoked += 1;
            self.refuse(&arrival, ReasonCode::NotAuthorized);
            return;
        }
        let will_denied = arrival.will.as_ref().is_some_and(|will| {
            let message = &will.message;
            let access = &self.access;
            access.may_publish(
                client,
                message.topic(),
                message.qos(),
                message.is_retained(),
            ) == Access::Deny
        });
        if will_denied {
            self.refuse(&arrival, ReasonCode::NotAuthorized);
            return;
        }
        let existing = self.sessions.find(&arrival.client_id);
        if let Err(reason) = self.has_room_for(&arrival, existing) {
            self.refuse(&arrival, reason);
            return;
        }
        if let Some(key) = existing {
            self.take_over(now, key, arrival.clean_start);
        }
        // Taking over may have ended the session: it was not to outlive its
        // connection, or the client wants a new one.
        let existing = self.sessions.find(&arrival.client_id);
        let is_present = existing.is_some();
        let key = existing.unwrap_or_else(|| {
            let number = self.journal.new_session();
            self.sessions
                .insert(Session::new(Rc::clone(&arrival.client_id), number))
        });
        self.attach(now, key, arrival, is_present, auth_data);
    }

    fn has_room_for(
        &mut self,
        arrival: &Arrival,
        existing: Option<SessionKey>,
    ) -> Result<(), Refusal> {
        if existing.is_none() && self.sessions.len() >= self.limits.sessions {
            self.counters.sessions_exceeded += 1;
            return Err(ReasonCode::QuotaExceeded);
        }
        let to_store = arrival.expiry_secs > 0 && self.journal.is_on();
        if to_store && self.store == StoreState::Full {
            return Err(ReasonCode::QuotaExceeded);
        }
        Ok(())
    }

    /// Frees a session from what it was before this CONNECT.
    fn take_over(&mut self, now: Moment, key: SessionKey, clean_start: bool) {
        if let Some(link) = self.detach(key) {
            self.counters.takeovers += 1;
            self.say_farewell(&link, ReasonCode::SessionTakenOver);
            let session = &mut self.sessions[key];
            let ends = clean_start || session.expiry_secs == 0;
            // The old connection's will is sent now, unless it is to be sent
            // later, for then the client is back in time (3.1.3-9).
            if !ends
                && session
                    .will
                    .as_ref()
                    .is_some_and(|will| will.delay_secs > 0)
            {
                session.will = None;
            }
            if ends {
                self.end_session(now, key);
            } else {
                self.publish_will(now, key);
            }
            return;
        }
        // The will of a client that has come back is not sent (3.1.2-8).
        self.sessions[key].will = None;
        if clean_start {
            self.end_session(now, key);
        }
    }

    /// Gives the session its new connection, and the client its CONNACK.
    fn attach(
        &mut self,
        now: Moment,
        key: SessionKey,
        arrival: Arrival,
        is_present: bool,
        auth_data: Vec<u8>,
    ) {
        let limits = self.limits;
        let was_stored = self.sessions[key].is_stored();
        let granted_secs = arrival.expiry_secs.min(limits.session_expiry_secs);
        let keep_alive_secs = match arrival.keep_alive_secs {
            0 => limits.keep_alive_max_secs,
            secs => secs.min(limits.keep_alive_max_secs),
        };
        let keeps_asked = arrival.keep_alive_secs == 0 && limits.keep_alive_max_secs == u16::MAX;
        let keep_alive_secs = if keeps_asked || arrival.version == ProtocolVersion::V311 {
            arrival.keep_alive_secs
        } else {
            keep_alive_secs
        };
        let granted = Granted {
            session_present: is_present,
            expiry_secs: granted_secs,
            keep_alive_secs,
        };
        let ack = Reply::welcome(&arrival, &limits, granted, auth_data);
        self.counters.connects += 1;
        self.connected += 1;
        let connection = arrival.connection;
        let session = &mut self.sessions[key];
        session.expiry_secs = granted_secs;
        session.ends_at = None;
        session.identity = arrival.identity;
        session.will = arrival.will.map(Box::new);
        session.link = Some(Link {
            connection,
            version: arrival.version,
            phase: Phase::Accepted,
            told: Told::No,
            // One and a half times (3.1.2-22).
            silence_max_ms: u32::from(keep_alive_secs) * 1_500,
            last_seen: now,
            receive_maximum: match arrival.version {
                ProtocolVersion::V5 => limits.receive_maximum,
                // It knows of no such bound.
                ProtocolVersion::V311 => u16::MAX,
            },
            aliases_in_max: limits.topic_aliases_in,
            inflight_max: arrival
                .receive_maximum
                .min(limits.inflight)
                .min(INFLIGHT_MAX),
            packet_bytes_max: arrival.packet_bytes_max,
            replies: Replies::default(),
            aliases_in: AliasesIn::default(),
            aliases_out: AliasesOut::new(arrival.topic_alias_maximum.min(limits.topic_aliases_out)),
            publish_rate: Bucket::new(limits.publish_rate, now),
            auth: arrival.auth_method.map(|method| {
                Box::new(LinkAuth {
                    method,
                    exchange: None,
                })
            }),
        });
        self.set_slot(connection, Slot::Session(key));
        self.turn_to(now, connection);
        self.store_session(key);
        if is_present {
            // Whoever subscribed may have been somebody else.
            self.check_subscriptions(key);
        }
        for at in 0..self.sessions[key].groups.len() {
            let group = self.sessions[key].groups[at];
            self.subscriptions.set_online(group, key);
            self.gather_shared(group);
        }
        self.arm(key);
        // Whatever the store knows of the session it knows before the client
        // hears of it: PUBREL must not be sent before PUBREC is in the store.
        let until = Until {
            stored: match self.sessions[key].is_stored() || was_stored {
                true => self.journal.latest(),
                false => Token::default(),
            },
            ..Until::default()
        };
        self.reply(key, ack, until);
    }
}

//! What is done because time has passed.

use std::time::Duration;

use super::{
    Broker, ConnectionId, counters::Counters, durable::Record, retained::Stamp,
    session::SessionKey, time::Moment,
};
use crate::codec::ReasonCode;

/// How often retained messages are looked through for expired ones.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(60);

/// How long a removed retained message is remembered, so that an older one
/// that another core sent does not come back.
const REMOVAL_REMEMBERED: Duration = Duration::from_secs(60);

/// Timers handled for one input at most; the rest follow with the next, at once.
const TIMERS_AT_ONCE: usize = 1_000;

/// What may be due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKey {
    /// Keep-alive, will or end of a session.
    Session(SessionKey),
    /// An authentication that a connection began with.
    Authentication(ConnectionId),
    /// The next clients to be sent away.
    Shutdown,
    /// The next sessions to be asked about under new rules.
    Rules,
    /// Expired retained messages.
    Upkeep,
}

impl Broker {
    pub(super) fn expire(&mut self, now: Moment) {
        for _ in 0..TIMERS_AT_ONCE {
            let Some(due) = self.timers.pop(now) else {
                return;
            };
            match due {
                TimerKey::Session(key) => self.session_due(now, key),
                TimerKey::Authentication(connection) => self.auth_overdue(now, connection),
                TimerKey::Shutdown => self.shut_down_some(now),
                TimerKey::Rules => self.check_some(now),
                TimerKey::Upkeep => self.upkeep(now),
            }
        }
    }

    /// Sets the timer of a session to what is next to be done about it. A
    /// keep-alive that is already to be looked at earlier is left alone.
    pub(super) fn arm(&mut self, key: SessionKey) {
        let session = &mut self.sessions[key];
        let deadline = session.deadline();
        let mut armed = session.armed.take();
        self.timers
            .arm(TimerKey::Session(key), &mut armed, deadline);
        session.armed = armed;
    }

    fn session_due(&mut self, now: Moment, key: SessionKey) {
        let session = &mut self.sessions[key];
        session.armed = None;
        if let Some(link) = &session.link {
            if link.is_silent(now) {
                self.counters.keep_alive_timeouts += 1;
                self.drop_link(now, key, ReasonCode::KeepAliveTimeout);
                return;
            }
            if session.identity.expires_at.is_some_and(|it| it <= now) {
                self.counters.proofs_expired += 1;
                self.drop_link(now, key, ReasonCode::NotAuthorized);
                return;
            }
            let exchange = link.auth.as_ref().and_then(|auth| auth.exchange.as_ref());
            if exchange.is_some_and(|(_, due)| *due <= now) {
                self.drop_link(now, key, ReasonCode::NotAuthorized);
                return;
            }
        }
        if session
            .will
            .as_ref()
            .and_then(|will| will.due)
            .is_some_and(|due| due <= now)
        {
            self.publish_will(now, key);
        }
        if self.sessions[key].ends_at.is_some_and(|ends| ends <= now) {
            self.counters.sessions_expired += 1;
            self.end_session(now, key);
            return;
        }
        self.arm(key);
    }

    pub(super) fn arm_upkeep(&mut self, now: Moment) {
        let due = Some(now + UPKEEP_INTERVAL);
        self.timers
            .arm(TimerKey::Upkeep, &mut self.upkeep_armed, due);
    }

    fn upkeep(&mut self, now: Moment) {
        self.upkeep_armed = None;
        let remembered = REMOVAL_REMEMBERED.as_millis() as u64;
        let forget = Moment::from_millis(now.as_millis().saturating_sub(remembered));
        let expired = |message: &std::rc::Rc<super::Message>| message.is_expired(now);
        for topic in self.retained.purge(Stamp::at(forget), expired) {
            self.counters.messages_expired += 1;
            self.journal.write(Record::RetainedDrop(topic));
        }
        self.arm_upkeep(now);
    }

    pub(super) fn count(&mut self, counter: impl Fn(&mut Counters) -> &mut u64) {
        *counter(&mut self.counters) += 1;
    }
}

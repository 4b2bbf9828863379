//! New access rules for sessions that live: no client is disconnected, but a
//! subscription that the rules no longer allow ends, and such a will is not sent.
//!
//! New proofs: a client is disconnected if it would not be let in any longer by what it has
//! shown, since its user is gone or has another secret.

use std::{rc::Rc, time::Duration};

use super::{
    Broker,
    access::{Access, AccessRules, Validity},
    durable::Record,
    expire::TimerKey,
    session::{Session, SessionKey},
    time::Moment,
};
use crate::codec::ReasonCode;

/// Sessions asked about in one step, and the pause between steps: a million
/// sessions must not stop the core for a second.
const SESSIONS_AT_ONCE: usize = 256;
const PAUSE: Duration = Duration::from_millis(1);

impl Broker {
    pub(super) fn exchange_rules(&mut self, now: Moment, rules: Rc<dyn AccessRules>) {
        self.access = rules;
        self.check_all(now);
    }

    pub(super) fn exchange_validity(&mut self, now: Moment, validity: Rc<dyn Validity>) {
        self.validity = validity;
        self.check_all(now);
    }

    fn check_all(&mut self, now: Moment) {
        self.unchecked = self.sessions.iter().map(|(key, _)| key).collect();
        self.check_some(now);
    }

    /// Asks the proofs and the rules about the next sessions.
    pub(super) fn check_some(&mut self, now: Moment) {
        for _ in 0..SESSIONS_AT_ONCE {
            let Some(key) = self.unchecked.pop() else {
                return;
            };
            if !self.is_still_proved(key) {
                self.counters.proofs_revoked += 1;
                self.drop_link(now, key, ReasonCode::NotAuthorized);
            }
            // Who a session without a connection belongs to is not known after a restart;
            // those are asked about when they come back.
            let is_known =
                |session: &Session| session.link.is_some() || session.identity.user.is_some();
            if self.sessions.get(key).is_some_and(is_known) {
                self.check_session(key);
            }
        }
        self.timers
            .arm(TimerKey::Rules, &mut None, Some(now + PAUSE));
    }

    /// Whether who is connected to a session would be let in as that now.
    fn is_still_proved(&self, key: SessionKey) -> bool {
        let session = self.sessions.get(key);
        let connected = session.filter(|session| session.link.is_some());
        connected.is_none_or(|session| self.validity.holds(&session.identity))
    }

    /// Asks the rules about what a session has: they have changed, or who it is has.
    pub(super) fn check_session(&mut self, key: SessionKey) {
        self.check_will(key);
        self.check_subscriptions(key);
    }

    fn check_will(&mut self, key: SessionKey) {
        let session = &self.sessions[key];
        let Some(will) = &session.will else {
            return;
        };
        let message = &will.message;
        let access = self.access.may_publish(
            session.client(),
            message.topic(),
            message.qos(),
            message.is_retained(),
        );
        if access == Access::Deny {
            self.count(|counters| &mut counters.publishes_denied);
            self.sessions[key].will = None;
            if self.sessions[key].is_stored() {
                self.store_session(key);
            }
            self.arm(key);
        }
    }

    /// Ends the subscriptions that a session may not have.
    pub(super) fn check_subscriptions(&mut self, key: SessionKey) {
        if self.own.contains(&key) {
            return;
        }
        let session = &self.sessions[key];
        let access = Rc::clone(&self.access);
        let denied = |filter: &str| access.may_subscribe(session.client(), filter) == Access::Deny;
        let index = self.subscriptions.index();
        let own: Vec<_> = session
            .subscriptions
            .keys()
            .copied()
            .filter(|id| denied(index.filter(*id)))
            .collect();
        let groups: Vec<_> = session
            .groups
            .iter()
            .copied()
            .filter(|id| denied(index.filter(self.subscriptions.group(*id).filter)))
            .collect();
        let (number, stored) = (session.number, session.is_stored());
        for id in own {
            self.count(|counters| &mut counters.subscriptions_denied);
            let filter = self.subscriptions.index().filter(id).into();
            if let Some(position) = self.sessions[key].subscriptions.remove(&id) {
                self.remove_subscriber(id, position);
            }
            if stored {
                self.journal.write(Record::SubscriptionDrop(number, filter));
            }
        }
        for id in groups {
            self.count(|counters| &mut counters.subscriptions_denied);
            let filter = self.shared_name(id).as_filter();
            self.leave_group(key, id);
            if stored {
                self.journal.write(Record::SubscriptionDrop(number, filter));
            }
        }
    }
}

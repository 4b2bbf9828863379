//! New access rules for sessions that live: no client is disconnected, but a
//! subscription that the rules no longer allow ends.

use std::{rc::Rc, time::Duration};

use super::{
    Broker,
    access::{Access, AccessRules},
    durable::Record,
    expire::TimerKey,
    session::SessionKey,
    time::Moment,
};

/// Sessions asked about in one step, and the pause between steps: a million
/// sessions must not stop the core for a second.
const SESSIONS_AT_ONCE: usize = 256;
const PAUSE: Duration = Duration::from_millis(1);

impl Broker {
    pub(super) fn exchange_rules(&mut self, now: Moment, rules: Rc<dyn AccessRules>) {
        self.access = rules;
        self.unchecked = self.sessions.iter().map(|(key, _)| key).collect();
        self.check_some(now);
    }

    /// Asks the rules about the next sessions.
    pub(super) fn check_some(&mut self, now: Moment) {
        for _ in 0..SESSIONS_AT_ONCE {
            let Some(key) = self.unchecked.pop() else {
                return;
            };
            if self.sessions.get(key).is_some() {
                self.check_subscriptions(key);
            }
        }
        self.timers
            .arm(TimerKey::Rules, &mut None, Some(now + PAUSE));
    }

    fn check_subscriptions(&mut self, key: SessionKey) {
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

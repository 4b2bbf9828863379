//! From matching filters to clients: overlapping subscriptions of one client
//! become one delivery (section 3.3.4).

use super::{Matched, OwnMessages, Subscriber, Subscriptions, Target};
use crate::broker::{
    grant::{Echo, Joined},
    session::SessionKey,
    topics::FilterId,
};

impl Target {
    fn of(subscriber: &Subscriber) -> Self {
        let own = match subscriber.grant.echo {
            Echo::Local => OwnMessages::Same,
            Echo::NoLocal => OwnMessages::None,
        };
        Self {
            session: subscriber.session,
            joined: Joined::of(subscriber.grant),
            own,
        }
    }

    fn join(&mut self, subscriber: &Subscriber) {
        self.joined.join(subscriber.grant);
        self.own = match (self.own, subscriber.grant.echo) {
            (OwnMessages::Same, Echo::Local) => OwnMessages::Same,
            (OwnMessages::None, Echo::NoLocal) => OwnMessages::None,
            _ => OwnMessages::Some,
        };
    }
}

impl Subscriptions {
    pub(super) fn join_all(&self, found: &[FilterId]) -> Matched {
        let mut matched = Matched::default();
        let mut all: Vec<&Subscriber> = Vec::new();
        let mut lists = 0;
        for id in found {
            let interested = &self.interested[id.index()];
            lists += usize::from(!interested.subscribers.is_empty());
            all.extend(&interested.subscribers);
            matched.shards = matched.shards.union(interested.shards);
            matched
                .groups
                .extend(interested.groups.iter().flat_map(|groups| groups.iter()));
        }
        // One list has each client once; only several can overlap.
        if lists > 1 {
            all.sort_by_key(|subscriber| subscriber.session);
        }
        matched.targets.reserve_exact(all.len());
        for subscriber in all {
            match matched.targets.last_mut() {
                Some(last) if last.session == subscriber.session => last.join(subscriber),
                _ => matched.targets.push(Target::of(subscriber)),
            }
        }
        matched
    }

    /// What `session` gets of its own message on `topic`: its subscriptions
    /// without No Local, joined.
    pub(in crate::broker) fn own_joined(
        &self,
        topic: &[u8],
        session: SessionKey,
    ) -> Option<Joined> {
        let mut found = Vec::new();
        self.index.matches(topic, &mut found);
        let mut joined: Option<Joined> = None;
        for id in found {
            let own = self.interested[id.index()]
                .subscribers
                .iter()
                .filter(|subscriber| subscriber.session == session)
                .filter(|subscriber| subscriber.grant.echo == Echo::Local);
            for subscriber in own {
                match &mut joined {
                    Some(joined) => joined.join(subscriber.grant),
                    None => joined = Some(Joined::of(subscriber.grant)),
                }
            }
        }
        joined
    }
}

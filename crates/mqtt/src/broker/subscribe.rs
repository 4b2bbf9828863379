//! SUBSCRIBE and UNSUBSCRIBE (sections 3.8 and 3.10).

use super::{
    Broker,
    access::Access,
    durable::{Record, StoredSubscription},
    grant::{Echo, Grant, RetainAs},
    input::StoreState,
    replay::Replay,
    reply::Reply,
    session::SessionKey,
    shared::Member,
    subscriptions::Subscriber,
};
use crate::codec::{
    QualityOfService, ReasonCode, RetainHandling, Subscribe, Subscription, SubscriptionIdentifier,
    TopicFilter, Unsubscribe,
};

/// Whether the client had the subscription before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Existed {
    No,
    Yes,
}

impl Broker {
    pub(super) fn subscribe(
        &mut self,
        key: SessionKey,
        packet: &Subscribe,
    ) -> Result<(), ReasonCode> {
        let before = self.journal.mark();
        let identifier = packet.subscription_identifier;
        let mut codes = Vec::with_capacity(packet.subscriptions.len());
        for requested in &packet.subscriptions {
            codes.push(match self.subscribe_one(key, requested, identifier) {
                Ok(granted) => granted_code(granted),
                Err(Refused::Subscription(reason)) => reason,
                Err(Refused::Connection(reason)) => return Err(reason),
            });
        }
        // Before the client may count on it, all cores know that it wants it.
        let reached = self.all_know();
        let until = self.until(reached, self.journal.mark() != before);
        self.reply(key, Reply::suback(packet.packet_identifier, codes), until);
        Ok(())
    }

    fn subscribe_one(
        &mut self,
        key: SessionKey,
        requested: &Subscription,
        identifier: Option<SubscriptionIdentifier>,
    ) -> Result<QualityOfService, Refused> {
        let parsed = self.may_subscribe(key, requested)?;
        let options = requested.options;
        let grant = Grant {
            qos: options.quality_of_service,
            retain: match options.retain_as_published {
                true => RetainAs::Published,
                false => RetainAs::Cleared,
            },
            echo: match options.no_local {
                true => Echo::NoLocal,
                false => Echo::Local,
            },
            identifier,
        };
        let session = &self.sessions[key];
        if session.is_stored() {
            self.journal
                .write(Record::SubscriptionPut(Box::new(StoredSubscription {
                    session: session.number,
                    filter: requested.filter.as_str().into(),
                    qos: grant.qos,
                    no_local: options.no_local,
                    retain_as_published: options.retain_as_published,
                    identifier,
                })));
        }
        match parsed.group {
            Some(name) => self.join(key, parsed.filter, name, grant),
            None => {
                let existed = self.set_subscription(key, parsed.filter, grant);
                // 3.3.1-9 to 3.3.1-11.
                let replays = match options.retain_handling {
                    RetainHandling::Send => true,
                    RetainHandling::SendIfNew => existed == Existed::No,
                    RetainHandling::DoNotSend => false,
                };
                if replays {
                    self.begin_replay(key, parsed.filter, grant);
                }
            }
        }
        Ok(grant.qos)
    }

    /// What can be said against a subscription.
    fn may_subscribe<'a>(
        &mut self,
        key: SessionKey,
        requested: &'a Subscription,
    ) -> Result<Parts<'a>, Refused> {
        let refuse = |reason| Err(Refused::Subscription(reason));
        let parsed = Parts::of(&requested.filter);
        if parsed.group.is_some() && requested.options.no_local {
            // 3.8.3-4.
            return Err(Refused::Connection(ReasonCode::ProtocolError));
        }
        if let Some(reason) = self.refusing {
            self.counters.subscriptions_denied += 1;
            return refuse(reason);
        }
        if requested.filter.levels().count() > self.limits.filter_levels {
            self.counters.levels_exceeded += 1;
            return refuse(ReasonCode::QuotaExceeded);
        }
        let session = &self.sessions[key];
        if !self.own.contains(&key)
            && self.access.may_subscribe(session.client(), parsed.filter) == Access::Deny
        {
            self.counters.subscriptions_denied += 1;
            return refuse(ReasonCode::NotAuthorized);
        }
        if session.is_stored() && self.store == StoreState::Full {
            return refuse(ReasonCode::QuotaExceeded);
        }
        if session.subscription_count() >= self.limits.subscriptions && !self.has(key, parsed) {
            self.counters.subscriptions_exceeded += 1;
            return refuse(ReasonCode::QuotaExceeded);
        }
        Ok(parsed)
    }

    fn has(&self, key: SessionKey, parsed: Parts<'_>) -> bool {
        match parsed.group {
            Some(name) => self
                .subscriptions
                .find_member_group(parsed.filter, name, key)
                .is_some(),
            None => self
                .subscriptions
                .index()
                .get(parsed.filter.as_bytes())
                .is_some_and(|id| self.sessions[key].subscriptions.contains_key(&id)),
        }
    }

    /// Adds or replaces a subscription (3.8.4-3).
    fn set_subscription(&mut self, key: SessionKey, filter: &str, grant: Grant) -> Existed {
        if let Some(id) = self.subscriptions.index().get(filter.as_bytes())
            && let Some(position) = self.sessions[key].subscriptions.get(&id)
        {
            self.subscriptions.replace(id, *position, grant);
            return Existed::Yes;
        }
        let (id, position) = self.subscriptions.add(
            filter,
            Subscriber {
                session: key,
                grant,
            },
        );
        self.sessions[key].subscriptions.insert(id, position);
        Existed::No
    }

    fn join(&mut self, key: SessionKey, filter: &str, name: &str, grant: Grant) {
        let member = Member {
            session: key,
            grant,
        };
        let (group, before) = self.subscriptions.join(filter, name, member);
        if before.is_none() {
            self.sessions[key].groups.push(group);
        }
        if self.sessions[key].link.is_some() {
            self.gather_shared(group);
        } else {
            self.subscriptions.set_offline(group, key);
        }
    }

    /// Puts a subscription back that the store had.
    pub(super) fn resubscribe(&mut self, key: SessionKey, stored: &StoredSubscription) {
        let Ok(filter) = TopicFilter::try_from(&*stored.filter) else {
            return;
        };
        let parsed = Parts::of(&filter);
        let grant = stored.grant();
        match parsed.group {
            Some(name) => self.join(key, parsed.filter, name, grant),
            None => {
                self.set_subscription(key, parsed.filter, grant);
            }
        }
    }

    fn begin_replay(&mut self, key: SessionKey, filter: &str, grant: Grant) {
        let replays = &mut self.sessions[key].replays;
        // Asked for again, it begins again.
        replays.retain(|replay| &*replay.filter != filter);
        replays.push_back(Replay {
            filter: filter.into(),
            after: None,
            grant,
        });
        self.wake(key);
    }

    pub(super) fn unsubscribe(&mut self, key: SessionKey, packet: &Unsubscribe) {
        let before = self.journal.mark();
        let filters = packet.filters.iter();
        let codes = filters
            .map(|filter| self.unsubscribe_one(key, filter))
            .collect();
        let reached = self.all_know();
        let until = self.until(reached, self.journal.mark() != before);
        self.reply(key, Reply::unsuback(packet.packet_identifier, codes), until);
    }

    fn unsubscribe_one(&mut self, key: SessionKey, filter: &TopicFilter) -> ReasonCode {
        let parsed = Parts::of(filter);
        let existed = match parsed.group {
            Some(name) => {
                let group = self
                    .subscriptions
                    .find_member_group(parsed.filter, name, key);
                if let Some(group) = group {
                    self.leave_group(key, group);
                }
                group.is_some()
            }
            None => {
                let session = &mut self.sessions[key];
                session
                    .replays
                    .retain(|replay| &*replay.filter != parsed.filter);
                let id = self.subscriptions.index().get(parsed.filter.as_bytes());
                let held = id.and_then(|id| Some((id, session.subscriptions.remove(&id)?)));
                if let Some((id, position)) = held {
                    self.remove_subscriber(id, position);
                }
                held.is_some()
            }
        };
        if !existed {
            return ReasonCode::NoSubscriptionExisted;
        }
        let session = &self.sessions[key];
        if session.is_stored() {
            self.journal.write(Record::SubscriptionDrop(
                session.number,
                filter.as_str().into(),
            ));
        }
        ReasonCode::Success
    }
}

/// A filter taken apart.
#[derive(Debug, Clone, Copy)]
struct Parts<'a> {
    /// The name of the group that shares it.
    group: Option<&'a str>,
    /// What topics are matched with.
    filter: &'a str,
}

impl<'a> Parts<'a> {
    fn of(filter: &'a TopicFilter) -> Self {
        let text = filter.as_str();
        let pattern_at = text.len() - filter.pattern().len();
        let share = filter.share_name().map(<[u8]>::len);
        Self {
            // The name stands before the separator before the pattern.
            group: share.map(|length| &text[pattern_at - 1 - length..pattern_at - 1]),
            filter: &text[pattern_at..],
        }
    }
}

/// What a refused subscription costs.
#[derive(Debug, Clone, Copy)]
enum Refused {
    /// Itself.
    Subscription(ReasonCode),
    /// The connection.
    Connection(ReasonCode),
}

fn granted_code(qos: QualityOfService) -> ReasonCode {
    match qos {
        QualityOfService::AtMostOnce => ReasonCode::Success,
        QualityOfService::AtLeastOnce => ReasonCode::GrantedQos1,
        QualityOfService::ExactlyOnce => ReasonCode::GrantedQos2,
    }
}

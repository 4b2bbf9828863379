//! A look at sessions, subscriptions and retained messages, for whoever runs
//! the broker.

use std::{ops::ControlFlow, rc::Rc};

use super::{
    Broker, ConnectionId,
    access::Identity,
    session::{Session, SessionKey},
    time::Moment,
};
use crate::codec::{ProtocolVersion, QualityOfService};

/// A session as it stands.
#[derive(Debug, Clone, Copy)]
pub struct SessionView<'a> {
    /// Client Identifier.
    pub client_id: &'a str,
    /// Who its last connection was.
    pub identity: &'a Identity,
    /// Its connection and that one's version of MQTT; none if it has none.
    pub connection: Option<(ConnectionId, ProtocolVersion)>,
    /// Session Expiry Interval, in seconds.
    pub expiry_secs: u32,
    /// When it ends, if it is not connected and ever does.
    pub ends_at: Option<Moment>,
    /// Subscriptions.
    pub subscriptions: usize,
    /// Messages that wait to be sent.
    pub queued: usize,
    /// Bytes of those.
    pub queued_bytes: usize,
    /// Messages sent and not acknowledged.
    pub inflight: usize,
    /// Messages of QoS 2 received and not released.
    pub received: usize,
}

/// A subscription as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionView {
    /// The filter as subscribed to.
    pub filter: Box<str>,
    /// The QoS granted.
    pub qos: QualityOfService,
}

impl<'a> SessionView<'a> {
    fn of(session: &'a Session) -> Self {
        Self {
            client_id: &session.client_id,
            identity: &session.identity,
            connection: session
                .link
                .as_ref()
                .map(|link| (link.connection, link.version)),
            expiry_secs: session.expiry_secs,
            ends_at: session.ends_at,
            subscriptions: session.subscription_count(),
            queued: session.outbox.queued(),
            queued_bytes: session.outbox.queued_bytes(),
            inflight: session.outbox.inflight().len(),
            received: session.inbox.len(),
        }
    }
}

impl Broker {
    /// All sessions, in no promised order.
    pub fn sessions(&self) -> impl Iterator<Item = SessionView<'_>> {
        self.sessions
            .iter()
            .map(|(_, session)| SessionView::of(session))
    }

    /// The sessions at `count` places from `first` on, each with its place. A session keeps
    /// its place for as long as it lives, so that a look at all of them can be taken in
    /// parts: none that is there all the while is missed or seen twice.
    pub fn sessions_from(
        &self,
        first: u32,
        count: u32,
    ) -> impl Iterator<Item = (u32, SessionView<'_>)> {
        let end = first.saturating_add(count).min(self.sessions.places());
        (first..end).filter_map(|place| {
            let session = self.sessions.get(SessionKey(place))?;
            Some((place, SessionView::of(session)))
        })
    }

    /// The place `count` places after `first`; none if there are not so many.
    pub fn place_after(&self, first: u32, count: u32) -> Option<u32> {
        let next = first.checked_add(count)?;
        (next < self.sessions.places()).then_some(next)
    }

    /// One session.
    pub fn session(&self, client_id: &str) -> Option<SessionView<'_>> {
        let key = self.sessions.find(client_id)?;
        self.sessions.get(key).map(SessionView::of)
    }

    /// Whose session a connection has, and who that is; none before it has one.
    pub fn client_of(&self, connection: ConnectionId) -> Option<(Rc<str>, Rc<Identity>)> {
        let session = &self.sessions[self.session_of(connection)?];
        Some((Rc::clone(&session.client_id), Rc::clone(&session.identity)))
    }

    /// What a client subscribes to; nothing if it has no session.
    pub fn subscriptions_of(&self, client_id: &str) -> Vec<SubscriptionView> {
        let Some(key) = self.sessions.find(client_id) else {
            return Vec::new();
        };
        let session = &self.sessions[key];
        let own = session
            .subscriptions
            .iter()
            .map(|(id, position)| SubscriptionView {
                filter: self.subscriptions.index().filter(*id).into(),
                qos: self.subscriptions.grant(*id, *position).qos,
            });
        let shared = session.groups.iter().filter_map(|id| {
            let members = self.subscriptions.group(*id).members();
            let member = members.iter().find(|member| member.session == key)?;
            Some(SubscriptionView {
                filter: self.shared_name(*id).as_filter(),
                qos: member.grant.qos,
            })
        });
        own.chain(shared).collect()
    }

    /// Retained messages that match a filter, after the topic `after`, at most
    /// `count`: topic and payload size in bytes.
    pub fn retained_matching(
        &self,
        filter: &str,
        after: Option<&str>,
        count: usize,
    ) -> Vec<(&str, usize)> {
        let mut found = Vec::new();
        self.retained.matching(filter, after, |topic, message| {
            if found.len() >= count {
                return ControlFlow::Break(());
            }
            found.push((topic, message.payload().len()));
            ControlFlow::Continue(())
        });
        found
    }
}

#[cfg(test)]
mod tests {
    use crate::broker::tests::driver::{Driver, Q1, connect_packet, filter, persistent};

    #[test]
    fn a_look_shows_what_is_there() {
        let mut driver = Driver::plain();
        driver.join(1, persistent("sub"));
        driver.subscribe(1, &[filter("a", Q1), filter("$share/g/b", Q1)]);
        driver.join(2, connect_packet("pub"));
        driver.publish(2, "a", "1", Q1);
        driver.lose(1);
        driver.publish(2, "a", "2", Q1);
        driver.retain(2, "r/1", "kept");
        let view = driver.broker.session("sub").expect("it is there");
        assert_eq!((view.queued, view.inflight, view.subscriptions), (1, 1, 2));
        assert!(view.connection.is_none() && view.ends_at.is_some() && view.queued_bytes > 0);
        let mut filters: Vec<_> = driver
            .broker
            .subscriptions_of("sub")
            .into_iter()
            .map(|view| view.filter)
            .collect();
        filters.sort_unstable();
        assert_eq!(filters, ["$share/g/b".into(), "a".into()] as [Box<str>; 2]);
        assert_eq!(driver.broker.retained_matching("#", None, 9), [("r/1", 4)]);
        assert_eq!(driver.broker.sessions().count(), 2);
    }
}

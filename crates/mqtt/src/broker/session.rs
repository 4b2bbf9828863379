//! Sessions: what the broker keeps for a client id (section 4.1), connected or not.

use std::{
    collections::VecDeque,
    hash::BuildHasher,
    ops::{Index, IndexMut},
    rc::Rc,
};

use hashbrown::{DefaultHashBuilder, HashMap, HashTable};
use slab::Slab;

use super::{
    access::{Client, Identity},
    durable::{SessionNumber, StoredSession, StoredWill},
    inbox::Inbox,
    link::Link,
    outbox::{Outbox, Position},
    replay::Replay,
    subscriptions::{self, GroupId},
    time::Moment,
    topics::FilterId,
    will::Will,
};

/// An expiry interval that means: never.
pub(super) const EXPIRES_NEVER: u32 = u32::MAX;

/// The place of a session in its core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct SessionKey(pub(super) u32);

/// Everything kept for one client id.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) client_id: Rc<str>,
    pub(super) number: SessionNumber,
    /// As the last connection authenticated.
    pub(super) identity: Rc<Identity>,
    /// Session Expiry Interval; 0: ends with the connection.
    pub(super) expiry_secs: u32,
    /// While it is connected.
    pub(super) link: Option<Link>,
    pub(super) outbox: Outbox,
    pub(super) inbox: Inbox,
    pub(super) subscriptions: HashMap<FilterId, subscriptions::Position>,
    pub(super) groups: Vec<GroupId>,
    /// Retained messages still to be sent for new subscriptions.
    pub(super) replays: VecDeque<Replay>,
    pub(super) will: Option<Box<Will>>,
    /// When it ends; none while it is connected, or if it never does.
    pub(super) ends_at: Option<Moment>,
    /// Its entry among the timers.
    pub(super) armed: Option<Moment>,
    /// How far the store knows messages as sent.
    pub(super) sent_stored: Position,
    pub(super) kept: Kept,
}

/// Whether the store has a session, and must hear what happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    InMemory,
    InStore,
}

impl Session {
    pub(super) fn new(client_id: Rc<str>, number: SessionNumber) -> Self {
        Self {
            client_id,
            number,
            identity: Rc::default(),
            expiry_secs: 0,
            link: None,
            outbox: Outbox::default(),
            inbox: Inbox::default(),
            subscriptions: HashMap::new(),
            groups: Vec::new(),
            replays: VecDeque::new(),
            will: None,
            ends_at: None,
            armed: None,
            sent_stored: Position(0),
            kept: Kept::InMemory,
        }
    }

    /// Whether it outlives its connection, and so belongs in the store.
    pub(super) fn is_persistent(&self) -> bool {
        self.expiry_secs > 0
    }

    pub(super) fn is_stored(&self) -> bool {
        self.kept == Kept::InStore
    }

    pub(super) fn client(&self) -> Client<'_> {
        Client {
            id: &self.client_id,
            identity: &self.identity,
        }
    }

    pub(super) fn subscription_count(&self) -> usize {
        self.subscriptions.len() + self.groups.len()
    }

    /// When something is next to be done about it.
    pub(super) fn deadline(&self) -> Option<Moment> {
        let will = self.will.as_ref().and_then(|will| will.due);
        let link = self.link.as_ref().and_then(Link::deadline);
        let proof = self.link.is_some().then_some(self.identity.expires_at);
        [will, self.ends_at, link, proof.flatten()]
            .into_iter()
            .flatten()
            .min()
    }

    /// As the store keeps it.
    pub(super) fn stored(&self) -> StoredSession {
        StoredSession {
            number: self.number,
            client_id: (*self.client_id).into(),
            expiry_secs: self.expiry_secs,
            ends_at: self.ends_at,
            will: self.will.as_ref().map(|will| StoredWill {
                message: Rc::clone(&will.message),
                delay_secs: will.delay_secs,
                expiry_secs: will.expiry_secs,
                due: will.due,
            }),
        }
    }
}

/// All sessions of a core, by place and by client id.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: Slab<Session>,
    by_client: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Sessions {
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn find(&self, client_id: &str) -> Option<SessionKey> {
        let hash = self.hasher.hash_one(client_id);
        self.by_client
            .find(hash, |&key| {
                &*self.sessions[key as usize].client_id == client_id
            })
            .map(|&key| SessionKey(key))
    }

    pub(super) fn get_mut(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(key.0 as usize)
    }

    pub(super) fn get(&self, key: SessionKey) -> Option<&Session> {
        self.sessions.get(key.0 as usize)
    }

    /// Adds a session whose client id has none.
    pub(super) fn insert(&mut self, session: Session) -> SessionKey {
        let hash = self.hasher.hash_one(&*session.client_id);
        let key = u32::try_from(self.sessions.insert(session)).expect("sessions outnumber memory");
        let (sessions, hasher) = (&self.sessions, &self.hasher);
        self.by_client.insert_unique(hash, key, |&key| {
            hasher.hash_one(&*sessions[key as usize].client_id)
        });
        SessionKey(key)
    }

    pub(super) fn remove(&mut self, key: SessionKey) -> Session {
        let session = self.sessions.remove(key.0 as usize);
        let hash = self.hasher.hash_one(&*session.client_id);
        if let Ok(entry) = self.by_client.find_entry(hash, |&other| other == key.0) {
            entry.remove();
        }
        session
    }

    /// One more than the highest place that a session has or had.
    pub(super) fn places(&self) -> u32 {
        u32::try_from(self.sessions.capacity()).expect("sessions outnumber memory")
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionKey, &Session)> {
        self.sessions
            .iter()
            .map(|(key, session)| (SessionKey(key as u32), session))
    }
}

impl Index<SessionKey> for Sessions {
    type Output = Session;

    fn index(&self, key: SessionKey) -> &Session {
        &self.sessions[key.0 as usize]
    }
}

impl IndexMut<SessionKey> for Sessions {
    fn index_mut(&mut self, key: SessionKey) -> &mut Session {
        &mut self.sessions[key.0 as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::message::{Message, OVERHEAD_BYTES};
    use crate::broker::outbox::Delivery;

    #[test]
    fn idle_sessions_and_queued_messages_stay_small() {
        assert!(size_of::<Session>() <= 576, "{}", size_of::<Session>());
        assert!(size_of::<Delivery>() <= 48, "{}", size_of::<Delivery>());
    }

    #[test]
    fn a_queued_message_counts_for_no_less_than_it_costs() {
        let counts = 2 * size_of::<usize>();
        let cost = size_of::<Message>() + counts + size_of::<Delivery>();
        assert!(cost <= OVERHEAD_BYTES, "{cost}");
    }
}

//! What a subscription grants: the options of one, or of all that one client
//! has matching a topic, joined.

use std::rc::Rc;

use crate::codec::QoS;

/// The options of one subscription (section 3.8.3.1), and its identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// The most that is delivered.
    pub(super) qos: QoS,
    pub(super) retain: RetainAs,
    pub(super) echo: Echo,
    /// The Subscription Identifier; 0: none.
    pub(super) identifier: u32,
}

/// Retain As Published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RetainAs {
    /// RETAIN is 0 in what is forwarded (3.3.1-12).
    Cleared,
    /// RETAIN is forwarded as it came (3.3.1-13).
    Published,
}

/// No Local.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Echo {
    /// The client's own messages come back to it.
    Local,
    /// They do not (3.8.3-3).
    NoLocal,
}

/// The Subscription Identifiers of the subscriptions that made a delivery.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Identifiers {
    #[default]
    None,
    One(u32),
    Many(Rc<Vec<u32>>),
}

impl Identifiers {
    pub(super) fn of(identifier: u32) -> Self {
        match identifier {
            0 => Self::None,
            one => Self::One(one),
        }
    }

    pub(super) fn all(identifiers: &[u32]) -> Self {
        let mut all = Self::None;
        for identifier in identifiers {
            all.add(*identifier);
        }
        all
    }

    pub(super) fn as_slice(&self) -> &[u32] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    fn add(&mut self, identifier: u32) {
        match self {
            _ if identifier == 0 => {}
            Self::None => *self = Self::One(identifier),
            Self::One(one) if *one == identifier => {}
            Self::One(one) => *self = Self::Many(Rc::new(vec![*one, identifier])),
            Self::Many(many) if many.contains(&identifier) => {}
            Self::Many(many) => Rc::make_mut(many).push(identifier),
        }
    }
}

/// What all matching subscriptions of one client grant together: one copy, at
/// the highest QoS of any, with the identifiers of all (3.3.4-2 to 3.3.4-4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Joined {
    pub(super) qos: QoS,
    pub(super) retain: RetainAs,
    pub(super) identifiers: Identifiers,
}

impl Joined {
    pub(super) fn of(grant: Grant) -> Self {
        Self {
            qos: grant.qos,
            retain: grant.retain,
            identifiers: Identifiers::of(grant.identifier),
        }
    }

    pub(super) fn join(&mut self, grant: Grant) {
        self.qos = self.qos.max(grant.qos);
        self.retain = self.retain.max(grant.retain);
        self.identifiers.add(grant.identifier);
    }
}

//! What a subscription grants: the options of one, or of all that one client
//! has matching a topic, joined.

use std::rc::Rc;

use crate::codec::{QualityOfService, SubscriptionIdentifier};

/// The options of one subscription (section 3.8.3.1), and its identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Grant {
    /// The most that is delivered.
    pub(super) qos: QualityOfService,
    pub(super) retain: RetainAs,
    pub(super) echo: Echo,
    pub(super) identifier: Option<SubscriptionIdentifier>,
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
    One(SubscriptionIdentifier),
    Many(Rc<Vec<SubscriptionIdentifier>>),
}

impl Identifiers {
    pub(super) fn of(identifier: Option<SubscriptionIdentifier>) -> Self {
        identifier.map_or(Self::None, Self::One)
    }

    pub(super) fn all(identifiers: &[SubscriptionIdentifier]) -> Self {
        let mut all = Self::None;
        for identifier in identifiers {
            all.add(*identifier);
        }
        all
    }

    pub(super) fn as_slice(&self) -> &[SubscriptionIdentifier] {
        match self {
            Self::None => &[],
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }

    fn add(&mut self, identifier: SubscriptionIdentifier) {
        match self {
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
    pub(super) qos: QualityOfService,
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
        if let Some(identifier) = grant.identifier {
            self.identifiers.add(identifier);
        }
    }
}

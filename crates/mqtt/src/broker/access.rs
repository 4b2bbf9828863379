//! Who may publish and subscribe to what: a question the core asks, answered
//! by rules that can be exchanged while it runs.

use std::{fmt, net::IpAddr};

use super::time::Moment;
use crate::codec::{QualityOfService, TopicName};

/// Who a client is, as its connection established.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The name it authenticated as; none if it is anonymous.
    pub user: Option<Box<str>>,
    /// Where it connects from; none for a Unix socket.
    pub address: Option<IpAddr>,
    /// When what it proved holds no longer, and it is sent away; none if it does for ever.
    pub expires_at: Option<Moment>,
    /// What it was proved with, if that can be taken back.
    pub mark: Option<ProofMark>,
}

/// Stands for what somebody proved who he is with, such as the secret that is kept of a
/// password: another secret has another mark. It means something in this process only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ProofMark(pub u64);

impl fmt::Debug for ProofMark {
    // It was made of a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ProofMark(..)")
    }
}

/// Whether what clients have proved still holds. Asked at CONNECT and, when it is exchanged,
/// of all who are connected.
pub trait Validity: fmt::Debug {
    /// Whether somebody would be let in as this by what he has shown.
    fn holds(&self, identity: &Identity) -> bool;
}

/// What was proved holds for as long as it said.
#[derive(Debug, Clone, Copy, Default)]
pub struct AlwaysValid;

impl Validity for AlwaysValid {
    fn holds(&self, _: &Identity) -> bool {
        true
    }
}

/// The client that an access rule is asked about.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The Client Identifier, assigned or chosen.
    pub id: &'a str,
    /// What its connection established.
    pub identity: &'a Identity,
}

/// An answer of the access rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It may.
    Allow,
    /// It may not: 0x87 (Not authorized).
    Deny,
}

/// Rules on topics. Asked for every PUBLISH, so an implementation answers from
/// memory and does not block.
pub trait AccessRules: fmt::Debug {
    /// May `client` publish to this topic? Also asked for a will, at CONNECT.
    fn may_publish(
        &self,
        client: Client<'_>,
        topic: &TopicName,
        qos: QualityOfService,
        retain: bool,
    ) -> Access;

    /// May `client` subscribe to this filter? A shared subscription is asked
    /// about with the filter behind its name. When the rules are exchanged,
    /// all subscriptions are asked about again.
    fn may_subscribe(&self, client: Client<'_>, filter: &str) -> Access;
}

/// Everybody may publish and subscribe, but for what is the broker's own:
/// nobody publishes to `$` topics.
#[derive(Debug, Clone, Copy, Default)]
pub struct AllowAll;

impl AccessRules for AllowAll {
    fn may_publish(
        &self,
        _: Client<'_>,
        topic: &TopicName,
        _: QualityOfService,
        _: bool,
    ) -> Access {
        match topic.is_reserved() {
            true => Access::Deny,
            false => Access::Allow,
        }
    }

    fn may_subscribe(&self, _: Client<'_>, _: &str) -> Access {
        Access::Allow
    }
}

//! What a server grants its clients.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::access::proof::Proofs;
use crate::access::rules::TopicRules;
use crate::broker::access::{AccessRules, AllowAll};
use crate::broker::auth::{Authenticator, NoMethods, SharedMethods};
use crate::broker::limits::Limits;

/// Settings of an MQTT server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// From the connection's start to the end of CONNECT.
    pub connect_timeout: Duration,
    /// The longest CONNECT, in bytes; it is read before anybody is known.
    pub connect_packet_bytes: u32,
    /// How long a client that is sent away may take to read what it is still sent.
    pub close_timeout: Duration,
    /// How long the client's own end is awaited after ours.
    pub linger: Duration,
    /// How long a [chain](super::chain) may take over one request.
    pub handler_timeout: Duration,
    /// Who may come in without having proved who it is.
    pub anonymous: Anonymous,
    /// How clients can prove who they are; without a proof nobody is asked for one.
    pub proofs: Proofs,
    /// Methods of enhanced authentication; without them none is offered.
    pub methods: Option<SharedMethods>,
    /// Who may publish and subscribe to what; without it everybody may everything.
    pub topics: Option<Arc<TopicRules>>,
    /// Limits of the sessions, for each core.
    pub broker: Limits,
}

/// Who may come in without having proved who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anonymous {
    /// Clients on this machine: from a loopback address or through a Unix socket.
    #[default]
    Local,
    /// Everybody.
    Everybody,
    /// Nobody.
    Nobody,
}

impl Default for ServerSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            connect_packet_bytes: 64 * 1024,
            close_timeout: Duration::from_secs(5),
            linger: Duration::from_secs(2),
            handler_timeout: Duration::from_secs(10),
            anonymous: Anonymous::default(),
            proofs: Proofs::default(),
            methods: None,
            topics: None,
            broker: Limits::default(),
        }
    }
}

impl ServerSettings {
    /// The methods of enhanced authentication, for the calling core.
    pub(super) fn authenticator(&self) -> Rc<dyn Authenticator> {
        match &self.methods {
            Some(methods) => Rc::new(methods.clone()),
            None => Rc::new(NoMethods),
        }
    }

    /// The rules on topics, for the calling core.
    pub(super) fn access_rules(&self) -> Rc<dyn AccessRules> {
        match &self.topics {
            Some(rules) => Rc::new(TopicRules::clone(rules)),
            None => Rc::new(AllowAll),
        }
    }
}

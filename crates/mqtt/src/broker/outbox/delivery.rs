//! One message on its way to one client: the shared message, and what differs.

use std::rc::Rc;

use super::Position;
use crate::{
    broker::{grant::Identifiers, message::Message, subscriptions::GroupId},
    codec::QualityOfService,
};

/// The RETAIN flag of what is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::broker) enum RetainFlag {
    Clear,
    Set,
}

#[derive(Debug, Clone)]
pub(in crate::broker) struct Delivery {
    pub(in crate::broker) message: Rc<Message>,
    pub(in crate::broker) identifiers: Identifiers,
    /// Its own if QoS is 1 or 2; of QoS 0, that of the next such message.
    pub(in crate::broker) position: Position,
    /// The shared subscription it came by.
    pub(in crate::broker) group: Option<GroupId>,
    pub(in crate::broker) qos: QualityOfService,
    pub(in crate::broker) retain: RetainFlag,
}

impl Delivery {
    /// What it counts for in a queue.
    pub(in crate::broker) fn bytes(&self) -> usize {
        self.message.bytes()
    }
}

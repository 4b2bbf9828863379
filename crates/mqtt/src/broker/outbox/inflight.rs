//! One message of QoS 1 or 2 between its sending and its acknowledgement.

use super::{Delivery, Position};
use crate::codec::PacketIdentifier;

/// How far the delivery has come.
#[derive(Debug)]
pub(in crate::broker) enum Stage {
    /// PUBLISH was sent; PUBACK or PUBREC is awaited.
    Sent(Delivery),
    /// PUBREC came; PUBREL is sent and PUBCOMP awaited. The message is let go of.
    Released,
}

#[derive(Debug)]
pub(in crate::broker) struct Inflight {
    pub(in crate::broker) position: Position,
    pub(in crate::broker) stage: Stage,
}

impl Inflight {
    pub(in crate::broker) fn packet_id(&self) -> PacketIdentifier {
        self.position.packet_id()
    }
}

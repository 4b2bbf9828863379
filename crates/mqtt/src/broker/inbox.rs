//! Messages of QoS 2 that a client has sent and not yet released: the
//! receiver's side of exactly once (section 4.3.3).

use std::collections::VecDeque;

use crate::codec::PacketIdentifier;

/// Packet identifiers between PUBREC and PUBREL. There are at most Receive
/// Maximum of them, and they are released nearly in order.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    received: VecDeque<PacketIdentifier>,
}

impl Inbox {
    pub(super) fn len(&self) -> usize {
        self.received.len()
    }

    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = PacketIdentifier> {
        self.received.iter().copied()
    }

    /// Whether a PUBLISH with this identifier is a repetition (4.3.3-10).
    pub(super) fn contains(&self, packet_id: PacketIdentifier) -> bool {
        self.received.contains(&packet_id)
    }

    pub(super) fn insert(&mut self, packet_id: PacketIdentifier) {
        self.received.push_back(packet_id);
    }

    /// Ends a delivery; false if there is none by this identifier.
    pub(super) fn remove(&mut self, packet_id: PacketIdentifier) -> bool {
        let Some(place) = self.received.iter().position(|id| *id == packet_id) else {
            return false;
        };
        self.received.remove(place);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_new_again_once_released() {
        let (first, second) = (PacketIdentifier::FIRST, PacketIdentifier::FIRST.next());
        let mut inbox = Inbox::default();
        inbox.insert(first);
        inbox.insert(second);
        assert!(inbox.contains(first));
        assert!(inbox.remove(first));
        assert!(!inbox.contains(first));
        assert!(!inbox.remove(first));
        assert_eq!(inbox.iter().collect::<Vec<_>>(), [second]);
    }
}

//! Messages of QoS 2 that a client has sent and not yet released: the
//! receiver's side of exactly once (section 4.3.3).

use std::collections::VecDeque;

/// Packet identifiers between PUBREC and PUBREL. There are at most Receive
/// Maximum of them, and they are released nearly in order.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    received: VecDeque<u16>,
}

impl Inbox {
    pub(super) fn len(&self) -> usize {
        self.received.len()
    }

    #[cfg(test)]
    fn iter(&self) -> impl Iterator<Item = u16> {
        self.received.iter().copied()
    }

    /// Whether a PUBLISH with this identifier is a repetition (4.3.3-10).
    pub(super) fn contains(&self, packet_id: u16) -> bool {
        self.received.contains(&packet_id)
    }

    pub(super) fn insert(&mut self, packet_id: u16) {
        self.received.push_back(packet_id);
    }

    /// Ends a delivery; false if there is none by this identifier.
    pub(super) fn remove(&mut self, packet_id: u16) -> bool {
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
        let mut inbox = Inbox::default();
        inbox.insert(3);
        inbox.insert(4);
        assert!(inbox.contains(3));
        assert!(inbox.remove(3));
        assert!(!inbox.contains(3));
        assert!(!inbox.remove(3));
        assert_eq!(inbox.iter().collect::<Vec<_>>(), [4]);
    }
}

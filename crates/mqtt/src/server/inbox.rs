//! What a client has sent and no packet has been made of yet.
//!
//! A link that has nothing to read holds no buffer. One whose packet is not whole holds
//! about as much as has come of it, except that a large packet gets memory of its own
//! size, into which the rest of it is read and from which it is never copied. Who sent a
//! large packet is expected to send another: it is read to its place from its start.

use std::num::NonZeroU32;

use bytes::BytesMut;
use tidegate_runtime::buffer::{self, BufferSize};

use crate::codec::Decoder;

/// The least room that is read into; also what is read of the packet after a large one,
/// and then moved.
const ROOM_BYTES_MIN: usize = 4 * 1024;

/// Memory that the start of a packet gets before more of it has come. Beyond that it gets
/// twice of what has.
const FORESEEN_BYTES_MAX: usize = 256 * 1024;

/// The start of a packet whose rest has not come.
#[derive(Debug, Default)]
pub(super) struct Inbox(Option<BytesMut>);

/// The bytes of the large packet that is expected of a client, as it sent one before; none if
/// what it sends has room in a common buffer.
///
/// Beside the inbox, where a link has room for it: an idle connection is to be small.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected(Option<NonZeroU32>);

impl Expected {
    /// After the start of a packet of so many bytes.
    fn after(packet_bytes: usize) -> Self {
        if packet_bytes + ROOM_BYTES_MIN <= BufferSize::Body.bytes() {
            return Self(None);
        }
        let bytes = u32::try_from(packet_bytes.min(FORESEEN_BYTES_MAX));
        Self(bytes.ok().and_then(NonZeroU32::new))
    }
}

impl Inbox {
    /// What came before, with room for more.
    pub(super) fn open(&mut self, expected: Expected) -> BytesMut {
        match (self.0.take(), expected.0) {
            (Some(bytes), _) if room(&bytes) >= ROOM_BYTES_MIN => bytes,
            (Some(start), _) => {
                let mut bytes = buffer::take(BufferSize::Body);
                bytes.extend_from_slice(&start);
                bytes
            }
            (None, None) => buffer::take(BufferSize::Body),
            (None, Some(bytes)) => BytesMut::with_capacity(bytes.get() as usize + ROOM_BYTES_MIN),
        }
    }

    /// Keeps what `decoder` has left.
    pub(super) fn close(&mut self, bytes: BytesMut, decoder: &Decoder, expected: &mut Expected) {
        let length = bytes.len();
        if length == 0 {
            empty(bytes, expected);
            return;
        }
        // Bytes that are no packet end the connection.
        let packet_bytes = decoder.packet_bytes(&bytes).ok().flatten().unwrap_or(0);
        *expected = Expected::after(packet_bytes);
        if length > ROOM_BYTES_MIN && length + room(&bytes) >= packet_bytes + ROOM_BYTES_MIN {
            self.0 = Some(bytes);
            return;
        }
        let foreseen = packet_bytes.min(FORESEEN_BYTES_MAX.max(2 * length));
        let more = if packet_bytes > ROOM_BYTES_MIN {
            ROOM_BYTES_MIN
        } else {
            0
        };
        let mut moved = BytesMut::with_capacity(foreseen.max(length) + more);
        moved.extend_from_slice(&bytes);
        self.0 = Some(moved);
        give(bytes, *expected);
    }
}

/// Everything that has come was understood.
fn empty(bytes: BytesMut, expected: &mut Expected) {
    let left = bytes.capacity();
    give(bytes, *expected);
    // So much of the memory would not be left by a large packet.
    if left > ROOM_BYTES_MIN {
        *expected = Expected::default();
    }
}

/// Memory that was made for a large packet is its alone.
fn give(bytes: BytesMut, expected: Expected) {
    if expected == Expected::default() {
        buffer::give(bytes, BufferSize::Body);
    }
}

fn room(bytes: &BytesMut) -> usize {
    bytes.capacity() - bytes.len()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::codec::ProtocolVersion;

    const HEADER_BYTES: usize = 4;

    fn decoder() -> Decoder {
        Decoder::client(ProtocolVersion::V311, 1 << 20)
    }

    /// The first bytes of a QoS 0 PUBLISH with so many in all.
    fn start(packet_bytes: usize, length: usize) -> BytesMut {
        let remaining = packet_bytes - HEADER_BYTES;
        let digit = |place: usize| (remaining >> (7 * place)) as u8 & 0x7f;
        let mut bytes = BytesMut::from(&[0x30, digit(0) | 0x80, digit(1) | 0x80, digit(2)][..]);
        bytes.resize(length, 0);
        bytes
    }

    #[test]
    fn a_slow_sender_does_not_hold_a_whole_buffer() {
        let (mut inbox, mut expected) = (Inbox::default(), Expected::default());
        let mut bytes = inbox.open(expected);
        bytes.extend_from_slice(&[0x30]);
        inbox.close(bytes, &decoder(), &mut expected);
        assert!(inbox.0.as_ref().unwrap().capacity() < ROOM_BYTES_MIN);
        assert_eq!(inbox.open(expected), [0x30][..]);
    }

    #[test]
    fn the_rest_of_a_large_packet_is_read_to_its_place() {
        let (mut inbox, mut expected) = (Inbox::default(), Expected::default());
        inbox.close(start(100_000, 10), &decoder(), &mut expected);
        let mut bytes = inbox.open(expected);
        let address = bytes.as_ptr();
        let room_bytes = room(&bytes);
        assert!((99_990..120_000).contains(&room_bytes), "{room_bytes}");
        bytes.resize(50_000, 0);
        inbox.close(bytes, &decoder(), &mut expected);
        let mut bytes = inbox.open(expected);
        bytes.resize(100_000, 0);
        assert_eq!(bytes.as_ptr(), address);
    }

    #[test]
    fn a_promise_of_a_huge_packet_gets_no_huge_memory() {
        let (mut inbox, mut expected) = (Inbox::default(), Expected::default());
        inbox.close(start(1_000_000, 10), &decoder(), &mut expected);
        assert!(inbox.open(expected).capacity() <= FORESEEN_BYTES_MAX + 2 * ROOM_BYTES_MIN);
    }

    #[test]
    fn after_a_large_packet_another_is_read_to_its_place_at_once() {
        let (mut inbox, mut expected) = (Inbox::default(), Expected::default());
        inbox.close(start(100_000, 10), &decoder(), &mut expected);
        for _ in 0..3 {
            let mut bytes = inbox.open(expected);
            assert!(room(&bytes) >= 99_990);
            bytes.resize(100_000, 0);
            drop(bytes.split_to(100_000));
            inbox.close(bytes, &decoder(), &mut expected);
        }
        // A small one ends that.
        let mut bytes = inbox.open(expected);
        bytes.resize(10, 0);
        drop(bytes.split_to(10));
        inbox.close(bytes, &decoder(), &mut expected);
        assert!(inbox.open(expected).capacity() <= BufferSize::Body.bytes());
    }

    #[test]
    fn whatever_the_pieces_there_is_room_for_more() {
        for piece in [1, 5, 4095, 4096, 4097, 65_536, 70_000] {
            let (mut inbox, mut expected) = (Inbox::default(), Expected::default());
            let mut length = HEADER_BYTES;
            inbox.close(start(1_000_000, length), &decoder(), &mut expected);
            while length + piece < 1_000_000 {
                let mut bytes = inbox.open(expected);
                assert_eq!(bytes.len(), length);
                assert!(room(&bytes) > 0, "at {length}");
                length += piece.min(room(&bytes));
                bytes.resize(length, 0);
                inbox.close(bytes, &decoder(), &mut expected);
                if piece < 64 && length > 200_000 {
                    break;
                }
            }
        }
    }
}

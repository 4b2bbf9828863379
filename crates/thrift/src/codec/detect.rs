//! Which transport a connection has, by its first bytes.

use super::cursor::{Read, Stop};
use super::envelope::{BINARY_VERSION, COMPACT_ID};
use super::error::DecodeError;
use super::message::Transport;

/// Bytes five and six of a TTHeader message.
pub(super) const TTHEADER_MAGIC: [u8; 2] = [0x10, 0x00];

/// What tells transports apart.
///
/// A message without a frame begins with its protocol's version, or with the length of its
/// name. A frame begins with a length, which has its highest bit clear, and behind it comes
/// what a message without a frame begins with. A frame's length and a name's length differ
/// in what follows them: a name, which begins with a printable character, or the version or
/// name length of a message, neither of which does.
///
/// That a TTHeader message has another frame inside is seen later, in its payload.
pub(super) fn detect(bytes: &[u8]) -> Read<Transport> {
    match bytes {
        [] => Err(Stop::Short),
        [COMPACT_ID, ..] => Ok(Transport::Unframed),
        [first @ 0x80..=0xff, ..] => match bytes.get(1) {
            Some(second) if [*first, *second] == BINARY_VERSION => Ok(Transport::Unframed),
            Some(_) => Err(DecodeError::NotThrift.into()),
            None if *first == BINARY_VERSION[0] => Err(Stop::Short),
            None => Err(DecodeError::NotThrift.into()),
        },
        [_, _, _, _, COMPACT_ID, ..] => Ok(Transport::Framed),
        [_, _, _, _, b' '..=b'~', ..] => Ok(Transport::Unframed),
        [_, _, _, _, fifth, sixth, ..] => match [*fifth, *sixth] {
            // The length of a name has two zeros in front.
            BINARY_VERSION | [0, 0] => Ok(Transport::Framed),
            TTHEADER_MAGIC => Ok(Transport::TtHeader),
            _ => Err(DecodeError::NotThrift.into()),
        },
        [_, _, _, _, fifth] if ![BINARY_VERSION[0], TTHEADER_MAGIC[0], 0].contains(fifth) => {
            Err(DecodeError::NotThrift.into())
        }
        _ => Err(Stop::Short),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_transport_is_told_by_its_first_bytes() {
        let framed = [
            &b"\0\0\0\x20\x80\x01"[..],
            b"\0\0\0\x20\x82",
            b"\0\0\0\x20\0\0",
        ];
        for bytes in framed {
            assert_eq!(detect(bytes), Ok(Transport::Framed), "{bytes:?}");
        }
        for bytes in [&b"\x80\x01"[..], b"\x82", b"\0\0\0\x04ping"] {
            assert_eq!(detect(bytes), Ok(Transport::Unframed), "{bytes:?}");
        }
        let header = b"\0\0\0\x20\x10\0";
        assert_eq!(detect(header), Ok(Transport::TtHeader));
    }

    #[test]
    fn other_protocols_are_not_taken_for_thrift() {
        let not_thrift = Err(Stop::Bad(DecodeError::NotThrift));
        for bytes in [
            &b"\x80\x02"[..],
            b"\xff",
            b"\0\0\0\x20\x11",
            b"\x16\x03\x01\x02\0\x01",
            b"\0\0\0\x20\x80\x02",
        ] {
            assert_eq!(detect(bytes), not_thrift, "{bytes:?}");
        }
    }
}

//! What no decent peer sends.

use bytes::BytesMut;
use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_thrift::codec::{DecodeError, Decoder, Limits, Message, Transport, encode};

use crate::messages::messages;

/// All messages of a stream and how it ends, read in pieces of `step` bytes.
fn read(bytes: &[u8], step: usize) -> (Vec<Message>, Option<DecodeError>) {
    let limits = Limits {
        message_bytes: 4096,
        header_bytes: 512,
        method_bytes: 64,
        depth: 8,
    };
    let mut decoder = Decoder::new(limits);
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    for piece in bytes.chunks(step) {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    // Never a panic, whatever is there.
                    let _ = decoder.refused(&buffer);
                    return (messages, Some(error));
                }
            }
        }
    }
    (messages, None)
}

fn refusal(bytes: &[u8]) -> Option<DecodeError> {
    let (_, error) = read(bytes, 1);
    error
}

proptest! {
    #[test]
    fn bytes_of_any_kind_read_alike_however_they_arrive(bytes in vec(any::<u8>(), 0..300)) {
        prop_assert_eq!(read(&bytes, 1), read(&bytes, bytes.len().max(1)));
    }

    #[test]
    fn a_message_with_one_byte_wrong_reads_alike_however_it_arrives(
        message in messages(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encode(&message).unwrap().to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        prop_assert_eq!(read(&bytes, 1), read(&bytes, bytes.len()));
    }
}

#[test]
fn giant_lengths_are_refused_as_soon_as_they_are_read() {
    let too_large = Some(DecodeError::MessageTooLarge { limit: 4096 });
    // A frame, a text, a list of texts, a map; none of them followed by what it announces.
    assert_eq!(refusal(b"\x7f\xff\xff\xff\x80\x01"), too_large);
    let call = b"\x80\x01\0\x01\0\0\0\x01a\0\0\0\x01";
    let body = |body: &[u8]| refusal(&[&call[..], body].concat());
    assert_eq!(body(b"\x0b\0\x01\x7f\xff\xff\xff"), too_large);
    assert_eq!(body(b"\x0f\0\x01\x0b\0\0\x10\0"), too_large);
    assert_eq!(body(b"\x0d\0\x01\x0b\x0b\0\0\x10\0"), too_large);
    assert_eq!(
        body(b"\x0b\0\x01\xff\xff\xff\xff"),
        Some(DecodeError::NegativeLength)
    );
    let compact = b"\x82\x21\x01\x01a\x19\xf8\xff\xff\xff\xff\x07";
    assert_eq!(refusal(compact), too_large);
    assert_eq!(
        refusal(b"\x80\x01\0\x01\0\0\0\x41"),
        Some(DecodeError::MethodTooLong { limit: 64 })
    );
    assert_eq!(
        refusal(b"\0\0\x0f\0\x10\0\0\0\0\0\0\x01\0\x81"),
        Some(DecodeError::HeaderTooLarge { bytes: 516 })
    );
}

#[test]
fn nesting_is_refused_before_the_end_of_the_message() {
    let call = b"\x80\x01\0\x01\0\0\0\x01a\0\0\0\x01";
    let structs = b"\x0c\0\x01".repeat(8);
    let lists = [&b"\x0f\0\x01"[..], &b"\x0f\0\0\0\x01".repeat(8)].concat();
    for body in [structs, lists] {
        let error = refusal(&[&call[..], &body].concat());
        assert_eq!(error, Some(DecodeError::TooDeep { limit: 8 }));
    }
}

#[test]
fn a_message_beyond_its_frame_is_refused() {
    // The name's length says more than the frame's.
    let bytes = b"\0\0\0\x0a\x80\x01\0\x01\0\0\0\x09ab";
    assert_eq!(refusal(bytes), Some(DecodeError::Truncated));
    assert_eq!(refusal(b"\0\0\0\0\x82"), Some(DecodeError::Truncated));
    // The header's length says more than the frame's.
    let header = b"\0\0\0\x0c\x10\0\0\0\0\0\0\x01\0\x08";
    assert_eq!(refusal(header), Some(DecodeError::Header));
    assert_eq!(refusal(b"\0\0\0\x03\x10\0"), Some(DecodeError::Header));
}

#[test]
fn other_protocols_are_refused_by_their_first_bytes() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"\x16\x03\x01\x02\0\x01\0\x01",
        b"PRI * HTTP/2.0\r\n",
        b"\x10\x0d\0\x04MQTT",
        b"SSH-2.0-x\r\n",
    ] {
        assert!(refusal(bytes).is_some(), "{bytes:?}");
    }
}

#[test]
fn what_was_refused_can_be_answered_by_name_and_number() {
    let limits = Limits {
        message_bytes: 64,
        ..Limits::default()
    };
    let mut decoder = Decoder::new(limits);
    let mut buffer = BytesMut::from(&b"\0\0\x10\0\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x07"[..]);
    assert!(decoder.decode(&mut buffer).is_err());
    let refused = decoder.refused(&buffer).unwrap();
    assert_eq!(refused.wire.transport, Transport::Framed);
    assert_eq!(
        (&*refused.envelope.method, refused.envelope.sequence_id),
        ("ping", 7)
    );
}

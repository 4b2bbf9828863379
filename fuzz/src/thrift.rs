//! The Thrift codec under arbitrary input. Each function panics when an invariant
//! breaks: no panic in the codec, the same messages and the same error however the
//! input is split, and what was accepted is written so that it reads back the same.

use bytes::{Bytes, BytesMut};
use tidegate_thrift::codec::{
    ApplicationException, DecodeError, Decoder, Limits, Message, Protocol, encode, transcode,
};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its binary and of its directory of seeds.
    pub name: &'static str,
    /// Panics when an invariant does not hold for an input.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 2] = [
    Target {
        name: "thrift_connection",
        run: connection,
    },
    Target {
        name: "thrift_body",
        run: body,
    },
];

/// Longer input finds nothing that shorter input does not.
const INPUT_BYTES_MAX: usize = 64 << 10;

const LIMITS: [Limits; 2] = [
    Limits {
        message_bytes: 16 << 10,
        header_bytes: 4 << 10,
        method_bytes: 256,
        depth: 16,
    },
    Limits {
        message_bytes: 64,
        header_bytes: 16,
        method_bytes: 8,
        depth: 3,
    },
];

/// All messages of one connection, whatever its transport.
pub fn connection(data: &[u8]) {
    let data = &data[..data.len().min(INPUT_BYTES_MAX)];
    for limits in LIMITS {
        let whole = messages(limits, &mut std::iter::once(data));
        let bytewise = messages(limits, &mut data.chunks(1));
        assert_eq!(whole, bytewise, "whole and byte by byte");
        // A place that depends on the input, so that a fuzzer can move it.
        let sum = data.iter().fold(data.len(), |sum, &byte| {
            sum.wrapping_mul(31) + usize::from(byte)
        });
        let (first, second) = data.split_at(sum % (data.len() + 1));
        let cut = messages(limits, &mut [first, second].into_iter());
        assert_eq!(whole, cut, "whole and cut at {}", first.len());
        whole.0.iter().for_each(reads_back);
    }
}

/// A body in either protocol: put into the other one and back, it is the same.
pub fn body(data: &[u8]) {
    let data = Bytes::copy_from_slice(&data[..data.len().min(INPUT_BYTES_MAX)]);
    let roomy = Limits::default();
    for limits in LIMITS {
        for (from, to) in [
            (Protocol::Binary, Protocol::Compact),
            (Protocol::Compact, Protocol::Binary),
        ] {
            let _ = ApplicationException::decode(&data, from, &limits);
            let Ok(there) = transcode(&data, from, to, &limits) else {
                continue;
            };
            assert!(there.len() <= limits.message_bytes);
            let back = transcode(&there, to, from, &roomy).expect("it was written here");
            // Spellings may differ, but not what is spelt.
            assert_eq!(transcode(&back, from, to, &roomy), Ok(there));
        }
    }
}

/// The messages, how many bytes no message was made of, and why not.
type Outcome = (Vec<Message>, Result<usize, DecodeError>);

fn messages(limits: Limits, pieces: &mut dyn Iterator<Item = &[u8]>) -> Outcome {
    let mut decoder = Decoder::new(limits);
    let mut buffer = BytesMut::new();
    let mut messages = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => {
                    let _ = decoder.refused(&buffer);
                    return (messages, Err(error));
                }
            }
        }
    }
    (messages, Ok(buffer.len()))
}

/// What is decoded, written and read is what it was.
fn reads_back(message: &Message) {
    let written = encode(message).expect("it was read as a message");
    let mut buffer = BytesMut::from(&written[..]);
    let mut decoder = Decoder::with_transport(Limits::default(), message.wire.transport);
    let again = decoder.decode(&mut buffer);
    let again = again.expect("it is well-formed").expect("it is whole");
    assert!(buffer.is_empty(), "a message is written with its length");
    assert_eq!(
        (again.wire, &again.envelope, &again.body),
        (message.wire, &message.envelope, &message.body)
    );
    let pairs = |message: &Message| {
        let headers = message.headers.iter().flatten();
        headers
            .map(|(key, value)| format!("{key:?} {value:?}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(pairs(&again), pairs(message));
}

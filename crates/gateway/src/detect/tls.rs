//! TLS: the record that a ClientHello comes in.

use super::Verdict;

const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// A handshake record of version 3.x that begins with a ClientHello (RFC 8446 section 5.1).
pub(super) fn is_handshake(bytes: &[u8]) -> Verdict {
    // Type, version of two bytes, length of two bytes, type of the message.
    match bytes {
        [] => Verdict::Maybe,
        [HANDSHAKE] | [HANDSHAKE, 3] => Verdict::Maybe,
        [HANDSHAKE, 3, 0..=4, rest @ ..] => match rest {
            [] | [_] | [_, _] => Verdict::Maybe,
            [_, _, CLIENT_HELLO, ..] => Verdict::Yes,
            _ => Verdict::No,
        },
        _ => Verdict::No,
    }
}

//! MQTT: a CONNECT packet.

use super::{Verdict, begins};

const CONNECT: u8 = 0x10;

/// The protocol's name as a string of two bytes of length (MQTT 5.0 section 3.1.2.1).
const NAME: &[u8] = b"\0\x04MQTT";

/// The remaining length takes four bytes at most (MQTT 5.0 section 1.5.5).
const LENGTH_BYTES_MAX: usize = 4;

/// A fixed header of type CONNECT without flags, a length, and the protocol's name.
pub(super) fn is_connect(bytes: &[u8]) -> Verdict {
    let rest = match bytes {
        [] => return Verdict::Maybe,
        [CONNECT, rest @ ..] => rest,
        _ => return Verdict::No,
    };
    let more = |byte: &u8| byte & 0x80 != 0;
    let Some(last) = rest.iter().position(|byte| !more(byte)) else {
        return match rest.len() < LENGTH_BYTES_MAX {
            true => Verdict::Maybe,
            false => Verdict::No,
        };
    };
    if last >= LENGTH_BYTES_MAX {
        return Verdict::No;
    }
    begins(&rest[last + 1..], NAME)
}

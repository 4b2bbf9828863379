//! Thrift: the beginning of a call, in any transport and protocol that has one of its own.
//!
//! | first bytes | what it is |
//! |---|---|
//! | `80 01 __ kind` | strict binary, without a frame |
//! | `82 kind` | compact, without a frame |
//! | `00 length 80 01 __ kind` | a frame with strict binary in it |
//! | `00 length 82 kind` | a frame with compact in it |
//! | `00 length 00 00 length name` | a frame with old binary in it |
//! | `00 length 10 00` | a TTHeader |
//! | `00 00 length name` | old binary, without a frame |
//!
//! A kind is that of a call or a one-way call, in compact with the version beside it; a name
//! begins with a letter or an underscore. That the first byte of a length is zero keeps Thrift
//! apart from all other protocols here; a client whose very first message has 16 MiB or more is
//! not recognised.

use super::{Verdict, begins};

const BINARY: u8 = 0x80;
const BINARY_VERSION: u8 = 0x01;
const COMPACT: u8 = 0x82;
/// Kind and version of a call and of a one-way call.
const COMPACT_CALLS: [u8; 2] = [0x21, 0x81];
const CALLS: [u8; 2] = [1, 4];
const TTHEADER: &[u8] = &[0x10, 0x00];

/// What a client that speaks Thrift says first.
pub(super) fn is_call(bytes: &[u8]) -> Verdict {
    match bytes {
        [] => Verdict::Maybe,
        [BINARY | COMPACT, ..] => is_versioned(bytes),
        [0, _, _, _, framed @ ..] => match framed {
            [] => Verdict::Maybe,
            [BINARY | COMPACT, ..] => is_versioned(framed),
            [0x10, ..] => begins(framed, TTHEADER),
            [0, ..] => is_old(framed),
            _ => is_old(bytes),
        },
        [0, ..] => Verdict::Maybe,
        _ => Verdict::No,
    }
}

/// A message that begins with its protocol's version.
fn is_versioned(message: &[u8]) -> Verdict {
    let told = |holds: bool| if holds { Verdict::Yes } else { Verdict::No };
    match message {
        [COMPACT, kind, ..] => told(COMPACT_CALLS.contains(kind)),
        [BINARY, BINARY_VERSION, _, kind, ..] => told(CALLS.contains(kind)),
        [BINARY, second, ..] if *second != BINARY_VERSION => Verdict::No,
        [BINARY | COMPACT, ..] => Verdict::Maybe,
        _ => Verdict::No,
    }
}

/// A message that begins with its name, which has less than 64 KiB.
fn is_old(message: &[u8]) -> Verdict {
    match message {
        [0, 0, 0, 0, ..] => Verdict::No,
        [0, 0, _, _, first, ..] if first.is_ascii_alphabetic() || *first == b'_' => Verdict::Yes,
        [0, 0, _, _] | [0, 0, _] | [0, 0] | [0] => Verdict::Maybe,
        _ => Verdict::No,
    }
}

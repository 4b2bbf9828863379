//! The envelope of a message in each protocol (Thrift RPC specification, "Message").

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;

use super::cursor::{Cursor, Read, Stop};
use super::error::DecodeError;
use super::limits::Limits;
use super::message::{Envelope, MessageKind, Protocol};
use super::transcode::put_variable;

/// The first two bytes of a strict binary message.
pub(super) const BINARY_VERSION: [u8; 2] = [0x80, 0x01];
/// The first byte of a compact message.
pub(super) const COMPACT_ID: u8 = 0x82;
/// Its version, in the lower five bits of the second.
const COMPACT_VERSION: u8 = 1;

/// An envelope whose name is still a place in the buffer: nothing is taken from the buffer
/// before the message is whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located {
    pub(super) protocol: Protocol,
    kind: MessageKind,
    sequence_id: i32,
    name_start: usize,
    name_bytes: usize,
    /// Where the body begins.
    pub(super) body: usize,
}

impl Located {
    /// The envelope, its name a slice of the buffer it was located in.
    pub(super) fn take(&self, buffer: &Bytes) -> Result<Envelope, DecodeError> {
        let name = self.name_start..self.name_start + self.name_bytes;
        let method = ByteString::try_from(buffer.slice(name));
        Ok(Envelope {
            method: method.map_err(|_| DecodeError::MethodText)?,
            kind: self.kind,
            sequence_id: self.sequence_id,
        })
    }
}

/// Finds the envelope at `start`; the protocol is told by its first bytes.
pub(super) fn locate(bytes: &[u8], start: usize, limits: &Limits) -> Read<Located> {
    let mut cursor = Cursor::at(bytes, start);
    match cursor.u8()? {
        COMPACT_ID => compact(cursor, limits),
        0x80..=0xff => strict(Cursor::at(bytes, start), limits),
        _ => old(Cursor::at(bytes, start), limits),
    }
}

fn strict(mut cursor: Cursor<'_>, limits: &Limits) -> Read<Located> {
    let [version_high, version_low] = cursor.array()?;
    if [version_high, version_low] != BINARY_VERSION {
        return Err(DecodeError::ProtocolVersion.into());
    }
    // The third byte is unused, and writers differ in what they leave there.
    let [_, kind] = cursor.array()?;
    let kind = message_kind(kind)?;
    let name_bytes = cursor.length()?;
    let name_start = name(&mut cursor, name_bytes, limits)?;
    let sequence_id = i32::from_be_bytes(cursor.array()?);
    Ok(Located {
        protocol: Protocol::Binary,
        kind,
        sequence_id,
        name_start,
        name_bytes,
        body: cursor.position(),
    })
}

fn old(mut cursor: Cursor<'_>, limits: &Limits) -> Read<Located> {
    let name_bytes = cursor.length()?;
    let name_start = name(&mut cursor, name_bytes, limits)?;
    let kind = message_kind(cursor.u8()?)?;
    let sequence_id = i32::from_be_bytes(cursor.array()?);
    Ok(Located {
        protocol: Protocol::BinaryOld,
        kind,
        sequence_id,
        name_start,
        name_bytes,
        body: cursor.position(),
    })
}

/// From the second byte on.
fn compact(mut cursor: Cursor<'_>, limits: &Limits) -> Read<Located> {
    let second = cursor.u8()?;
    if second & 0x1f != COMPACT_VERSION {
        return Err(DecodeError::ProtocolVersion.into());
    }
    let kind = message_kind(second >> 5)?;
    let sequence_id = cursor.variable(32)? as u32 as i32;
    let name_bytes = cursor.variable_length()?;
    let name_start = name(&mut cursor, name_bytes, limits)?;
    Ok(Located {
        protocol: Protocol::Compact,
        kind,
        sequence_id,
        name_start,
        name_bytes,
        body: cursor.position(),
    })
}

fn message_kind(code: u8) -> Read<MessageKind> {
    MessageKind::from_code(code).ok_or(Stop::Bad(DecodeError::MessageKind(code)))
}

/// Passes over a name whose length is bearable, and says where it began.
fn name(cursor: &mut Cursor<'_>, bytes: usize, limits: &Limits) -> Read<usize> {
    let limit = limits.method_bytes;
    if bytes > limit {
        return Err(DecodeError::MethodTooLong { limit }.into());
    }
    let start = cursor.position();
    std::str::from_utf8(cursor.take(bytes)?).map_err(|_| DecodeError::MethodText)?;
    Ok(start)
}

/// The bytes that [`write`] writes at most.
pub(super) fn bytes_max(envelope: &Envelope) -> usize {
    // Compact: two, and five each for number and length. Binary has twelve.
    envelope.method.as_bytes().len() + 12
}

/// Writes the envelope.
pub(super) fn write(out: &mut BytesMut, protocol: Protocol, envelope: &Envelope) {
    let name = envelope.method.as_bytes();
    let kind = envelope.kind.code();
    match protocol {
        Protocol::Binary => {
            out.put_slice(&[BINARY_VERSION[0], BINARY_VERSION[1], 0, kind]);
            out.put_u32(name.len() as u32);
            out.put_slice(name);
            out.put_i32(envelope.sequence_id);
        }
        Protocol::BinaryOld => {
            out.put_u32(name.len() as u32);
            out.put_slice(name);
            out.put_u8(kind);
            out.put_i32(envelope.sequence_id);
        }
        Protocol::Compact => {
            out.put_slice(&[COMPACT_ID, kind << 5 | COMPACT_VERSION]);
            put_variable(out, u64::from(envelope.sequence_id as u32));
            put_variable(out, name.len() as u64);
            out.put_slice(name);
        }
    }
}

//! Bytes of a message.

use bytes::{BufMut, Bytes, BytesMut};

use super::detect::TTHEADER_MAGIC;
use super::envelope;
use super::headers::{HEADER_BYTES_LARGEST, Headers};
use super::message::{Envelope, Message, Transport, Wire};

/// The bytes of a TTHeader between its length and its variable part.
const FIXED_BYTES: usize = 10;

/// A message that has no bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The format has no room for a header, or a key or value in it, of this size.
    #[error("a header, or a key or value in it, is too large")]
    Header,
    /// The format has no room for a message of this size.
    #[error("a message of {bytes} bytes")]
    Message {
        /// How large it would have been.
        bytes: usize,
    },
}

/// Appends all of a message but its body, which is to be sent right behind: so a body is
/// relayed without being copied.
///
/// `headers` are left out where the transport has none, and are empty where it has and
/// there are none.
///
/// # Errors
///
/// When message or headers are larger than the format has room for. Nothing is appended.
pub fn encode_head(
    wire: Wire,
    envelope: &Envelope,
    headers: Option<&Headers>,
    body_bytes: usize,
    out: &mut BytesMut,
) -> Result<(), EncodeError> {
    let begin = out.len();
    let empty;
    let headers = match headers {
        Some(headers) => headers,
        None => {
            empty = Headers::empty(envelope.sequence_id);
            &empty
        }
    };
    let variable_bytes = headers.variable_bytes();
    if wire.transport.has_headers() && variable_bytes > HEADER_BYTES_LARGEST {
        return Err(EncodeError::Header);
    }
    let envelope_bytes = envelope::bytes_max(envelope);
    let bytes = body_bytes
        .saturating_add(envelope_bytes)
        .saturating_add(variable_bytes + FIXED_BYTES + 4);
    if i32::try_from(bytes).is_err() {
        return Err(EncodeError::Message { bytes });
    }
    out.reserve(envelope_bytes + variable_bytes + FIXED_BYTES + 8);
    if wire.transport != Transport::Unframed {
        out.put_u32(0);
    }
    if wire.transport.has_headers() {
        out.put_slice(&TTHEADER_MAGIC);
        out.put_u16(headers.flags);
        out.put_i32(headers.sequence_id);
        out.put_u16((variable_bytes / 4) as u16);
        headers.write(out, wire.protocol);
    }
    let frame = out.len();
    if wire.transport == Transport::TtHeaderFramed {
        out.put_u32(0);
    }
    envelope::write(out, wire.protocol, envelope);
    if wire.transport != Transport::Unframed {
        set_length(out, begin, body_bytes);
    }
    if wire.transport == Transport::TtHeaderFramed {
        set_length(out, frame, body_bytes);
    }
    Ok(())
}

/// Writes at `at` the length of what is behind there and of the body to come.
fn set_length(out: &mut BytesMut, at: usize, body_bytes: usize) {
    let length = (out.len() - at - 4 + body_bytes) as u32;
    if let Some(place) = out.get_mut(at..at + 4) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// The bytes of a whole message.
///
/// # Errors
///
/// As [`encode_head`].
pub fn encode(message: &Message) -> Result<Bytes, EncodeError> {
    let mut out = BytesMut::new();
    encode_head(
        message.wire,
        &message.envelope,
        message.headers.as_ref(),
        message.body.len(),
        &mut out,
    )?;
    out.put_slice(&message.body);
    Ok(out.freeze())
}

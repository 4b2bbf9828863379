//! A message in another transport and protocol.

use crate::codec::{DecodeError, Limits, Message, Wire, transcode};

/// Spells `message` as `wire` says. A body whose protocol stays is not touched; another is
/// written anew by the types it names. Headers go where the transport has none.
///
/// # Errors
///
/// As [`transcode`].
pub fn respell(message: Message, wire: Wire, limits: &Limits) -> Result<Message, DecodeError> {
    if message.wire == wire {
        return Ok(message);
    }
    let body = transcode(&message.body, message.wire.protocol, wire.protocol, limits)?;
    Ok(Message {
        wire,
        body,
        headers: message.headers.filter(|_| wire.transport.has_headers()),
        ..message
    })
}

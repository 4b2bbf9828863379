//! WebSocket frames (RFC 6455 section 5) around a stream of bytes, on the server's side.
//!
//! The codec does no I/O. What comes is unmasked where it lies, and the payloads of binary
//! frames are moved together: whoever reads sees bytes without frames, and it does not
//! matter to him where a frame or a message ends. What is sent gets one frame a write.
//! [`Io::over_websocket`](crate::io::Io::over_websocket) puts it around a connection.

mod incoming;
mod outgoing;

#[cfg(test)]
mod tests;

use thiserror::Error;
use tungstenite::protocol::frame::coding::CloseCode;

pub(crate) use self::incoming::{Incoming, Peer};
pub(crate) use self::outgoing::Outgoing;

/// What a WebSocket connection is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WebSocketOptions {
    /// The longest frame that the peer may send, in bytes of its payload.
    pub frame_bytes_max: u64,
}

impl Default for WebSocketOptions {
    fn default() -> Self {
        Self {
            frame_bytes_max: 16 * 1024 * 1024,
        }
    }
}

/// What a peer did that it may not; the connection is closed with the status in brackets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// A frame that breaks the protocol (RFC 6455 section 7.4.1, 1002).
    #[error("WebSocket: {0}")]
    Protocol(&'static str),
    /// A frame of text; only bytes are spoken (1003).
    #[error("WebSocket: a frame of text where bytes are expected")]
    Text,
    /// A longer frame than is taken (1009).
    #[error("WebSocket: a frame of {0} bytes is too long")]
    TooLong(u64),
}

impl Violation {
    pub(crate) const fn close_code(self) -> CloseCode {
        match self {
            Self::Protocol(_) => CloseCode::Protocol,
            Self::Text => CloseCode::Unsupported,
            Self::TooLong(_) => CloseCode::Size,
        }
    }
}

/// A control frame's payload is at most this long (RFC 6455 section 5.5).
const CONTROL_BYTES_MAX: u64 = 125;

/// The longest head of a frame: opcode, 64 bits of length, mask.
const HEAD_BYTES_MAX: usize = 14;

//! The HTTP/1.1 codec (RFC 9112), both roles, without I/O.
//!
//! A connection feeds it a `BytesMut` and gets heads and body pieces; it hands
//! over a head and body pieces and gets the bytes to write. The codec names no
//! socket, clock, thread or runtime. Invariants:
//!
//! - A message is parsed once, when it is whole: bytes that arrive in dribbles
//!   are looked at once each, and any split of the input gives the same events.
//! - Header values, the target and body data are slices of the input buffer.
//! - What frames a message (`Content-Length`, `Transfer-Encoding`,
//!   `Connection`) is decided while parsing and written anew while encoding; the
//!   fields in `Headers` are never trusted for it.
//! - A message that two readers could frame differently is an error.

mod authority;
mod body;
mod chunk;
mod encode;
mod encode_body;
mod encode_error;
mod error;
mod fields;
mod framing;
mod limits;
mod line;
mod request;
mod response;
mod scan;
mod target;
mod trailers;

pub use body::{BodyDecoder, BodyEvent};
pub use encode::{
    ConnectionField, EncodedBody, RequestTarget, encode_request_head, encode_response_head,
};
pub use encode_body::BodyEncoder;
pub use encode_error::EncodeError;
pub use error::ParseError;
pub use framing::{BodyLength, ConnectionIntent};
pub use limits::{Limits, MAX_HEADER_COUNT};
pub use request::{RequestHead, RequestParser};
pub use response::{ResponseHead, ResponseParser};

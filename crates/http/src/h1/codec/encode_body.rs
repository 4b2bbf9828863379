//! Frames body data for writing (RFC 9112 section 7.1). Called by both
//! connections.
//!
//! Data are never copied: what goes before them is appended to a buffer (after
//! the head, if it has not left yet) and what goes after them is returned, so
//! that head, data and suffix leave in one vectored write.

use bytes::BytesMut;
use http::{HeaderMap, HeaderName};

use super::trailers::{self, TrailerRule};
use super::{EncodeError, EncodedBody};

/// Keeps one body to what its head announced.
///
/// ```
/// use bytes::BytesMut;
/// use tidegate_http::h1::codec::{BodyEncoder, EncodeError, EncodedBody};
///
/// let mut head = BytesMut::from("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
/// let data = "hello";
/// let mut encoder = BodyEncoder::new(EncodedBody::Chunked);
/// let suffix = encoder.last_data(&mut head, data.len())?;
/// // One vectored write: [head and chunk size, data, suffix].
/// assert!(head.ends_with(b"\r\n\r\n5\r\n"));
/// assert_eq!(suffix, b"\r\n0\r\n\r\n");
/// # Ok::<(), EncodeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyEncoder {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Fixed { left: u64 },
    Chunked,
    Unframed,
    Complete,
}

impl BodyEncoder {
    /// An encoder for the body that a head with `body` announced.
    #[must_use]
    pub const fn new(body: EncodedBody) -> Self {
        let state = match body {
            EncodedBody::Fixed(left) => State::Fixed { left },
            EncodedBody::Chunked => State::Chunked,
            EncodedBody::UntilClose | EncodedBody::Tunnel => State::Unframed,
            EncodedBody::None | EncodedBody::Unsent(_) => State::Complete,
        };
        Self { state }
    }

    /// Frames the next `length` bytes of data: appends to `out` what goes
    /// before them and returns what goes after them.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BodyTooLong`] beyond the announced length, and
    /// [`EncodeError::AfterEnd`] where there is no body; nothing is appended.
    pub fn data(
        &mut self,
        out: &mut BytesMut,
        length: usize,
    ) -> Result<&'static [u8], EncodeError> {
        if length == 0 {
            return Ok(b"");
        }
        let added = length as u64;
        match &mut self.state {
            State::Fixed { left } => {
                let Some(remaining) = left.checked_sub(added) else {
                    return Err(EncodeError::BodyTooLong {
                        excess_bytes: added - *left,
                    });
                };
                *left = remaining;
                Ok(b"")
            }
            State::Chunked => {
                write_chunk_size(out, added);
                Ok(b"\r\n")
            }
            State::Unframed => Ok(b""),
            State::Complete => Err(EncodeError::AfterEnd),
        }
    }

    /// As [`data`](Self::data) followed by [`finish`](Self::finish) without
    /// trailers, so that the last data and the end leave in the same write.
    ///
    /// # Errors
    ///
    /// Those of both.
    pub fn last_data(
        &mut self,
        out: &mut BytesMut,
        length: usize,
    ) -> Result<&'static [u8], EncodeError> {
        let suffix = self.data(out, length)?;
        if self.state == State::Chunked {
            self.state = State::Complete;
            return Ok(if length == 0 {
                b"0\r\n\r\n"
            } else {
                b"\r\n0\r\n\r\n"
            });
        }
        self.finish(out, None)?;
        Ok(suffix)
    }

    /// Ends the body, appending to `out` what is needed for it. Trailers are
    /// written after a chunked body, less those that may not be trailers, and
    /// dropped otherwise. A second call does nothing.
    ///
    /// # Errors
    ///
    /// [`EncodeError::BodyTooShort`] when data is missing.
    pub fn finish(
        &mut self,
        out: &mut BytesMut,
        trailers: Option<&HeaderMap>,
    ) -> Result<(), EncodeError> {
        match self.state {
            State::Fixed { left: 0 } | State::Unframed | State::Complete => {}
            State::Fixed { left } => {
                return Err(EncodeError::BodyTooShort {
                    missing_bytes: left,
                });
            }
            State::Chunked => {
                out.extend_from_slice(b"0\r\n");
                for (name, value) in trailers.into_iter().flatten() {
                    if trailers::rule(name) == TrailerRule::Keep {
                        write_field(out, name, value.as_bytes());
                    }
                }
                out.extend_from_slice(b"\r\n");
            }
        }
        self.state = State::Complete;
        Ok(())
    }

    /// Whether the body has been ended, or never was one, or has all its
    /// announced bytes.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete | State::Fixed { left: 0 })
    }
}

/// Lower-case hexadecimal without leading zeros, and the line end. Never zero,
/// which would end the body.
fn write_chunk_size(out: &mut BytesMut, size: u64) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let count = (u64::BITS - size.leading_zeros()).div_ceil(4);
    let mut line = [0; 18];
    for index in 0..count {
        let shift = (count - 1 - index) * 4;
        line[index as usize] = DIGITS[(size >> shift) as usize & 15];
    }
    let count = count as usize;
    line[count] = b'\r';
    line[count + 1] = b'\n';
    out.extend_from_slice(&line[..count + 2]);
}

fn write_field(out: &mut BytesMut, name: &HeaderName, value: &[u8]) {
    for part in [name.as_str().as_bytes(), b": ", value, b"\r\n"] {
        out.extend_from_slice(part);
    }
}

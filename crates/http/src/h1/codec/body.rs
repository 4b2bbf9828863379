//! Message bodies as they arrive (RFC 9112 sections 6 and 7). Called by both
//! connections after a head. Data are slices of the input: nothing is copied.

use bytes::{Buf, Bytes, BytesMut};
use http::HeaderMap;

use super::chunk::{self, ChunkLines};
use super::trailers::TrailerParser;
use super::{BodyLength, Limits, ParseError};

/// What the bytes so far amount to.
#[derive(Debug)]
pub enum BodyEvent {
    /// Nothing until more input arrives.
    NeedInput,
    /// The next piece of the body; never empty.
    Data(Bytes),
    /// The fields after a chunked body that may be handed on; never empty.
    Trailers(HeaderMap),
    /// The body is complete. Input that remains belongs to the next message.
    End,
}

/// Decodes one body.
///
/// ```
/// use bytes::BytesMut;
/// use tidegate_http::h1::codec::{BodyDecoder, BodyEvent, BodyLength, Limits, ParseError};
///
/// let mut decoder = BodyDecoder::new(BodyLength::Chunked, &Limits::default());
/// let mut buffer = BytesMut::from("2\r\nhi\r\n0\r\n\r\nGET / HT");
/// let mut body = Vec::new();
/// while let BodyEvent::Data(data) = decoder.decode(&mut buffer)? {
///     body.extend_from_slice(&data);
/// }
/// assert!(decoder.is_complete());
/// assert_eq!(body, b"hi");
/// assert_eq!(buffer, "GET / HT");
/// # Ok::<(), ParseError>(())
/// ```
#[derive(Debug)]
pub struct BodyDecoder {
    state: State,
    /// Data bytes still within the limit, beyond those already announced.
    budget: u64,
    chunks: ChunkLines,
    trailer_bytes: usize,
    trailer_count: usize,
}

#[derive(Debug)]
enum State {
    Fixed { left: u64 },
    ChunkSize,
    ChunkData { left: u64 },
    ChunkEnd,
    Trailers(TrailerParser),
    UntilClose,
    Tunnel,
    Complete,
    Refused(ParseError),
}

impl BodyDecoder {
    /// A decoder for a body of the length a head announced.
    #[must_use]
    pub const fn new(length: BodyLength, limits: &Limits) -> Self {
        let state = match length {
            BodyLength::None | BodyLength::Fixed(0) => State::Complete,
            BodyLength::Fixed(left) => State::Fixed { left },
            BodyLength::Chunked => State::ChunkSize,
            BodyLength::UntilClose => State::UntilClose,
            BodyLength::Tunnel => State::Tunnel,
        };
        Self {
            state,
            budget: limits.body_bytes,
            chunks: ChunkLines::new(limits),
            trailer_bytes: limits.trailer_bytes,
            trailer_count: limits.header_count,
        }
    }

    /// Takes what it can off the front of `buffer`. Call it again, without new
    /// input, until it says [`BodyEvent::NeedInput`] or [`BodyEvent::End`].
    /// Between two calls bytes may only be added to `buffer`.
    ///
    /// # Errors
    ///
    /// Broken chunk framing or a limit exceeded, as soon as the bytes show it.
    /// Every further call gives the same error.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<BodyEvent, ParseError> {
        let event = self.next_event(buffer);
        if let Err(error) = event {
            self.state = State::Refused(error);
        }
        event
    }

    fn next_event(&mut self, buffer: &mut BytesMut) -> Result<BodyEvent, ParseError> {
        loop {
            match &mut self.state {
                State::Complete => return Ok(BodyEvent::End),
                State::Refused(error) => return Err(*error),
                _ if buffer.is_empty() => return Ok(BodyEvent::NeedInput),
                State::Tunnel => return Ok(BodyEvent::Data(buffer.split().freeze())),
                State::UntilClose => {
                    let data = take(buffer, &mut self.budget);
                    return data.map(BodyEvent::Data).ok_or(ParseError::BodyTooLarge);
                }
                State::Fixed { left } => {
                    let data = take(buffer, left);
                    if *left == 0 {
                        self.state = State::Complete;
                    }
                    return Ok(data.map_or(BodyEvent::End, BodyEvent::Data));
                }
                State::ChunkData { left } => {
                    let data = take(buffer, left);
                    if *left == 0 {
                        self.state = State::ChunkEnd;
                    }
                    if let Some(data) = data {
                        return Ok(BodyEvent::Data(data));
                    }
                }
                State::ChunkEnd => {
                    let Some(length) = chunk::line_end(buffer, ParseError::ChunkTerminator)? else {
                        return Ok(BodyEvent::NeedInput);
                    };
                    buffer.advance(length);
                    self.state = State::ChunkSize;
                }
                State::ChunkSize => {
                    let Some(line) = self.chunks.read(buffer)? else {
                        return Ok(BodyEvent::NeedInput);
                    };
                    buffer.advance(line.length);
                    self.start_chunk(line.size)?;
                }
                State::Trailers(parser) => {
                    let Some(trailers) = parser.parse(buffer)? else {
                        return Ok(BodyEvent::NeedInput);
                    };
                    self.state = State::Complete;
                    if !trailers.is_empty() {
                        return Ok(BodyEvent::Trailers(trailers));
                    }
                }
            }
        }
    }

    /// The connection ended and `buffer` has been decoded to the last byte.
    ///
    /// # Errors
    ///
    /// [`ParseError::Truncated`] when the body was not complete, and again what
    /// [`decode`](Self::decode) refused it for.
    pub fn finish(&mut self) -> Result<BodyEvent, ParseError> {
        match self.state {
            State::Complete | State::UntilClose | State::Tunnel => {
                self.state = State::Complete;
                Ok(BodyEvent::End)
            }
            State::Refused(error) => Err(error),
            _ => Err(ParseError::Truncated),
        }
    }

    /// Whether everything up to the end of the body has been handed out, so
    /// that the next message may be read from the same buffer.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        matches!(self.state, State::Complete)
    }

    /// How many bytes of data are still to come, where the head announced it.
    #[must_use]
    pub const fn remaining(&self) -> Option<u64> {
        match self.state {
            State::Complete => Some(0),
            State::Fixed { left } => Some(left),
            _ => None,
        }
    }

    fn start_chunk(&mut self, size: u64) -> Result<(), ParseError> {
        self.budget = self
            .budget
            .checked_sub(size)
            .ok_or(ParseError::BodyTooLarge)?;
        self.state = if size == 0 {
            State::Trailers(TrailerParser::new(self.trailer_bytes, self.trailer_count))
        } else {
            State::ChunkData { left: size }
        };
        Ok(())
    }
}

/// At most `left` bytes off the front of `buffer`, counted down; `None` when
/// that is nothing.
fn take(buffer: &mut BytesMut, left: &mut u64) -> Option<Bytes> {
    let length = usize::try_from(*left).map_or(buffer.len(), |left| left.min(buffer.len()));
    if length == 0 {
        return None;
    }
    *left -= length as u64;
    if length == buffer.len() {
        return Some(buffer.split().freeze());
    }
    Some(buffer.split_to(length).freeze())
}

//! Messages out of a buffer, one at a time, as soon as they are whole.
//!
//! Lengths are judged as soon as they are there, before anything more is buffered. Any
//! split of the input gives the same messages and the same error.

use bytes::{Bytes, BytesMut};

use super::cursor::{Cursor, Read, Stop, whole};
use super::detect::{TTHEADER_MAGIC, detect};
use super::envelope::{self, Located};
use super::error::DecodeError;
use super::headers::Headers;
use super::limits::Limits;
use super::message::{Envelope, Message, MessageKind, Protocol, Transport, Wire};
use super::walk::Walk;

/// The bytes of a TTHeader between its length and its variable part.
const HEADER_FIXED_BYTES: usize = 10;

/// Reads the messages of one connection.
///
/// ```
/// use bytes::BytesMut;
/// use tidegate_thrift::codec::{Decoder, Limits, Transport};
///
/// let mut decoder = Decoder::new(Limits::default());
/// let mut buffer = BytesMut::from(&b"\0\0\0\x11\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x07"[..]);
/// assert_eq!(decoder.decode(&mut buffer), Ok(None));
/// buffer.extend_from_slice(b"\0");
/// let message = decoder.decode(&mut buffer)?.expect("the last byte is there");
/// assert_eq!(message.wire.transport, Transport::Framed);
/// assert_eq!((&*message.envelope.method, message.envelope.sequence_id), ("ping", 7));
/// # Ok::<(), tidegate_thrift::codec::DecodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    limits: Limits,
    transport: Option<Transport>,
    /// Without frames: the message whose end is being looked for.
    unended: Option<Box<(Located, Walk)>>,
}

/// What is known of a message that could not be read, to answer it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// How the answer is to be spelt.
    pub wire: Wire,
    /// The message's envelope; of a call without name or number if it is unknown.
    pub envelope: Envelope,
}

impl Decoder {
    /// Reads what a client sends; its first bytes say which transport it uses.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self {
            limits,
            transport: None,
            unended: None,
        }
    }

    /// Reads messages of a known transport: what a server answers. Both TTHeaders are the
    /// same to it.
    #[must_use]
    pub const fn with_transport(limits: Limits, transport: Transport) -> Self {
        Self {
            limits,
            transport: Some(transport),
            unended: None,
        }
    }

    /// The transport, if it is known yet.
    #[must_use]
    pub const fn transport(&self) -> Option<Transport> {
        self.transport
    }

    /// Holds the next messages to other limits. One that has begun stays under its own where
    /// it is looked through piece by piece.
    pub const fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Takes the next message off the buffer. Nothing is taken while it is not whole, and
    /// the buffer must then only grow until the next call.
    ///
    /// # Errors
    ///
    /// When the peer breaks the protocol or a limit. The connection has to end.
    pub fn decode(&mut self, buffer: &mut BytesMut) -> Result<Option<Message>, DecodeError> {
        let taken = match self.told_transport(buffer) {
            Ok(Transport::Unframed) => self.unframed(buffer),
            Ok(Transport::Framed) => self.framed(buffer),
            Ok(Transport::TtHeader | Transport::TtHeaderFramed) => self.with_header(buffer),
            Err(stop) => Err(stop),
        };
        match taken {
            Ok(message) => Ok(Some(message)),
            Err(Stop::Short) => Ok(None),
            Err(Stop::Bad(error)) => Err(error),
        }
    }

    /// How many bytes the message at the start of the buffer has, as soon as that is known:
    /// it is, with frames, from the first four. So a large one can be read into memory of
    /// its size.
    ///
    /// # Errors
    ///
    /// As [`decode`](Self::decode).
    pub fn message_bytes(&self, buffer: &[u8]) -> Result<Option<usize>, DecodeError> {
        match self.transport {
            None | Some(Transport::Unframed) => Ok(None),
            Some(_) => match self.frame(buffer, 0) {
                Ok((_, end)) => Ok(Some(end)),
                Err(Stop::Short) => Ok(None),
                Err(Stop::Bad(error)) => Err(error),
            },
        }
    }

    /// What can be told, after an error, of the message at the start of the buffer; `None` if
    /// not even the transport can.
    #[must_use]
    pub fn refused(&self, buffer: &[u8]) -> Option<Refused> {
        let transport = self.transport?;
        let mut cursor = Cursor::at(buffer, 0);
        let start = match transport {
            Transport::Unframed => 0,
            Transport::Framed => 4,
            Transport::TtHeader | Transport::TtHeaderFramed => {
                cursor.skip(12);
                14 + usize::from(cursor.u16().ok()?) * 4
            }
        };
        let located = envelope::locate(buffer, start, &self.limits).ok();
        let envelope = located.and_then(|located| {
            located
                .take(&Bytes::copy_from_slice(&buffer[..located.body]))
                .ok()
        });
        Some(Refused {
            wire: Wire {
                transport,
                protocol: located.map_or(Protocol::Binary, |located| located.protocol),
            },
            envelope: envelope.unwrap_or_else(|| Envelope {
                method: "".into(),
                kind: MessageKind::Call,
                sequence_id: 0,
            }),
        })
    }

    fn told_transport(&mut self, buffer: &[u8]) -> Read<Transport> {
        match self.transport {
            Some(transport) => Ok(transport),
            None => {
                let transport = detect(buffer)?;
                self.transport = Some(transport);
                Ok(transport)
            }
        }
    }

    fn unframed(&mut self, buffer: &mut BytesMut) -> Read<Message> {
        let unended = match &mut self.unended {
            Some(unended) => unended,
            empty => {
                let located = envelope::locate(buffer, 0, &self.limits)?;
                let walk = Walk::of_stream(located.protocol, located.body, &self.limits);
                empty.insert(Box::new((located, walk)))
            }
        };
        let end = unended.1.find_end(buffer)?;
        let located = unended.0;
        self.unended = None;
        message(
            Transport::Unframed,
            located,
            None,
            &buffer.split_to(end).freeze(),
        )
    }

    fn framed(&self, buffer: &mut BytesMut) -> Read<Message> {
        let (start, end) = self.frame(buffer, 0)?;
        let frame = buffer.get(..end).ok_or(Stop::Short)?;
        let located = self.locate(frame, start)?;
        message(
            Transport::Framed,
            located,
            None,
            &buffer.split_to(end).freeze(),
        )
    }

    fn with_header(&self, buffer: &mut BytesMut) -> Read<Message> {
        let (start, end) = self.frame(buffer, 0)?;
        if end - start < HEADER_FIXED_BYTES {
            return Err(DecodeError::Header.into());
        }
        let mut cursor = Cursor::at(buffer, start);
        let magic = cursor.array()?;
        if magic != TTHEADER_MAGIC {
            return Err(DecodeError::HeaderMagic.into());
        }
        let flags = cursor.u16()?;
        let sequence_id = i32::from_be_bytes(cursor.array()?);
        let bytes = usize::from(cursor.u16()?) * 4;
        if bytes > self.limits.header_bytes {
            return Err(DecodeError::HeaderTooLarge { bytes }.into());
        }
        let variable = cursor.position();
        let payload = variable + bytes;
        if payload > end {
            return Err(DecodeError::Header.into());
        }
        let frame = buffer.get(..end).ok_or(Stop::Short)?;
        // A payload that begins with a length: of a frame, if it is the payload's, or of an
        // old binary message's name.
        let inner = self.frame(frame, payload);
        let (transport, start) = match inner {
            Ok((start, inner_end)) if inner_end == end => (Transport::TtHeaderFramed, start),
            _ => (Transport::TtHeader, payload),
        };
        let located = self.locate(frame, start)?;
        // Which protocol the payload is in it says itself. What the header says of it is often
        // wrong: Volo's clients write "binary" over compact payloads, too.
        Headers::judge(&frame[variable..payload])?;
        let bytes = buffer.split_to(end).freeze();
        let blocks = bytes.slice(variable..payload);
        let headers = Headers::judged(flags, sequence_id, &blocks);
        message(transport, located, Some(headers), &bytes)
    }

    /// Where the frame whose length is at `at` begins and ends.
    fn frame(&self, bytes: &[u8], at: usize) -> Read<(usize, usize)> {
        let mut cursor = Cursor::at(bytes, at);
        let length = cursor.length()?;
        let start = cursor.position();
        let limit = self.limits.message_bytes;
        match start.checked_add(length) {
            Some(end) if end <= limit => Ok((start, end)),
            _ => Err(DecodeError::MessageTooLarge { limit }.into()),
        }
    }

    /// The envelope at `start` of a frame that is all there.
    fn locate(&self, frame: &[u8], start: usize) -> Read<Located> {
        Ok(whole(envelope::locate(frame, start, &self.limits))?)
    }
}

/// The message in its own `bytes`, which have been judged.
fn message(
    transport: Transport,
    located: Located,
    headers: Option<Headers>,
    bytes: &Bytes,
) -> Read<Message> {
    Ok(Message {
        wire: Wire {
            transport,
            protocol: located.protocol,
        },
        envelope: located.take(bytes)?,
        headers,
        body: bytes.slice(located.body..),
    })
}

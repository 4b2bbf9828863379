//! The header of a TTHeader message: keys and values beside the envelope.
//!
//! What was received is kept as the bytes it came in and read when it is asked for, so
//! that a relayed header costs no allocation and loses nothing, known or not.

use bytes::{BufMut, Bytes, BytesMut};

use super::cursor::{Cursor, whole};
use super::encode::EncodeError;
use super::error::DecodeError;
use super::message::Protocol;

/// Blocks of the header's variable part.
mod block {
    pub(super) const PADDING: u8 = 0x00;
    /// Texts by text.
    pub(super) const NAMED: u8 = 0x01;
    /// Texts by number.
    pub(super) const NUMBERED: u8 = 0x10;
    /// An access token.
    pub(super) const TOKEN: u8 = 0x11;
}

/// What a header calls the protocol of its payload.
const PROTOCOL_BINARY: u8 = 0;
const PROTOCOL_COMPACT: u8 = 2;

/// The most a header can have: its length is counted in words, in two bytes.
pub(super) const HEADER_BYTES_LARGEST: usize = u16::MAX as usize * 4;

/// Under what a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderKey<'a> {
    /// A text.
    Name(&'a [u8]),
    /// A number of the registry that CloudWeGo's implementations share.
    Number(u16),
    /// The access token, of which there is one.
    Token,
}

impl HeaderKey<'static> {
    /// The service that is called.
    pub const TO_SERVICE: Self = Self::Number(6);
    /// The method that is called.
    pub const TO_METHOD: Self = Self::Number(9);
    /// The service that calls.
    pub const FROM_SERVICE: Self = Self::Number(3);
}

/// A value: text, usually.
pub type HeaderValue<'a> = &'a [u8];

/// A received header, or one that was built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// Flags of the message, which have no meaning that all agree on.
    pub flags: u16,
    /// The number in the header. Peers that multiplex use it instead of the envelope's.
    pub sequence_id: i32,
    /// Blocks, each well-formed.
    blocks: Bytes,
}

impl Headers {
    /// A header without keys.
    #[must_use]
    pub const fn empty(sequence_id: i32) -> Self {
        Self {
            flags: 0,
            sequence_id,
            blocks: Bytes::new(),
        }
    }

    /// The first value under `key`. Reads through the header.
    #[must_use]
    pub fn get(&self, key: HeaderKey<'_>) -> Option<HeaderValue<'_>> {
        self.iter()
            .find_map(|(found, value)| (found == key).then_some(value))
    }

    /// All keys and values, in the order they came in.
    #[must_use]
    pub fn iter(&self) -> HeadersIter<'_> {
        HeadersIter::of(&self.blocks)
    }

    /// Judges the variable part of a header: protocol, transforms, blocks.
    pub(super) fn judge(variable: &[u8]) -> Result<(), DecodeError> {
        let [protocol, transforms, blocks @ ..] = variable else {
            return Err(DecodeError::Header);
        };
        if ![PROTOCOL_BINARY, PROTOCOL_COMPACT].contains(protocol) {
            return Err(DecodeError::HeaderProtocol(*protocol));
        }
        if *transforms != 0 {
            return Err(DecodeError::Transform);
        }
        let mut pairs = HeadersIter::of(blocks);
        while pairs.advance().map_err(|_| DecodeError::Header)?.is_some() {}
        Ok(())
    }

    /// A header whose variable part has been judged.
    pub(super) fn judged(flags: u16, sequence_id: i32, variable: &Bytes) -> Self {
        Self {
            flags,
            sequence_id,
            blocks: variable.slice(2..),
        }
    }

    /// The bytes of the variable part, padding included.
    pub(super) const fn variable_bytes(&self) -> usize {
        (2 + self.blocks.len()).next_multiple_of(4)
    }

    /// Writes the variable part.
    pub(super) fn write(&self, out: &mut BytesMut, protocol: Protocol) {
        out.put_u8(match protocol {
            Protocol::Binary | Protocol::BinaryOld => PROTOCOL_BINARY,
            Protocol::Compact => PROTOCOL_COMPACT,
        });
        out.put_u8(0);
        out.put_slice(&self.blocks);
        out.put_bytes(0, self.variable_bytes() - 2 - self.blocks.len());
    }
}

impl<'a> IntoIterator for &'a Headers {
    type Item = (HeaderKey<'a>, HeaderValue<'a>);
    type IntoIter = HeadersIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// The keys and values of [`Headers`].
#[derive(Clone, Debug)]
pub struct HeadersIter<'a> {
    cursor: Cursor<'a>,
    block: u8,
    left: u16,
}

impl<'a> HeadersIter<'a> {
    const fn of(blocks: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::at(blocks, 0),
            block: block::PADDING,
            left: 0,
        }
    }

    /// The next pair, or why there is none.
    fn advance(&mut self) -> Result<Option<(HeaderKey<'a>, HeaderValue<'a>)>, DecodeError> {
        while self.left == 0 {
            let Ok(block) = self.cursor.u8() else {
                return Ok(None);
            };
            self.block = block;
            self.left = match block {
                block::PADDING => 0,
                block::NAMED | block::NUMBERED => whole(self.cursor.u16())?,
                block::TOKEN => 1,
                _ => return Err(DecodeError::Header),
            };
        }
        self.left -= 1;
        let key = match self.block {
            block::NAMED => HeaderKey::Name(self.text()?),
            block::NUMBERED => HeaderKey::Number(whole(self.cursor.u16())?),
            _ => HeaderKey::Token,
        };
        Ok(Some((key, self.text()?)))
    }

    fn text(&mut self) -> Result<&'a [u8], DecodeError> {
        let bytes = whole(self.cursor.u16())?;
        whole(self.cursor.take(bytes.into()))
    }
}

impl<'a> Iterator for HeadersIter<'a> {
    type Item = (HeaderKey<'a>, HeaderValue<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        // Blocks are judged before they get into `Headers`.
        self.advance().ok().flatten()
    }
}

/// Builds [`Headers`].
///
/// ```
/// use tidegate_thrift::codec::{HeaderKey, HeadersBuilder};
///
/// let headers = HeadersBuilder::new(7)
///     .with(HeaderKey::TO_METHOD, "ping")?
///     .with(HeaderKey::Name(b"region"), "north")?
///     .build();
/// assert_eq!(headers.get(HeaderKey::Name(b"region")), Some(&b"north"[..]));
/// # Ok::<(), tidegate_thrift::codec::EncodeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct HeadersBuilder {
    sequence_id: i32,
    blocks: BytesMut,
}

impl HeadersBuilder {
    /// A builder of the header of message `sequence_id`.
    #[must_use]
    pub fn new(sequence_id: i32) -> Self {
        Self {
            sequence_id,
            blocks: BytesMut::new(),
        }
    }

    /// Adds everything of `headers`.
    ///
    /// # Errors
    ///
    /// The header becomes too large.
    pub fn extend(mut self, headers: &Headers) -> Result<Self, EncodeError> {
        self.blocks.put_slice(&headers.blocks);
        self.check()
    }

    /// Adds a value under `key`.
    ///
    /// # Errors
    ///
    /// Key, value or header are too large.
    pub fn with(
        mut self,
        key: HeaderKey<'_>,
        value: impl AsRef<[u8]>,
    ) -> Result<Self, EncodeError> {
        let value = value.as_ref();
        match key {
            HeaderKey::Number(number) => {
                self.blocks.put_u8(block::NUMBERED);
                self.blocks.put_u16(1);
                self.blocks.put_u16(number);
            }
            HeaderKey::Name(name) => {
                self.blocks.put_u8(block::NAMED);
                self.blocks.put_u16(1);
                self.text(name)?;
            }
            HeaderKey::Token => self.blocks.put_u8(block::TOKEN),
        }
        self.text(value)?;
        self.check()
    }

    /// The header.
    #[must_use]
    pub fn build(self) -> Headers {
        Headers {
            flags: 0,
            sequence_id: self.sequence_id,
            blocks: self.blocks.freeze(),
        }
    }

    fn check(self) -> Result<Self, EncodeError> {
        if self.blocks.len() + 2 > HEADER_BYTES_LARGEST {
            return Err(EncodeError::Header);
        }
        Ok(self)
    }

    fn text(&mut self, text: &[u8]) -> Result<(), EncodeError> {
        let bytes = u16::try_from(text.len()).map_err(|_| EncodeError::Header)?;
        self.blocks.put_u16(bytes);
        self.blocks.put_slice(text);
        Ok(())
    }
}

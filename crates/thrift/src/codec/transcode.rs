//! A body in the other protocol, by the types it names itself.

use bytes::{BufMut, Bytes, BytesMut};
use smallvec::{SmallVec, smallvec};

use super::cursor::{whole, zigzag};
use super::error::DecodeError;
use super::limits::Limits;
use super::message::Protocol;
use super::value_type::ValueType;
use super::walk::{Token, Walk};

/// Writes `body`, which is a struct in the protocol `from`, in the protocol `to`.
///
/// Both protocols name the type of every value, so nothing is lost; a body in the same
/// protocol is returned as it is, unread.
///
/// # Errors
///
/// When the body is not exactly one struct, is nested deeper than [`Limits::depth`], or
/// becomes larger than [`Limits::message_bytes`].
pub fn transcode(
    body: &Bytes,
    from: Protocol,
    to: Protocol,
    limits: &Limits,
) -> Result<Bytes, DecodeError> {
    if from.shares_body_with(to) {
        return Ok(body.clone());
    }
    let mut walk = Walk::of_body(from, body, limits.depth);
    let mut writer = Writer::new(to, body);
    while let Some(token) = whole(walk.next(body))? {
        writer.write(token);
        if writer.out.len() > limits.message_bytes {
            return Err(DecodeError::MessageTooLarge {
                limit: limits.message_bytes,
            });
        }
    }
    if walk.position() < body.len() {
        return Err(DecodeError::TrailingBytes);
    }
    Ok(writer.out.freeze())
}

struct Writer<'a> {
    is_compact: bool,
    input: &'a [u8],
    out: BytesMut,
    /// The last field of each struct that is open: the compact protocol writes differences.
    last_fields: SmallVec<[i16; 8]>,
}

impl<'a> Writer<'a> {
    fn new(to: Protocol, input: &'a [u8]) -> Self {
        Self {
            is_compact: to == Protocol::Compact,
            input,
            out: BytesMut::with_capacity(input.len()),
            last_fields: smallvec![0],
        }
    }

    fn write(&mut self, token: Token) {
        match token {
            Token::Struct => self.last_fields.push(0),
            Token::Stop => {
                self.last_fields.pop();
                self.out.put_u8(0);
            }
            Token::Byte(value) => self.out.put_u8(value),
            Token::Uuid(value) => self.out.put_slice(&value),
            Token::Text { start, length } => {
                self.length(length);
                // In range: the walk has read on behind it.
                let text = self.input.get(start..start + length);
                self.out.put_slice(text.unwrap_or_default());
            }
            token if self.is_compact => self.compact(token),
            token => self.binary(token),
        }
    }

    fn length(&mut self, length: usize) {
        if self.is_compact {
            put_variable(&mut self.out, length as u64);
        } else {
            self.out.put_u32(length as u32);
        }
    }

    fn binary(&mut self, token: Token) {
        let out = &mut self.out;
        match token {
            Token::Field { kind, id } => {
                out.put_u8(kind.binary());
                out.put_i16(id);
            }
            Token::BoolField { id, value } => {
                out.put_u8(ValueType::Bool.binary());
                out.put_i16(id);
                out.put_u8(value.into());
            }
            Token::Bool(value) => out.put_u8(value.into()),
            Token::Int16(value) => out.put_i16(value),
            Token::Int32(value) => out.put_i32(value),
            Token::Int64(value) => out.put_i64(value),
            Token::Double(bits) => out.put_u64(bits),
            Token::Sequence { elements, length } => {
                out.put_u8(elements.binary());
                out.put_u32(length as u32);
            }
            Token::Map { types, length } => {
                let (key, value) = types.unwrap_or((ValueType::Byte, ValueType::Byte));
                out.put_u8(key.binary());
                out.put_u8(value.binary());
                out.put_u32(length as u32);
            }
            Token::Struct | Token::Stop | Token::Byte(_) | Token::Uuid(_) | Token::Text { .. } => {}
        }
    }

    fn compact(&mut self, token: Token) {
        match token {
            Token::Field { kind, id } => self.compact_field(kind.compact(), id),
            Token::BoolField { id, value } => self.compact_field(compact_bool(value), id),
            Token::Bool(value) => self.out.put_u8(compact_bool(value)),
            Token::Int16(value) => put_variable(&mut self.out, zigzag(value.into())),
            Token::Int32(value) => put_variable(&mut self.out, zigzag(value.into())),
            Token::Int64(value) => put_variable(&mut self.out, zigzag(value)),
            Token::Double(bits) => self.out.put_u64_le(bits),
            Token::Sequence { elements, length } => match length {
                0..15 => self.out.put_u8((length as u8) << 4 | elements.compact()),
                _ => {
                    self.out.put_u8(0xf0 | elements.compact());
                    put_variable(&mut self.out, length as u64);
                }
            },
            Token::Map { types, length } => {
                put_variable(&mut self.out, length as u64);
                if let Some((key, value)) = types {
                    self.out.put_u8(key.compact() << 4 | value.compact());
                }
            }
            Token::Struct | Token::Stop | Token::Byte(_) | Token::Uuid(_) | Token::Text { .. } => {}
        }
    }

    fn compact_field(&mut self, code: u8, id: i16) {
        let last = self.last_fields.last_mut();
        let step = last.map_or(0, |last| {
            let step = i32::from(id) - i32::from(*last);
            *last = id;
            step
        });
        match step {
            1..=15 => self.out.put_u8((step as u8) << 4 | code),
            _ => {
                self.out.put_u8(code);
                put_variable(&mut self.out, zigzag(id.into()));
            }
        }
    }
}

const fn compact_bool(value: bool) -> u8 {
    if value { 1 } else { 2 }
}

/// Writes seven bits a byte, lowest first.
pub(super) fn put_variable(out: &mut BytesMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

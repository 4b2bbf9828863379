//! Walking through a struct by the types it names itself, without an IDL.
//!
//! A walk can stop anywhere for want of bytes and goes on from there, so that a large
//! body that arrives in small pieces is looked at once. It allocates for depth alone,
//! and depth is bounded.

use smallvec::{SmallVec, smallvec};

use super::cursor::{Cursor, Read, Stop, unzigzag};
use super::error::DecodeError;
use super::limits::Limits;
use super::message::Protocol;
use super::value_type::ValueType;

/// What a struct is made of, in the order of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A struct begins; the body itself does so without a token.
    Struct,
    /// It ends.
    Stop,
    /// A field, whose value follows.
    Field {
        kind: ValueType,
        id: i16,
    },
    /// A field whose value is part of its head in the compact protocol.
    BoolField {
        id: i16,
        value: bool,
    },
    Bool(bool),
    Byte(u8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    /// The bits of the number.
    Double(u64),
    /// Where in the input its bytes are.
    Text {
        start: usize,
        length: usize,
    },
    Uuid([u8; 16]),
    /// As many values follow.
    Sequence {
        elements: ValueType,
        length: usize,
    },
    /// As many pairs follow.
    Map {
        types: Option<(ValueType, ValueType)>,
        length: usize,
    },
}

#[derive(Clone, Debug)]
enum Level {
    /// Fields up to a stop; the number of the last one.
    Fields { last: i16 },
    /// Values of one type.
    Elements { kind: ValueType, left: usize },
    /// Values of two types in turn: the next one's is the first.
    Pairs {
        next: ValueType,
        other: ValueType,
        left: usize,
    },
}

/// A walk through one struct.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    protocol: Protocol,
    at: usize,
    /// Where the struct has to be at its end, and what it is if it goes on.
    end: usize,
    beyond: DecodeError,
    depth: usize,
    levels: SmallVec<[Level; 8]>,
    /// The value that a field's head has announced.
    announced: Option<ValueType>,
}

impl Walk {
    /// A walk through the struct at `start` of a stream, of which no more than the limit of a
    /// message is walked.
    pub(super) fn of_stream(protocol: Protocol, start: usize, limits: &Limits) -> Self {
        let limit = limits.message_bytes;
        let beyond = DecodeError::MessageTooLarge { limit };
        Self::new(protocol, start, limit, beyond, limits.depth)
    }

    /// A walk through the struct that fills `bytes`.
    pub(super) fn of_body(protocol: Protocol, bytes: &[u8], depth: usize) -> Self {
        Self::new(protocol, 0, bytes.len(), DecodeError::Truncated, depth)
    }

    fn new(protocol: Protocol, at: usize, end: usize, beyond: DecodeError, depth: usize) -> Self {
        Self {
            protocol,
            at,
            end,
            beyond,
            depth,
            levels: smallvec![Level::Fields { last: 0 }],
            announced: None,
        }
    }

    /// Where it has come to.
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    /// Goes to the end of the struct and says where that is.
    pub(super) fn find_end(&mut self, bytes: &[u8]) -> Read<usize> {
        loop {
            self.leap()?;
            if self.next(bytes)?.is_none() {
                return Ok(self.at);
            }
        }
    }

    /// Passes over elements that all have the same size.
    fn leap(&mut self) -> Read<()> {
        if self.announced.is_none()
            && self.protocol != Protocol::Compact
            && let Some(Level::Elements { kind, left }) = self.levels.last()
            && let Some(bytes) = kind.binary_bytes()
        {
            // No overflow: the product was checked when the elements were announced.
            self.at += left * bytes;
            self.levels.pop();
        }
        self.check(self.at)
    }

    /// The next token; `None` once the struct has ended. Nothing is taken while it is not whole.
    pub(super) fn next(&mut self, bytes: &[u8]) -> Read<Option<Token>> {
        let mut cursor = Cursor::at(bytes, self.at);
        loop {
            if let Some(kind) = self.announced {
                let token = self.value(kind, &mut cursor)?;
                return self.taken(cursor, token);
            }
            let Some(level) = self.levels.last() else {
                return Ok(None);
            };
            let kind = match *level {
                Level::Fields { last } => {
                    let token = self.field(last, &mut cursor)?;
                    return self.taken(cursor, token);
                }
                Level::Elements { left: 0, .. } | Level::Pairs { left: 0, .. } => {
                    self.levels.pop();
                    continue;
                }
                Level::Elements { kind, .. } => kind,
                Level::Pairs { next, .. } => next,
            };
            // The count changes only when the value is there: `value` may push above it.
            let level = self.levels.len() - 1;
            let token = self.value(kind, &mut cursor)?;
            self.levels[level].count_one();
            return self.taken(cursor, token);
        }
    }

    fn taken(&mut self, cursor: Cursor<'_>, token: Token) -> Read<Option<Token>> {
        self.check(cursor.position())?;
        self.at = cursor.position();
        match token {
            Token::Stop => {
                self.levels.pop();
            }
            Token::Field { kind, id } => {
                self.announced = Some(kind);
                self.field_was(id);
            }
            Token::BoolField { id, .. } => self.field_was(id),
            _ => self.announced = None,
        }
        Ok(Some(token))
    }

    fn field_was(&mut self, id: i16) {
        if let Some(Level::Fields { last }) = self.levels.last_mut() {
            *last = id;
        }
    }

    const fn check(&self, at: usize) -> Read<()> {
        if at > self.end {
            return Err(Stop::Bad(self.beyond));
        }
        Ok(())
    }

    /// Whether `count` values of at least `bytes` each can still come.
    fn check_count(&self, cursor: &Cursor<'_>, count: usize, bytes: usize) -> Read<()> {
        let wanted = count.saturating_mul(bytes);
        self.check(cursor.position().saturating_add(wanted))
    }

    fn push(&mut self, level: Level) -> Read<()> {
        if self.levels.len() >= self.depth {
            return Err(DecodeError::TooDeep { limit: self.depth }.into());
        }
        self.levels.push(level);
        Ok(())
    }

    fn field(&self, last: i16, cursor: &mut Cursor<'_>) -> Read<Token> {
        let first = cursor.u8()?;
        if first == 0 {
            return Ok(Token::Stop);
        }
        if self.protocol != Protocol::Compact {
            let kind = ValueType::from_binary(first)?;
            let id = i16::from_be_bytes(cursor.array()?);
            return Ok(match kind {
                ValueType::Bool => Token::BoolField {
                    id,
                    value: cursor.u8()? != 0,
                },
                kind => Token::Field { kind, id },
            });
        }
        let kind = ValueType::from_compact(first & 0x0f)?;
        let id = match first >> 4 {
            0 => unzigzag(cursor.variable(16)?) as i16,
            step => last
                .checked_add(i16::from(step))
                .ok_or(DecodeError::FieldNumber)?,
        };
        Ok(match kind {
            ValueType::Bool => Token::BoolField {
                id,
                value: first & 0x0f == 1,
            },
            kind => Token::Field { kind, id },
        })
    }

    fn value(&mut self, kind: ValueType, cursor: &mut Cursor<'_>) -> Read<Token> {
        match kind {
            ValueType::Struct => {
                self.push(Level::Fields { last: 0 })?;
                Ok(Token::Struct)
            }
            ValueType::Uuid => cursor.array().map(Token::Uuid),
            ValueType::Byte => cursor.u8().map(Token::Byte),
            ValueType::List | ValueType::Set => self.sequence(cursor),
            ValueType::Map => self.map(cursor),
            ValueType::Text => {
                let length = match self.protocol {
                    Protocol::Compact => cursor.variable_length()?,
                    _ => cursor.length()?,
                };
                let start = cursor.position();
                cursor.skip(length);
                Ok(Token::Text { start, length })
            }
            _ if self.protocol == Protocol::Compact => compact_scalar(kind, cursor),
            _ => binary_scalar(kind, cursor),
        }
    }

    fn sequence(&mut self, cursor: &mut Cursor<'_>) -> Read<Token> {
        let first = cursor.u8()?;
        let (elements, length, bytes_min) = if self.protocol == Protocol::Compact {
            let length = match first >> 4 {
                0x0f => cursor.variable_length()?,
                length => usize::from(length),
            };
            (ValueType::from_compact(first & 0x0f)?, length, 1)
        } else {
            let elements = binary_element(first, cursor.length()?)?;
            (elements.0, elements.1, elements.0.binary_bytes_min())
        };
        self.check_count(cursor, length, bytes_min)?;
        self.push(Level::Elements {
            kind: elements,
            left: length,
        })?;
        Ok(Token::Sequence { elements, length })
    }

    fn map(&mut self, cursor: &mut Cursor<'_>) -> Read<Token> {
        let (types, length, bytes_min) = if self.protocol == Protocol::Compact {
            match cursor.variable_length()? {
                0 => (None, 0, 0),
                length => {
                    let codes = cursor.u8()?;
                    let key = ValueType::from_compact(codes >> 4)?;
                    (
                        Some((key, ValueType::from_compact(codes & 0x0f)?)),
                        length,
                        2,
                    )
                }
            }
        } else {
            let [key, value] = cursor.array()?;
            match cursor.length()? {
                // Writers may leave the types of an empty map open.
                0 => (None, 0, 0),
                length => {
                    let key = ValueType::from_binary(key)?;
                    let value = ValueType::from_binary(value)?;
                    let bytes = key.binary_bytes_min() + value.binary_bytes_min();
                    (Some((key, value)), length, bytes)
                }
            }
        };
        self.check_count(cursor, length, bytes_min)?;
        let (next, other) = types.unwrap_or((ValueType::Byte, ValueType::Byte));
        self.push(Level::Pairs {
            next,
            other,
            left: 2 * length,
        })?;
        Ok(Token::Map { types, length })
    }
}

impl Level {
    const fn count_one(&mut self) {
        match self {
            Self::Fields { .. } => {}
            Self::Elements { left, .. } => *left -= 1,
            Self::Pairs { next, other, left } => {
                *left -= 1;
                std::mem::swap(next, other);
            }
        }
    }
}

/// The type of elements, which writers may leave open where there are none.
fn binary_element(code: u8, length: usize) -> Read<(ValueType, usize)> {
    match (ValueType::from_binary(code), length) {
        (Ok(kind), length) => Ok((kind, length)),
        (Err(_), 0) => Ok((ValueType::Byte, 0)),
        (Err(error), _) => Err(error.into()),
    }
}

fn binary_scalar(kind: ValueType, cursor: &mut Cursor<'_>) -> Read<Token> {
    Ok(match kind {
        ValueType::Bool => Token::Bool(cursor.u8()? != 0),
        ValueType::Int16 => Token::Int16(i16::from_be_bytes(cursor.array()?)),
        ValueType::Int32 => Token::Int32(i32::from_be_bytes(cursor.array()?)),
        ValueType::Int64 => Token::Int64(i64::from_be_bytes(cursor.array()?)),
        _ => Token::Double(u64::from_be_bytes(cursor.array()?)),
    })
}

fn compact_scalar(kind: ValueType, cursor: &mut Cursor<'_>) -> Read<Token> {
    Ok(match kind {
        ValueType::Bool => match cursor.u8()? {
            1 => Token::Bool(true),
            // The specification says 2; some writers say 0.
            0 | 2 => Token::Bool(false),
            other => return Err(DecodeError::Boolean(other).into()),
        },
        ValueType::Int16 => Token::Int16(unzigzag(cursor.variable(16)?) as i16),
        ValueType::Int32 => Token::Int32(unzigzag(cursor.variable(32)?) as i32),
        ValueType::Int64 => Token::Int64(unzigzag(cursor.variable(64)?)),
        _ => Token::Double(u64::from_le_bytes(cursor.array()?)),
    })
}

//! From the struct of a method's result to JSON.

use std::collections::BTreeMap;

use base64::Engine;
use bytes::Bytes;
use smallvec::smallvec;

use super::super::cursor::{Stop, whole};
use super::super::error::DecodeError;
use super::super::limits::Limits;
use super::super::message::Protocol;
use super::super::schema::{AnswerKind, Method, Presence, Schema, Shape, Struct, Type};
use super::super::value_type::ValueType;
use super::super::walk::{Token, Walk};
use super::failure::{ReplyError, ReplyProblem, Trail};
use super::scalars::{BASE64, uuid_text};

/// How JSON is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonOptions {
    /// What an `i64` is.
    pub long_integers: LongIntegers,
    /// How deep values may lie in each other, and how large the JSON may become:
    /// [`Limits::depth`] and [`Limits::message_bytes`].
    pub limits: Limits,
}

/// What an `i64` is in JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LongIntegers {
    /// A number, exactly. A reader that keeps numbers as doubles, as JavaScript does, loses
    /// those beyond 2^53.
    #[default]
    Number,
    /// A text of digits.
    Text,
}

/// What a service replied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Replied<'s> {
    /// Nothing, as the method has it.
    Nothing,
    /// A value, as JSON.
    Value(Bytes),
    /// An exception that the method declares.
    Exception {
        /// Its name.
        name: &'s str,
        /// Its fields: a JSON object.
        fields: Bytes,
    },
}

/// Makes JSON of the result of `method` in `body`.
///
/// Fields that the IDL does not have are left out, as its readers do; a value of another
/// type than the IDL says is an error, and so is a required field that is missing.
///
/// # Errors
///
/// [`ReplyError`]: the service does not keep to the IDL, or to the limits.
pub fn decode_reply<'s>(
    schema: &'s Schema,
    method: &Method,
    (protocol, body): (Protocol, &[u8]),
    options: &JsonOptions,
) -> Result<Replied<'s>, ReplyError> {
    let mut writer = Writer {
        schema,
        options,
        body,
        walk: Walk::of_body(protocol, body, options.limits.depth),
        out: Vec::with_capacity(body.len()),
        trail: Trail::default(),
    };
    writer.result(method).map_err(|problem| ReplyError {
        path: writer.trail.to_string(),
        problem,
    })
}

struct Writer<'r, 's> {
    schema: &'s Schema,
    options: &'r JsonOptions,
    body: &'r [u8],
    walk: Walk,
    out: Vec<u8>,
    trail: Trail,
}

impl<'r, 's> Writer<'r, 's> {
    fn next(&mut self) -> Result<Token, ReplyProblem> {
        let token = whole(self.walk.next(self.body))?;
        // Nothing is asked for behind the end of the struct.
        token.ok_or(ReplyProblem::Bytes(DecodeError::Truncated))
    }

    fn result(&mut self, method: &Method) -> Result<Replied<'s>, ReplyProblem> {
        let AnswerKind::Result {
            success,
            exceptions,
        } = &method.answer
        else {
            return Ok(Replied::Nothing);
        };
        let mut replied = None;
        loop {
            let token = self.next()?;
            let Some(id) = field_number(&token) else {
                break;
            };
            let thrown = exceptions.iter().find(|it| it.id == id);
            match (success, thrown) {
                (Some(kind), _) if id == 0 && replied.is_none() => {
                    self.field(token, kind)?;
                    replied = Some(Replied::Value(self.take()));
                }
                (_, Some(thrown)) if replied.is_none() => {
                    self.field(token, &Type::Struct(thrown.structure))?;
                    replied = Some(Replied::Exception {
                        name: &self.schema.structs[thrown.structure].name,
                        fields: self.take(),
                    });
                }
                _ => self.skip_field(&token)?,
            }
        }
        if self.walk.position() < self.body.len() {
            return Err(DecodeError::TrailingBytes.into());
        }
        match (replied, success) {
            (Some(replied), _) => Ok(replied),
            (None, None) => Ok(Replied::Nothing),
            (None, Some(_)) => Err(ReplyProblem::NoResult),
        }
    }

    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }

    fn structure(&mut self, structure: &Struct) -> Result<(), ReplyProblem> {
        let mut seen: smallvec::SmallVec<[u64; 1]> =
            smallvec![0; structure.fields.len().div_ceil(64)];
        self.out.push(b'{');
        let mut count = 0;
        loop {
            let token = self.next()?;
            let Some(id) = field_number(&token) else {
                break;
            };
            // Of a field that comes twice, which no writer does, one would be lost.
            let Some((at, field)) = structure
                .field(id)
                .filter(|(at, _)| seen[at / 64] >> (at % 64) & 1 == 0)
            else {
                self.skip_field(&token)?;
                continue;
            };
            seen[at / 64] |= 1 << (at % 64);
            if count > 0 {
                self.out.push(b',');
            }
            count += 1;
            self.text(&field.name);
            self.out.push(b':');
            if let Err(problem) = self.field(token, &field.kind) {
                self.trail.member(&field.name);
                return Err(problem);
            }
        }
        self.out.push(b'}');
        if structure.shape == Shape::Union && count != 1 {
            return Err(ReplyProblem::Union(count));
        }
        let mut fields = structure.fields.iter().enumerate();
        match fields.find(|(at, field)| {
            field.presence == Presence::Required && seen[at / 64] >> (at % 64) & 1 == 0
        }) {
            Some((_, field)) => Err(ReplyProblem::Missing(field.name.clone())),
            None => Ok(()),
        }
    }

    /// The value of a field whose head was read.
    fn field(&mut self, head: Token, kind: &Type) -> Result<(), ReplyProblem> {
        match (head, kind) {
            (Token::BoolField { value, .. }, Type::Bool) => {
                self.boolean(value);
                self.check_size()
            }
            (Token::Field { kind: found, .. }, kind) if found == kind.wire() => self.value(kind),
            (Token::Field { kind: found, .. }, kind) => Err(self.mismatch(kind, found)),
            (_, kind) => Err(self.mismatch(kind, ValueType::Bool)),
        }
    }

    fn value(&mut self, kind: &Type) -> Result<(), ReplyProblem> {
        let token = self.next()?;
        match (kind, token) {
            (Type::Bool, Token::Bool(value)) => self.boolean(value),
            (Type::Byte, Token::Byte(value)) => self.integer(i64::from(value as i8)),
            (Type::Int16, Token::Int16(value)) => self.integer(i64::from(value)),
            (Type::Int32, Token::Int32(value)) => self.integer(i64::from(value)),
            (Type::Int64, Token::Int64(value)) => match self.options.long_integers {
                LongIntegers::Number => self.integer(value),
                LongIntegers::Text => self.quoted(|it| it.integer(value)),
            },
            (Type::Enum(at), Token::Int32(value)) => {
                match name_of(&self.schema.enums[*at].names, value) {
                    Some(name) => self.text(name),
                    None => self.integer(i64::from(value)),
                }
            }
            (Type::Double, Token::Double(bits)) => self.double(f64::from_bits(bits)),
            (Type::Uuid, Token::Uuid(value)) => self.text(&uuid_text(value)),
            (Type::Text, Token::Text { start, length }) => {
                let text = self.text_at(start, length)?;
                self.text(text);
            }
            (Type::Bytes, Token::Text { start, length }) => {
                let bytes = self.bytes_at(start, length)?;
                let encoded = BASE64.encode(bytes);
                self.text(&encoded);
            }
            (Type::Struct(at), Token::Struct) => self.structure(&self.schema.structs[*at])?,
            (Type::List(element) | Type::Set(element), Token::Sequence { elements, length }) => {
                if length > 0 && elements != element.wire() {
                    return Err(self.mismatch(element, elements));
                }
                self.array(element, length)?;
            }
            (Type::Map(wanted), Token::Map { types, length }) => {
                let (key, value) = types.unwrap_or((wanted.0.wire(), wanted.1.wire()));
                if key != wanted.0.wire() {
                    return Err(self.mismatch(&wanted.0, key));
                }
                if value != wanted.1.wire() {
                    return Err(self.mismatch(&wanted.1, value));
                }
                match wanted.0.is_name() {
                    true => self.object(wanted, length)?,
                    false => self.pairs(wanted, length)?,
                }
            }
            // The head of the field or the container has said what comes.
            _ => return Err(DecodeError::Truncated.into()),
        }
        self.check_size()
    }

    fn array(&mut self, element: &Type, length: usize) -> Result<(), ReplyProblem> {
        self.out.push(b'[');
        for at in 0..length {
            if at > 0 {
                self.out.push(b',');
            }
            if let Err(problem) = self.value(element) {
                self.trail.index(at);
                return Err(problem);
            }
        }
        self.out.push(b']');
        Ok(())
    }

    fn pairs(&mut self, types: &(Type, Type), length: usize) -> Result<(), ReplyProblem> {
        self.out.push(b'[');
        for at in 0..length {
            self.out
                .extend_from_slice(if at > 0 { b",[" } else { b"[" });
            let written = self.value(&types.0).and_then(|()| {
                self.out.push(b',');
                self.value(&types.1)
            });
            if let Err(problem) = written {
                self.trail.index(at);
                return Err(problem);
            }
            self.out.push(b']');
        }
        self.out.push(b']');
        Ok(())
    }

    fn object(&mut self, types: &(Type, Type), length: usize) -> Result<(), ReplyProblem> {
        self.out.push(b'{');
        for at in 0..length {
            if at > 0 {
                self.out.push(b',');
            }
            let begun = self.out.len();
            let written = self.key(&types.0).and_then(|()| {
                self.out.push(b':');
                self.value(&types.1)
            });
            if let Err(problem) = written {
                let key = String::from_utf8_lossy(&self.out[begun..]).into_owned();
                let key = key.strip_prefix('"').unwrap_or(&key);
                self.trail.member(key.split('"').next().unwrap_or_default());
                return Err(problem);
            }
        }
        self.out.push(b'}');
        Ok(())
    }

    /// A value as the name of a member: in quotes, unless it is a text anyway.
    fn key(&mut self, kind: &Type) -> Result<(), ReplyProblem> {
        let begun = self.out.len();
        self.value(kind)?;
        if self.out.get(begun) != Some(&b'"') {
            // At most twenty bytes are moved.
            self.out.insert(begun, b'"');
            self.out.push(b'"');
        }
        Ok(())
    }

    fn skip_field(&mut self, head: &Token) -> Result<(), ReplyProblem> {
        match head {
            Token::BoolField { .. } => Ok(()),
            _ => self.skip_value(),
        }
    }

    /// Passes over a value. As deep as the walk lets it go.
    fn skip_value(&mut self) -> Result<(), ReplyProblem> {
        let count = match self.next()? {
            Token::Struct => loop {
                let token = self.next()?;
                if field_number(&token).is_none() {
                    return Ok(());
                }
                self.skip_field(&token)?;
            },
            Token::Sequence { length, .. } => length,
            Token::Map { length, .. } => 2 * length,
            _ => 0,
        };
        for _ in 0..count {
            self.skip_value()?;
        }
        Ok(())
    }

    fn bytes_at(&self, start: usize, length: usize) -> Result<&'r [u8], ReplyProblem> {
        let bytes = self.body.get(start..start + length);
        Ok(whole(bytes.ok_or(Stop::Short))?)
    }

    fn text_at(&self, start: usize, length: usize) -> Result<&'r str, ReplyProblem> {
        std::str::from_utf8(self.bytes_at(start, length)?).map_err(|_| ReplyProblem::Text)
    }

    fn boolean(&mut self, value: bool) {
        let text: &[u8] = if value { b"true" } else { b"false" };
        self.out.extend_from_slice(text);
    }

    fn integer(&mut self, value: i64) {
        let mut buffer = itoa::Buffer::new();
        self.out.extend_from_slice(buffer.format(value).as_bytes());
    }

    fn quoted(&mut self, write: impl FnOnce(&mut Self)) {
        self.out.push(b'"');
        write(self);
        self.out.push(b'"');
    }

    fn double(&mut self, value: f64) {
        if value.is_finite() {
            serde_json::to_writer(&mut self.out, &value).expect("a vector takes what is written");
        } else if value.is_nan() {
            self.text("NaN");
        } else {
            self.text(if value > 0.0 { "Infinity" } else { "-Infinity" });
        }
    }

    fn text(&mut self, text: &str) {
        serde_json::to_writer(&mut self.out, text).expect("a vector takes what is written");
    }

    const fn check_size(&self) -> Result<(), ReplyProblem> {
        let limit = self.options.limits.message_bytes;
        if self.out.len() > limit {
            return Err(ReplyProblem::TooLarge { limit });
        }
        Ok(())
    }

    fn mismatch(&self, kind: &Type, found: ValueType) -> ReplyProblem {
        ReplyProblem::Type {
            expected: format!("{:?}", kind.wire()),
            found: format!("{found:?}"),
        }
    }
}

fn name_of(names: &BTreeMap<i32, Box<str>>, number: i32) -> Option<&str> {
    names.get(&number).map(|name| &**name)
}

/// The number of a field whose head this is; the end of a struct has none.
const fn field_number(token: &Token) -> Option<i16> {
    match token {
        Token::Field { id, .. } | Token::BoolField { id, .. } => Some(*id),
        _ => None,
    }
}

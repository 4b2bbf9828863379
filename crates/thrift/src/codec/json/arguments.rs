//! From JSON to the struct of a method's arguments.

mod value;

use bytes::{BufMut, Bytes, BytesMut};
use serde::de::{DeserializeSeed, Error};
use smallvec::{SmallVec, smallvec};

use self::value::Value;
use super::super::limits::Limits;
use super::super::schema::{Field, Method, Presence, Schema, Shape, Struct, Type};
use super::failure::{ArgumentFault, ArgumentsError, Trail};
use super::scalars::{Spelt, put_text};

/// Writes the arguments of `method` that the JSON object `json` has: a body in the binary
/// protocol. Nothing at all is an object without members.
///
/// Members are the arguments' names; `null` is as good as no member. A member that no
/// argument is called, one that comes twice, one of the wrong type and a missing one that
/// is required are refused. An argument that is missing has its default, if it has one.
///
/// # Errors
///
/// [`ArgumentsError`]: also for values nested deeper than [`Limits::depth`], and a body that
/// becomes larger than [`Limits::message_bytes`].
pub fn encode_arguments(
    schema: &Schema,
    method: &Method,
    json: &[u8],
    limits: &Limits,
) -> Result<Bytes, ArgumentsError> {
    let mut writer = Writer::new(schema, json.len(), limits);
    let kind = Type::Struct(method.arguments);
    let json = if json.is_empty() { b"{}" } else { json };
    let mut input = serde_json::Deserializer::from_slice(json);
    let value = Value {
        writer: &mut writer,
        kind: &kind,
    };
    let read = value.deserialize(&mut input).and_then(|given| {
        input.end()?;
        Ok(given)
    });
    match read {
        Ok(Given::Value) => Ok(writer.out.freeze()),
        Ok(Given::Null) => Err(writer.mismatch_error("object", "null")),
        Err(error) => Err(writer.error(&error)),
    }
}

/// Writes the arguments of `method` that are given as texts, such as those of a query: the
/// name of each, and its value as it would be as a member's name.
///
/// # Errors
///
/// As [`encode_arguments`]; an argument that is a struct, a list, a set or a map cannot be
/// given so.
pub fn encode_texts<'t>(
    schema: &Schema,
    method: &Method,
    texts: impl IntoIterator<Item = (&'t str, &'t str)>,
    limits: &Limits,
) -> Result<Bytes, ArgumentsError> {
    let mut writer = Writer::new(schema, 0, limits);
    match writer.texts(&schema.structs[method.arguments], texts) {
        Ok(()) => Ok(writer.out.freeze()),
        Err(Refused) => Err(writer.refusal()),
    }
}

/// What was found in the place of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given {
    /// A value, which was written.
    Value,
    /// Nothing.
    Null,
}

/// The failure is noted in the writer.
struct Refused;

impl Refused {
    /// As the reader of JSON wants it. What it says is not used.
    fn error<E: Error>(self) -> E {
        E::custom("refused")
    }
}

struct Writer<'s> {
    schema: &'s Schema,
    limits: &'s Limits,
    out: BytesMut,
    depth: usize,
    failure: Option<(ArgumentFault, String)>,
    trail: Trail,
}

/// Which fields of a struct were given.
type Seen = SmallVec<[u64; 1]>;

impl<'s> Writer<'s> {
    fn new(schema: &'s Schema, bytes: usize, limits: &'s Limits) -> Self {
        Self {
            schema,
            limits,
            out: BytesMut::with_capacity(bytes.min(limits.message_bytes)),
            depth: 0,
            failure: None,
            trail: Trail::default(),
        }
    }

    #[cold]
    fn refuse(&mut self, fault: ArgumentFault, message: impl Into<String>) -> Refused {
        self.failure = Some((fault, message.into()));
        Refused
    }

    #[cold]
    fn mismatch(&mut self, kind: &Type, found: &str) -> Refused {
        let expected = kind.describe(self.schema);
        let message = format!("expected {expected}, found {found}");
        self.refuse(ArgumentFault::Value, message)
    }

    fn mismatch_error(&mut self, expected: &str, found: &str) -> ArgumentsError {
        let message = format!("expected {expected}, found {found}");
        let Refused = self.refuse(ArgumentFault::Value, message);
        self.refusal()
    }

    /// What was noted.
    fn refusal(&mut self) -> ArgumentsError {
        let (fault, message) = self.failure.take().unwrap_or_else(|| {
            let message = "it cannot be read".to_owned();
            (ArgumentFault::Syntax, message)
        });
        ArgumentsError {
            fault,
            path: self.trail.to_string(),
            message,
        }
    }

    /// What was noted, or else the mistake is in the JSON itself.
    fn error(&mut self, error: &serde_json::Error) -> ArgumentsError {
        if self.failure.is_none() {
            self.failure = Some((ArgumentFault::Syntax, error.to_string()));
        }
        self.refusal()
    }

    fn check_size(&mut self) -> Result<(), Refused> {
        let limit = self.limits.message_bytes;
        if self.out.len() <= limit {
            return Ok(());
        }
        let message = format!("a message of more than {limit} bytes");
        Err(self.refuse(ArgumentFault::TooLarge, message))
    }

    fn enter(&mut self) -> Result<(), Refused> {
        let limit = self.limits.depth;
        if self.depth >= limit {
            let message = format!("values nested more than {limit} deep");
            return Err(self.refuse(ArgumentFault::Value, message));
        }
        self.depth += 1;
        Ok(())
    }

    const fn leave(&mut self) {
        self.depth -= 1;
    }

    fn head(&mut self, field: &Field) {
        self.out.put_u8(field.kind.wire().binary());
        self.out.put_i16(field.id);
    }

    /// Finds the field that a member is called.
    fn position(&mut self, structure: &Struct, name: &str, named: &Seen) -> Result<usize, Refused> {
        let message = match structure.names.get(name) {
            Some(at) if !has(named, *at) => return Ok(*at),
            Some(_) => "the field is given twice",
            None => "there is no such field",
        };
        self.trail.member(name);
        Err(self.refuse(ArgumentFault::Value, message))
    }

    /// Writes what was not given, and the end of the struct.
    fn finish(&mut self, structure: &Struct, seen: &Seen) -> Result<(), Refused> {
        if structure.shape == Shape::Union {
            let count: u32 = seen.iter().map(|bits| bits.count_ones()).sum();
            if count != 1 {
                let message = format!(
                    "expected exactly one field of the union {}, found {count}",
                    structure.name
                );
                return Err(self.refuse(ArgumentFault::Value, message));
            }
        }
        let absent = structure.fields.iter().enumerate();
        for (_, field) in absent.filter(|(at, _)| !has(seen, *at)) {
            match (&field.default, field.presence) {
                // An optional field that is absent is absent: its reader knows the default.
                (_, Presence::Optional) | (None, Presence::Unstated) => {}
                (Some(default), _) if structure.shape == Shape::Struct => {
                    self.head(field);
                    self.out.put_slice(default);
                }
                (Some(_), _) => {}
                (None, Presence::Required) => {
                    let message = format!("the required field `{}` is missing", field.name);
                    return Err(self.refuse(ArgumentFault::Value, message));
                }
            }
        }
        self.out.put_u8(0);
        self.check_size()
    }

    fn texts<'t>(
        &mut self,
        structure: &Struct,
        texts: impl IntoIterator<Item = (&'t str, &'t str)>,
    ) -> Result<(), Refused> {
        let mut seen = seen_of(structure);
        for (name, text) in texts {
            let at = self.position(structure, name, &seen)?;
            let field = &structure.fields[at];
            note(&mut seen, at);
            self.head(field);
            let put = put_text(self.schema, &field.kind, text, Spelt::Name, &mut self.out);
            if put.is_none() {
                self.trail.member(name);
                return Err(self.mismatch(&field.kind, "another text"));
            }
            self.check_size()?;
        }
        self.finish(structure, &seen)
    }

    /// Writes a count where room was left for it.
    fn put_count(&mut self, at: usize, count: usize) {
        // It fits: each element has a byte at least, and a message has no more than that.
        let count = u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
        if let Some(place) = self.out.get_mut(at..at + count.len()) {
            place.copy_from_slice(&count);
        }
    }
}

fn seen_of(structure: &Struct) -> Seen {
    smallvec![0; structure.fields.len().div_ceil(64)]
}

fn has(seen: &Seen, at: usize) -> bool {
    seen[at / 64] >> (at % 64) & 1 == 1
}

fn note(seen: &mut Seen, at: usize) {
    seen[at / 64] |= 1 << (at % 64);
}

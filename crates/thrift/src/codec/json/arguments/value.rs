//! The values of arguments, one visitor for all types.

use std::borrow::Cow;
use std::fmt;

use bytes::BufMut;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::super::schema::{Struct, Type};
use super::super::failure::ArgumentFault;
use super::super::scalars::{Spelt, put_text};
use super::{Given, Refused, Seen, Writer, note, seen_of};

/// A value of one type, which is written as it is read.
pub(super) struct Value<'w, 's> {
    pub(super) writer: &'w mut Writer<'s>,
    pub(super) kind: &'w Type,
}

impl<'de> DeserializeSeed<'de> for Value<'_, '_> {
    type Value = Given;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Given, D::Error> {
        input.deserialize_any(self)
    }
}

impl Value<'_, '_> {
    fn mismatch<E: Error>(self, found: &str) -> E {
        self.writer.mismatch(self.kind, found).error()
    }

    fn integer<E: Error>(self, number: Option<i64>, spelt: impl fmt::Display) -> Result<Given, E> {
        let out = &mut self.writer.out;
        let fits = match (self.kind, number) {
            (Type::Byte, Some(it)) => it.try_into().map(|it| out.put_i8(it)).is_ok(),
            (Type::Int16, Some(it)) => it.try_into().map(|it| out.put_i16(it)).is_ok(),
            (Type::Int32 | Type::Enum(_), Some(it)) => {
                it.try_into().map(|it| out.put_i32(it)).is_ok()
            }
            (Type::Int64, Some(it)) => {
                out.put_i64(it);
                true
            }
            (Type::Byte | Type::Int16 | Type::Int32 | Type::Enum(_) | Type::Int64, None) => false,
            _ => return Err(self.mismatch("number")),
        };
        match fits {
            true => Ok(Given::Value),
            false => Err(self.mismatch(&format!("{spelt}, which does not fit"))),
        }
    }

    fn double(self, number: f64) -> Given {
        self.writer.out.put_f64(number);
        Given::Value
    }
}

impl<'de> Visitor<'de> for Value<'_, '_> {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind.describe(self.writer.schema))
    }

    fn visit_unit<E: Error>(self) -> Result<Given, E> {
        Ok(Given::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Given, E> {
        if *self.kind != Type::Bool {
            return Err(self.mismatch("bool"));
        }
        self.writer.out.put_u8(value.into());
        Ok(Given::Value)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Given, E> {
        match self.kind {
            Type::Double => Ok(self.double(value as f64)),
            _ => self.integer(Some(value), value),
        }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Given, E> {
        match self.kind {
            Type::Double => Ok(self.double(value as f64)),
            _ => self.integer(i64::try_from(value).ok(), value),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Given, E> {
        match self.kind {
            Type::Double => Ok(self.double(value)),
            _ => Err(self.mismatch("a number that is not whole or too large")),
        }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Given, E> {
        let Value { writer, kind } = self;
        let put = put_text(writer.schema, kind, text, Spelt::Value, &mut writer.out);
        if put.is_some() {
            return writer
                .check_size()
                .map(|()| Given::Value)
                .map_err(Refused::error);
        }
        let takes_texts = matches!(
            kind,
            Type::Bytes | Type::Uuid | Type::Enum(_) | Type::Int64 | Type::Double
        );
        let found = if takes_texts {
            "another string"
        } else {
            "string"
        };
        Err(writer.mismatch(kind, found).error())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Given, A::Error> {
        let writer = self.writer;
        let (element, types) = match self.kind {
            Type::List(element) | Type::Set(element) => (&**element, None),
            Type::Map(types) if !types.0.is_name() => (&types.0, Some(&types.1)),
            kind => return Err(writer.mismatch(kind, "array").error()),
        };
        writer.enter().map_err(Refused::error)?;
        writer.out.put_u8(element.wire().binary());
        if let Some(value) = types {
            writer.out.put_u8(value.wire().binary());
        }
        let count_at = writer.out.len();
        writer.out.put_u32(0);
        let mut count = 0;
        loop {
            let next = match types {
                None => elements.next_element_seed(Element {
                    writer: &mut *writer,
                    kind: element,
                }),
                Some(value) => elements.next_element_seed(Pair {
                    writer: &mut *writer,
                    types: (element, value),
                }),
            };
            match next {
                Ok(Some(())) => count += 1,
                Ok(None) => break,
                Err(error) => {
                    writer.trail.index(count);
                    return Err(error);
                }
            }
            writer.check_size().map_err(Refused::error)?;
        }
        writer.put_count(count_at, count);
        writer.leave();
        Ok(Given::Value)
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Given, A::Error> {
        let writer = self.writer;
        writer.enter().map_err(Refused::error)?;
        match self.kind {
            Type::Struct(at) => {
                let schema = writer.schema;
                visit_struct(writer, &schema.structs[*at], members)?;
            }
            Type::Map(types) if types.0.is_name() => visit_object(writer, types, members)?,
            kind => return Err(writer.mismatch(kind, "object").error()),
        }
        writer.leave();
        Ok(Given::Value)
    }
}

fn visit_struct<'de, A: MapAccess<'de>>(
    writer: &mut Writer<'_>,
    structure: &Struct,
    mut members: A,
) -> Result<(), A::Error> {
    let mut seen = seen_of(structure);
    // Fields that were named; those with a value are in `seen` too.
    let mut named = seen.clone();
    while let Some(found) = members.next_key_seed(Member {
        writer: &mut *writer,
        structure,
        named: &named,
    })? {
        let field = &structure.fields[found];
        note(&mut named, found);
        let begun = writer.out.len();
        writer.head(field);
        let value = Value {
            writer: &mut *writer,
            kind: &field.kind,
        };
        match members.next_value_seed(value) {
            Ok(Given::Value) => note(&mut seen, found),
            Ok(Given::Null) => writer.out.truncate(begun),
            Err(error) => {
                writer.trail.member(&field.name);
                return Err(error);
            }
        }
    }
    writer.finish(structure, &seen).map_err(Refused::error)
}

fn visit_object<'de, A: MapAccess<'de>>(
    writer: &mut Writer<'_>,
    types: &(Type, Type),
    mut members: A,
) -> Result<(), A::Error> {
    writer.out.put_u8(types.0.wire().binary());
    writer.out.put_u8(types.1.wire().binary());
    let count_at = writer.out.len();
    writer.out.put_u32(0);
    let mut count = 0;
    while let Some(key) = members.next_key_seed(Key {
        writer: &mut *writer,
        kind: &types.0,
    })? {
        let value = Element {
            writer: &mut *writer,
            kind: &types.1,
        };
        if let Err(error) = members.next_value_seed(value) {
            writer.trail.member(&key);
            return Err(error);
        }
        writer.check_size().map_err(Refused::error)?;
        count += 1;
    }
    writer.put_count(count_at, count);
    Ok(())
}

/// A value that has to be there.
struct Element<'w, 's> {
    writer: &'w mut Writer<'s>,
    kind: &'w Type,
}

impl<'de> DeserializeSeed<'de> for Element<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        let value = Value {
            writer: &mut *self.writer,
            kind: self.kind,
        };
        match value.deserialize(input)? {
            Given::Value => Ok(()),
            Given::Null => Err(self.writer.mismatch(self.kind, "null").error()),
        }
    }
}

/// A key and its value, in an array of two.
struct Pair<'w, 's> {
    writer: &'w mut Writer<'s>,
    types: (&'w Type, &'w Type),
}

impl<'de> DeserializeSeed<'de> for Pair<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_any(self)
    }
}

impl Pair<'_, '_> {
    fn refused<E: Error>(self, found: &str) -> E {
        let message = format!("expected a pair, found {found}");
        self.writer.refuse(ArgumentFault::Value, message).error()
    }
}

impl<'de> Visitor<'de> for Pair<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a pair")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        for (at, kind) in [self.types.0, self.types.1].into_iter().enumerate() {
            let part = Element {
                writer: &mut *self.writer,
                kind,
            };
            match parts.next_element_seed(part) {
                Ok(Some(())) => {}
                Ok(None) => return Err(self.refused("fewer")),
                Err(error) => {
                    self.writer.trail.index(at);
                    return Err(error);
                }
            }
        }
        match parts.next_element::<IgnoredAny>()? {
            None => Ok(()),
            Some(_) => Err(self.refused("more")),
        }
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Err(self.refused("null"))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Err(self.refused("bool"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Err(self.refused("number"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Err(self.refused("number"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Err(self.refused("number"))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        Err(self.refused("string"))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        Err(self.refused("object"))
    }
}

/// The name of a struct's member: the position of the field.
struct Member<'w, 's> {
    writer: &'w mut Writer<'s>,
    structure: &'w Struct,
    named: &'w Seen,
}

impl<'de> DeserializeSeed<'de> for Member<'_, '_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<usize, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for Member<'_, '_> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        let found = self.writer.position(self.structure, name, self.named);
        found.map_err(Refused::error)
    }
}

/// The key of a map that is an object; its text is given back for the path.
struct Key<'w, 's> {
    writer: &'w mut Writer<'s>,
    kind: &'w Type,
}

impl<'de> DeserializeSeed<'de> for Key<'_, '_> {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_str(self)
    }
}

impl Key<'_, '_> {
    fn put<E: Error>(self, text: &str) -> Result<(), E> {
        let Key { writer, kind } = self;
        let put = put_text(writer.schema, kind, text, Spelt::Name, &mut writer.out);
        put.ok_or_else(|| {
            writer.trail.member(text);
            let expected = kind.describe(writer.schema);
            let message = format!("expected {expected} as the key, found another text");
            writer.refuse(ArgumentFault::Value, message).error()
        })
    }
}

impl<'de> Visitor<'de> for Key<'_, '_> {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        self.put(text).map(|()| text.to_owned().into())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        self.put(text).map(|()| text.into())
    }
}

//! What an IDL says of a service, made ready for putting its calls into JSON and back.
//!
//! Made once by [`Idl::compile`](super::Idl::compile) and shared. Names are resolved and
//! defaults are spelt; what no method reaches is not in it.

use std::collections::BTreeMap;

use bytes::Bytes;
use bytestring::ByteString;

use super::value_type::ValueType;

/// The methods of one service and the types they reach.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Schema {
    pub(super) methods: BTreeMap<Box<str>, Method>,
    pub(super) structs: Vec<Struct>,
    pub(super) enums: Vec<Enumeration>,
}

/// One method.
#[derive(Clone, Debug, PartialEq)]
pub struct Method {
    pub(super) name: ByteString,
    /// The position of the struct of its arguments.
    pub(super) arguments: usize,
    pub(super) answer: AnswerKind,
}

/// What a method is answered with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum AnswerKind {
    /// Nothing.
    OneWay,
    /// A result.
    Result {
        /// The type of what it returns, unless that is nothing.
        success: Option<Type>,
        /// The exceptions it declares, by field.
        exceptions: Vec<Declared>,
    },
}

/// An exception that a method declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Declared {
    pub(super) id: i16,
    /// The position of its struct.
    pub(super) structure: usize,
}

/// The type of a value, as the IDL has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Type {
    Bool,
    Byte,
    Int16,
    Int32,
    Int64,
    Double,
    Text,
    Bytes,
    Uuid,
    /// By its position.
    Enum(usize),
    /// A struct, a union or an exception, by its position.
    Struct(usize),
    List(Box<Self>),
    Set(Box<Self>),
    Map(Box<(Self, Self)>),
}

/// A struct, a union or an exception.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Struct {
    pub(super) name: Box<str>,
    pub(super) shape: Shape,
    /// In the order of their numbers.
    pub(super) fields: Vec<Field>,
    /// Positions of fields by name.
    pub(super) names: BTreeMap<Box<str>, usize>,
}

/// How many of its fields a struct has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Shape {
    /// As each field says.
    #[default]
    Struct,
    /// Exactly one.
    Union,
}

/// A field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Field {
    pub(super) id: i16,
    pub(super) name: Box<str>,
    pub(super) kind: Type,
    pub(super) presence: Presence,
    /// The value it has if it is not given, in the binary protocol.
    pub(super) default: Option<Bytes>,
}

/// Whether a field has to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    Optional,
    /// A writer writes it, a reader does without.
    Unstated,
}

/// An enumeration.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Enumeration {
    pub(super) name: Box<str>,
    pub(super) values: BTreeMap<Box<str>, i32>,
    /// The first name of each number.
    pub(super) names: BTreeMap<i32, Box<str>>,
}

impl Schema {
    /// The method of this name.
    #[must_use]
    pub fn method(&self, name: &str) -> Option<&Method> {
        self.methods.get(name)
    }

    /// All methods, by name.
    pub fn methods(&self) -> impl Iterator<Item = &Method> {
        self.methods.values()
    }

    /// Whether all arguments of the method can be given as texts.
    #[must_use]
    pub fn takes_texts(&self, method: &Method) -> bool {
        let mut fields = self.structs[method.arguments].fields.iter();
        fields.all(|field| match field.kind {
            Type::Struct(_) | Type::List(_) | Type::Set(_) | Type::Map(_) => false,
            Type::Bool
            | Type::Byte
            | Type::Int16
            | Type::Int32
            | Type::Int64
            | Type::Double
            | Type::Text
            | Type::Bytes
            | Type::Uuid
            | Type::Enum(_) => true,
        })
    }

    /// The names of the exceptions its methods declare; one may come twice.
    pub fn exceptions(&self) -> impl Iterator<Item = &str> {
        let declared = self
            .methods
            .values()
            .flat_map(|method| match &method.answer {
                AnswerKind::OneWay => &[],
                AnswerKind::Result { exceptions, .. } => exceptions.as_slice(),
            });
        declared.map(|declared| &*self.structs[declared.structure].name)
    }
}

impl Method {
    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &ByteString {
        &self.name
    }

    /// Whether it is not answered.
    #[must_use]
    pub const fn is_one_way(&self) -> bool {
        matches!(self.answer, AnswerKind::OneWay)
    }
}

impl Type {
    /// The type it has on the wire.
    pub(super) const fn wire(&self) -> ValueType {
        match self {
            Self::Bool => ValueType::Bool,
            Self::Byte => ValueType::Byte,
            Self::Int16 => ValueType::Int16,
            Self::Int32 | Self::Enum(_) => ValueType::Int32,
            Self::Int64 => ValueType::Int64,
            Self::Double => ValueType::Double,
            Self::Text | Self::Bytes => ValueType::Text,
            Self::Uuid => ValueType::Uuid,
            Self::Struct(_) => ValueType::Struct,
            Self::List(_) => ValueType::List,
            Self::Set(_) => ValueType::Set,
            Self::Map(_) => ValueType::Map,
        }
    }

    /// Whether a value of it can be the name of a member of a JSON object.
    pub(super) const fn is_name(&self) -> bool {
        match self {
            Self::Bool
            | Self::Byte
            | Self::Int16
            | Self::Int32
            | Self::Int64
            | Self::Text
            | Self::Uuid
            | Self::Enum(_) => true,
            Self::Double
            | Self::Bytes
            | Self::Struct(_)
            | Self::List(_)
            | Self::Set(_)
            | Self::Map(_) => false,
        }
    }

    /// What it is called where somebody gave something else.
    pub(super) fn describe(&self, schema: &Schema) -> String {
        match self {
            Self::Bool => "bool".to_owned(),
            Self::Byte => "i8".to_owned(),
            Self::Int16 => "i16".to_owned(),
            Self::Int32 => "i32".to_owned(),
            Self::Int64 => "i64".to_owned(),
            Self::Double => "double".to_owned(),
            Self::Text => "string".to_owned(),
            Self::Bytes => "base64".to_owned(),
            Self::Uuid => "uuid".to_owned(),
            Self::Enum(at) => schema.enums[*at].name.to_string(),
            Self::Struct(_) => "object".to_owned(),
            Self::List(_) | Self::Set(_) => "array".to_owned(),
            Self::Map(types) if types.0.is_name() => "object".to_owned(),
            Self::Map(_) => "array of pairs".to_owned(),
        }
    }
}

impl Struct {
    /// The field of this number.
    pub(super) fn field(&self, id: i16) -> Option<(usize, &Field)> {
        let at = self.fields.binary_search_by_key(&id, |field| field.id);
        at.ok().map(|at| (at, &self.fields[at]))
    }

    /// The field of this name.
    pub(super) fn named(&self, name: &str) -> Option<(usize, &Field)> {
        let at = *self.names.get(name)?;
        Some((at, &self.fields[at]))
    }
}

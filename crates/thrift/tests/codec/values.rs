//! Structs of arbitrary shape, and how each protocol spells them: written from the
//! specifications, apart from the codec.

use proptest::collection::vec;
use proptest::prelude::*;

/// A value of any type.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Bool(bool),
    Byte(u8),
    Int16(i16),
    Int32(i32),
    Int64(i64),
    Double(f64),
    Text(Vec<u8>),
    Uuid([u8; 16]),
    Struct(Struct),
    List(Vec<Self>),
    Set(Vec<Self>),
    Map(Vec<(Self, Self)>),
}

/// Fields by number, in the order of the wire.
pub(crate) type Struct = Vec<(i16, Value)>;

/// A struct with fields of every type, nested a few levels.
pub(crate) fn structs() -> impl Strategy<Value = Struct> {
    fields(value())
}

fn fields(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Struct> {
    let id = prop_oneof![4 => 1..40_i16, 1 => any::<i16>()];
    vec((id, value), 0..6)
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<u8>().prop_map(Value::Byte),
        any::<i16>().prop_map(Value::Int16),
        any::<i32>().prop_map(Value::Int32),
        any::<i64>().prop_map(Value::Int64),
        any::<f64>().prop_map(Value::Double),
        vec(any::<u8>(), 0..200).prop_map(Value::Text),
        any::<[u8; 16]>().prop_map(Value::Uuid),
    ];
    leaf.prop_recursive(4, 64, 20, |inner| {
        // Elements have one type: the same value, some times over.
        let repeated = (inner.clone(), 0..20_usize).prop_map(|(value, n)| vec![value; n]);
        let pairs = (inner.clone(), inner.clone(), 0..20_usize);
        prop_oneof![
            fields(inner).prop_map(Value::Struct),
            repeated.clone().prop_map(Value::List),
            repeated.prop_map(Value::Set),
            pairs.prop_map(|(key, value, n)| Value::Map(vec![(key, value); n])),
        ]
    })
}

fn codes(value: &Value) -> (u8, u8) {
    match value {
        Value::Bool(_) => (2, 1),
        Value::Byte(_) => (3, 3),
        Value::Double(_) => (4, 7),
        Value::Int16(_) => (6, 4),
        Value::Int32(_) => (8, 5),
        Value::Int64(_) => (10, 6),
        Value::Text(_) => (11, 8),
        Value::Struct(_) => (12, 12),
        Value::Map(_) => (13, 11),
        Value::Set(_) => (14, 10),
        Value::List(_) => (15, 9),
        Value::Uuid(_) => (16, 13),
    }
}

/// Types of elements there are none of are those of bytes, which both sides agree on.
fn element_codes(element: Option<&Value>) -> (u8, u8) {
    element.map_or((3, 3), codes)
}

pub(crate) fn binary(fields: &Struct) -> Vec<u8> {
    let mut out = Vec::new();
    for (id, value) in fields {
        out.push(codes(value).0);
        out.extend(id.to_be_bytes());
        binary_value(value, &mut out);
    }
    out.push(0);
    out
}

fn binary_value(value: &Value, out: &mut Vec<u8>) {
    let length = |length: usize| (length as u32).to_be_bytes();
    match value {
        Value::Bool(value) => out.push(u8::from(*value)),
        Value::Byte(value) => out.push(*value),
        Value::Int16(value) => out.extend(value.to_be_bytes()),
        Value::Int32(value) => out.extend(value.to_be_bytes()),
        Value::Int64(value) => out.extend(value.to_be_bytes()),
        Value::Double(value) => out.extend(value.to_bits().to_be_bytes()),
        Value::Uuid(value) => out.extend(value),
        Value::Struct(fields) => out.extend(binary(fields)),
        Value::Text(text) => {
            out.extend(length(text.len()));
            out.extend(text);
        }
        Value::List(values) | Value::Set(values) => {
            out.push(element_codes(values.first()).0);
            out.extend(length(values.len()));
            values.iter().for_each(|value| binary_value(value, out));
        }
        Value::Map(pairs) => {
            out.push(element_codes(pairs.first().map(|pair| &pair.0)).0);
            out.push(element_codes(pairs.first().map(|pair| &pair.1)).0);
            out.extend(length(pairs.len()));
            for (key, value) in pairs {
                binary_value(key, out);
                binary_value(value, out);
            }
        }
    }
}

pub(crate) fn compact(fields: &Struct) -> Vec<u8> {
    let mut out = Vec::new();
    let mut last = 0_i16;
    for (id, value) in fields {
        let code = match value {
            Value::Bool(false) => 2,
            value => codes(value).1,
        };
        match i32::from(*id) - i32::from(last) {
            step @ 1..=15 => out.push((step as u8) << 4 | code),
            _ => {
                out.push(code);
                signed(i64::from(*id), &mut out);
            }
        }
        last = *id;
        if !matches!(value, Value::Bool(_)) {
            compact_value(value, &mut out);
        }
    }
    out.push(0);
    out
}

fn compact_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bool(value) => out.push(if *value { 1 } else { 2 }),
        Value::Byte(value) => out.push(*value),
        Value::Int16(value) => signed(i64::from(*value), out),
        Value::Int32(value) => signed(i64::from(*value), out),
        Value::Int64(value) => signed(*value, out),
        Value::Double(value) => out.extend(value.to_bits().to_le_bytes()),
        Value::Uuid(value) => out.extend(value),
        Value::Struct(fields) => out.extend(compact(fields)),
        Value::Text(text) => {
            unsigned(text.len() as u64, out);
            out.extend(text);
        }
        Value::List(values) | Value::Set(values) => {
            let code = element_codes(values.first()).1;
            if values.len() < 15 {
                out.push((values.len() as u8) << 4 | code);
            } else {
                out.push(0xf0 | code);
                unsigned(values.len() as u64, out);
            }
            values.iter().for_each(|value| compact_value(value, out));
        }
        Value::Map(pairs) => {
            unsigned(pairs.len() as u64, out);
            if let Some((key, value)) = pairs.first() {
                out.push(codes(key).1 << 4 | codes(value).1);
            }
            for (key, value) in pairs {
                compact_value(key, out);
                compact_value(value, out);
            }
        }
    }
}

fn signed(value: i64, out: &mut Vec<u8>) {
    let magnitude = if value < 0 {
        (-(i128::from(value)) * 2 - 1) as u64
    } else {
        value as u64 * 2
    };
    unsigned(magnitude, out);
}

pub(crate) fn unsigned(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let low = (value % 128) as u8;
        value /= 128;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low + 128);
    }
}

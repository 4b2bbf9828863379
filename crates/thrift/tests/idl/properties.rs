//! Types and values at random: JSON goes to bytes and comes back the same, in both
//! protocols, and no bytes whatever do harm.

use std::fmt::Write;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tidegate_thrift::codec::{
    JsonOptions, Limits, LongIntegers, Protocol, Replied, Schema, decode_reply, encode_arguments,
    transcode,
};

use crate::schema;

/// A type.
#[derive(Clone, Debug)]
enum Kind {
    Base(&'static str),
    Enum,
    Struct(Vec<(i16, Presence, Kind)>),
    Union(Vec<(i16, Presence, Kind)>),
    List(Box<Kind>),
    Set(Box<Kind>),
    Map(Box<(Kind, Kind)>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Presence {
    Required,
    Optional,
    Unstated,
}

const PRESENCES: [Presence; 3] = [Presence::Required, Presence::Optional, Presence::Unstated];

const BASES: [&str; 9] = [
    "bool", "i8", "i16", "i32", "i64", "double", "string", "binary", "uuid",
];

fn kind() -> impl Strategy<Value = Kind> {
    let leaf = prop_oneof![
        4 => prop::sample::select(&BASES[..]).prop_map(Kind::Base),
        1 => Just(Kind::Enum),
    ];
    leaf.prop_recursive(4, 40, 8, |inner| {
        let field = (
            any::<i16>(),
            prop::sample::select(&PRESENCES[..]),
            inner.clone(),
        );
        let fields = |count| {
            vec(field.clone(), count).prop_map(|mut fields| {
                fields.sort_by_key(|field| field.0);
                fields.dedup_by_key(|field| field.0);
                fields
            })
        };
        prop_oneof![
            2 => fields(0..8).prop_map(Kind::Struct),
            1 => fields(1..4).prop_map(Kind::Union),
            1 => inner.clone().prop_map(|it| Kind::List(Box::new(it))),
            1 => inner.clone().prop_map(|it| Kind::Set(Box::new(it))),
            2 => (inner.clone(), inner.clone()).prop_map(|it| Kind::Map(Box::new(it))),
        ]
    })
}

/// The IDL of a service whose method gives back what it is given.
fn idl(kind: &Kind) -> String {
    let mut declared = "enum E { A, B = 5, C = -3 }\n".to_owned();
    let mut count = 0;
    let name = declare(kind, &mut declared, &mut count);
    declared + &format!("service S {{ {name} echo(1: {name} value) }}")
}

/// The name of a type; what has to be declared for it is.
fn declare(kind: &Kind, declared: &mut String, count: &mut usize) -> String {
    match kind {
        Kind::Base(name) => (*name).to_owned(),
        Kind::Enum => "E".to_owned(),
        Kind::List(inner) => format!("list<{}>", declare(inner, declared, count)),
        Kind::Set(inner) => format!("set<{}>", declare(inner, declared, count)),
        Kind::Map(types) => {
            let key = declare(&types.0, declared, count);
            format!("map<{key}, {}>", declare(&types.1, declared, count))
        }
        Kind::Struct(fields) | Kind::Union(fields) => {
            let is_union = matches!(kind, Kind::Union(_));
            let mut text = String::new();
            for (at, (id, presence, kind)) in fields.iter().enumerate() {
                let presence = match presence {
                    _ if is_union => "",
                    Presence::Required => "required ",
                    Presence::Optional => "optional ",
                    Presence::Unstated => "",
                };
                let kind = declare(kind, declared, count);
                write!(text, "  {id}: {presence}{kind} f{at}\n").unwrap();
            }
            *count += 1;
            let word = if is_union { "union" } else { "struct" };
            write!(declared, "{word} T{count} {{\n{text}}}\n").unwrap();
            format!("T{count}")
        }
    }
}

/// Numbers that are the same in every run of a case.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Often one where something may break.
    fn integer(&mut self, low: i64, high: i64) -> i64 {
        match self.below(5) {
            0 => low,
            1 => high,
            2 => (self.below(3) as i64) - 1,
            _ => (self.next() as i64).clamp(low, high),
        }
    }

    fn text(&mut self) -> String {
        let letters = ['a', '"', '\\', '\n', '\u{0}', 'é', '😀', '/', '\u{7f}'];
        let count = self.below(6);
        (0..count)
            .map(|_| letters[self.below(9) as usize])
            .collect()
    }

    fn uuid(&mut self) -> String {
        let digits = format!("{:016x}{:016x}", self.next(), self.next());
        let parts = [
            &digits[..8],
            &digits[8..12],
            &digits[12..16],
            &digits[16..20],
            &digits[20..],
        ];
        parts.join("-")
    }
}

/// A value, spelt as it comes back.
fn value(kind: &Kind, numbers: &mut Numbers) -> Value {
    match kind {
        Kind::Base("bool") => json!(numbers.below(2) == 0),
        Kind::Base("i8") => json!(numbers.integer(i8::MIN.into(), i8::MAX.into())),
        Kind::Base("i16") => json!(numbers.integer(i16::MIN.into(), i16::MAX.into())),
        Kind::Base("i32") => json!(numbers.integer(i32::MIN.into(), i32::MAX.into())),
        Kind::Base("i64") => json!(numbers.integer(i64::MIN, i64::MAX)),
        Kind::Base("double") => match f64::from_bits(numbers.next()) {
            _ if numbers.below(5) == 0 => json!("NaN"),
            _ if numbers.below(5) == 0 => json!("-Infinity"),
            finite if finite.is_finite() => json!(finite),
            _ => json!(0.1),
        },
        Kind::Base("binary") => json!(["", "AA==", "AAE=", "/+79"][numbers.below(4) as usize]),
        Kind::Base("uuid") => json!(numbers.uuid()),
        Kind::Base(_) => json!(numbers.text()),
        Kind::Enum => {
            [json!("A"), json!("B"), json!("C"), json!(77)][numbers.below(4) as usize].clone()
        }
        Kind::List(inner) | Kind::Set(inner) => {
            let count = [0, 1, 3, 20][numbers.below(4) as usize];
            (0..count).map(|_| value(inner, numbers)).collect()
        }
        Kind::Map(types) => map(types, numbers),
        Kind::Struct(fields) => {
            let mut map = Map::new();
            for (at, (_, presence, kind)) in fields.iter().enumerate() {
                if *presence == Presence::Required || numbers.below(2) == 0 {
                    map.insert(format!("f{at}"), value(kind, numbers));
                }
            }
            Value::Object(map)
        }
        Kind::Union(fields) => {
            let at = numbers.below(fields.len() as u64) as usize;
            json!({ format!("f{at}"): value(&fields[at].2, numbers) })
        }
    }
}

fn map(types: &(Kind, Kind), numbers: &mut Numbers) -> Value {
    let count = numbers.below(4);
    let entries = (0..count).map(|_| (value(&types.0, numbers), value(&types.1, numbers)));
    let entries: Vec<(Value, Value)> = entries.collect();
    let is_name = matches!(
        types.0,
        Kind::Enum | Kind::Base("bool" | "i8" | "i16" | "i32" | "i64" | "string" | "uuid")
    );
    if !is_name {
        return entries
            .into_iter()
            .map(|(key, value)| json!([key, value]))
            .collect();
    }
    let entries = entries.into_iter().map(|(key, value)| match key {
        Value::String(key) => (key, value),
        key => (key.to_string(), value),
    });
    Value::Object(entries.collect())
}

const LIMITS: Limits = Limits {
    message_bytes: 1 << 20,
    header_bytes: 0,
    method_bytes: 64,
    depth: 32,
};

const OPTIONS: JsonOptions = JsonOptions {
    long_integers: LongIntegers::Number,
    limits: LIMITS,
};

/// The body of the reply to a call with these arguments: its first field is the result.
fn echoed(arguments: &Bytes) -> Bytes {
    let mut body = BytesMut::from(&arguments[..]);
    body[2] = 0;
    body.freeze()
}

fn reply(schema: &Schema, protocol: Protocol, body: &[u8]) -> Option<Value> {
    let method = schema.method("echo").unwrap();
    let replied = decode_reply(schema, method, (protocol, body), &OPTIONS).ok()?;
    let Replied::Value(json) = replied else {
        panic!("{replied:?}");
    };
    assert!(json.len() <= LIMITS.message_bytes);
    Some(serde_json::from_slice(&json).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn what_goes_in_comes_out(kind in kind(), seed in 1..u64::MAX) {
        let schema = schema(&idl(&kind));
        let method = schema.method("echo").unwrap();
        let value = value(&kind, &mut Numbers(seed));
        let json = json!({ "value": value }).to_string();
        let arguments = encode_arguments(&schema, method, json.as_bytes(), &LIMITS).unwrap();
        let body = echoed(&arguments);
        prop_assert_eq!(reply(&schema, Protocol::Binary, &body), Some(value.clone()));
        // Which also shows that the arguments are one well-formed struct.
        let compact = transcode(&body, Protocol::Binary, Protocol::Compact, &LIMITS).unwrap();
        prop_assert_eq!(reply(&schema, Protocol::Compact, &compact), Some(value));
    }

    #[test]
    fn replies_that_are_damaged_are_refused_or_are_json(
        kind in kind(),
        seed in 1..u64::MAX,
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let schema = schema(&idl(&kind));
        let method = schema.method("echo").unwrap();
        let json = json!({ "value": value(&kind, &mut Numbers(seed)) }).to_string();
        let arguments = encode_arguments(&schema, method, json.as_bytes(), &LIMITS).unwrap();
        let body = echoed(&arguments);
        let compact = transcode(&body, Protocol::Binary, Protocol::Compact, &LIMITS).unwrap();
        for (protocol, body) in [(Protocol::Binary, body), (Protocol::Compact, compact)] {
            let mut damaged = BytesMut::from(&body[..]);
            for (at, byte) in &damage {
                let at = at.index(damaged.len());
                damaged[at] = *byte;
            }
            // What comes of it is JSON, if anything does: `reply` reads it.
            let _ = reply(&schema, protocol, &damaged);
            let _ = reply(&schema, protocol, &damaged[..cut.index(damaged.len())]);
        }
    }

    #[test]
    fn arguments_that_are_damaged_are_refused_or_are_a_struct(
        kind in kind(),
        seed in 1..u64::MAX,
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let schema = schema(&idl(&kind));
        let method = schema.method("echo").unwrap();
        let json = json!({ "value": value(&kind, &mut Numbers(seed)) }).to_string();
        let mut json = json.into_bytes();
        for (at, byte) in &damage {
            let at = at.index(json.len());
            json[at] = *byte;
        }
        if let Ok(body) = encode_arguments(&schema, method, &json, &LIMITS) {
            prop_assert!(transcode(&body, Protocol::Binary, Protocol::Compact, &LIMITS).is_ok());
        }
    }
}

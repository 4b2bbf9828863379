//! JSON from replies, and what a service may not reply.

use bytes::Bytes;
use tidegate_thrift::codec::{
    JsonOptions, Limits, LongIntegers, Protocol, Replied, ReplyError, Schema, decode_reply,
    transcode,
};

use crate::schema;

const IDL: &str = r#"
enum Level { LOW, HIGH = 7 }
struct Item { 1: required string name, 2: i64 count, 3: map<bool, list<double>> weights, 4: binary raw,
              5: map<double, Level> levels, 6: bool good }
union Either { 1: i32 number, 2: string text }
exception Missing { 1: string name }
service S {
  Item get(1: string name) throws (1: Missing missing, 2: Missing other),
  void touch() throws (1: Missing missing),
  Either either(),
}
"#;

fn options() -> JsonOptions {
    JsonOptions {
        long_integers: LongIntegers::Number,
        limits: Limits::default(),
    }
}

/// What is made of a body, the same in both protocols.
#[track_caller]
fn decode<'s>(schema: &'s Schema, method: &str, body: &[u8]) -> Result<Replied<'s>, ReplyError> {
    let method = schema.method(method).unwrap();
    let replied = decode_reply(schema, method, (Protocol::Binary, body), &options());
    let body = Bytes::copy_from_slice(body);
    let compact = transcode(
        &body,
        Protocol::Binary,
        Protocol::Compact,
        &Limits::default(),
    );
    if let Ok(compact) = compact {
        let other = decode_reply(schema, method, (Protocol::Compact, &compact), &options());
        assert_eq!(replied, other);
    }
    replied
}

#[track_caller]
fn value(schema: &Schema, method: &str, body: &[u8]) -> String {
    match decode(schema, method, body).unwrap() {
        Replied::Value(json) => String::from_utf8(json.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

const ITEM: &[u8] = b"\x0c\0\0\
    \x0b\0\x01\0\0\0\x03\"\n\x7f\
    \x0a\0\x02\0\x20\0\0\0\0\0\x01\
    \x0d\0\x03\x02\x0f\0\0\0\x01\x01\x04\0\0\0\x02\x3f\xe0\0\0\0\0\0\0\x7f\xf8\0\0\0\0\0\0\
    \x0b\0\x04\0\0\0\x02\0\xff\
    \x0d\0\x05\x04\x08\0\0\0\x02\xff\xf0\0\0\0\0\0\0\0\0\0\x07\x40\0\0\0\0\0\0\0\0\0\0\x09\
    \x02\0\x06\x01\
    \0\0";

#[test]
fn a_result_is_its_json() {
    let schema = schema(IDL);
    assert_eq!(
        value(&schema, "get", ITEM),
        r#"{"name":"\"\n","count":9007199254740993,"weights":{"true":[0.5,"NaN"]},"raw":"AP8=","levels":[["-Infinity","HIGH"],[2.0,9]],"good":true}"#
            .replace("\\n", "\\n\u{7f}")
    );
    let texts = JsonOptions {
        long_integers: LongIntegers::Text,
        ..options()
    };
    let method = schema.method("get").unwrap();
    let replied = decode_reply(&schema, method, (Protocol::Binary, ITEM), &texts).unwrap();
    let Replied::Value(json) = replied else {
        panic!("{replied:?}");
    };
    assert!(String::from_utf8_lossy(&json).contains(r#""count":"9007199254740993""#));
}

#[test]
fn fields_the_idl_does_not_have_are_left_out() {
    let schema = schema(IDL);
    let body = b"\x0c\0\0\x0b\0\x01\0\0\0\x01n\
        \x0c\0\x09\x0f\0\x01\x0c\0\0\0\x01\x02\0\x01\x01\0\0\
        \x0d\0\x0a\x0b\x08\0\0\0\x01\0\0\0\x01k\0\0\0\x01\x02\0\x0b\x01\0\
        \x08\0\x63\0\0\0\x01\0";
    assert_eq!(value(&schema, "get", body), r#"{"name":"n"}"#);
}

#[test]
fn exceptions_are_told_by_their_name() {
    let schema = schema(IDL);
    for (method, id) in [("get", 1), ("get", 2), ("touch", 1)] {
        let body = [b"\x0c\0", &[id][..], b"\x0b\0\x01\0\0\0\x01n\0\0"].concat();
        let expected = Replied::Exception {
            name: "Missing",
            fields: Bytes::from_static(br#"{"name":"n"}"#),
        };
        assert_eq!(decode(&schema, method, &body).unwrap(), expected);
    }
    assert_eq!(decode(&schema, "touch", b"\0").unwrap(), Replied::Nothing);
}

#[test]
fn what_does_not_keep_to_the_idl_is_refused_with_its_path() {
    let schema = schema(IDL);
    for (method, body, message) in [
        ("get", &b"\0"[..], "$: there is no result"),
        (
            "get",
            b"\x0c\0\0\0\0",
            "$: the required field `name` is missing",
        ),
        (
            "get",
            b"\x08\0\0\0\0\0\x01\0",
            "$: expected Struct, found Int32",
        ),
        (
            "get",
            b"\x0c\0\0\x08\0\x01\0\0\0\x01\0\0",
            "$.name: expected Text, found Int32",
        ),
        (
            "get",
            b"\x0c\0\0\x0b\0\x01\0\0\0\x01\xff\0\0",
            "$.name: a text that is not UTF-8",
        ),
        (
            "get",
            b"\x0c\0\0\x0d\0\x03\x02\x0f\0\0\0\x01\x01\x0b\0\0\0\x01\0\0\0\0\0\0",
            "$.weights.true: expected Double, found Text",
        ),
        (
            "get",
            b"\x0c\0\0\x0b\0\x01\0\0\0\x09n\0\0",
            "$.name: a field is longer than what contains it",
        ),
        (
            "get",
            b"\x0c\0\0\x0f\0\x09\x0a\x7f\xff\xff\xff\0\0",
            "$: a field is longer than what contains it",
        ),
        ("touch", b"\0\0", "$: bytes after the end of the body"),
        ("touch", b"", "$: a field is longer than what contains it"),
        ("either", b"\x0c\0\0\0\0", "$: a union of 0 fields"),
        (
            "either",
            b"\x0c\0\0\x08\0\x01\0\0\0\x01\x0b\0\x02\0\0\0\0\0\0",
            "$: a union of 2 fields",
        ),
    ] {
        let error = decode(&schema, method, body).unwrap_err();
        assert_eq!(error.to_string(), message, "{body:?}");
    }
}

#[test]
fn json_is_bounded_in_depth_and_size() {
    let schema = schema("struct A { 1: list<A> a } service S { A get(), list<bool> bools() }");
    let deep = |levels: usize| {
        let mut body = b"\x0c\0\0".to_vec();
        for _ in 0..levels {
            body.extend_from_slice(b"\x0f\0\x01\x0c\0\0\0\x01");
        }
        body.extend(vec![0; levels + 2]);
        body
    };
    let decode = |method: &str, body: &[u8], limits| {
        let options = JsonOptions {
            limits,
            ..options()
        };
        let method = schema.method(method).unwrap();
        decode_reply(&schema, method, (Protocol::Binary, body), &options)
    };
    let limits = Limits::default();
    assert!(decode("get", &deep(31), limits).is_ok());
    let error = decode("get", &deep(32), limits).unwrap_err();
    assert!(
        error.to_string().contains("nested more than 64 deep"),
        "{error}"
    );
    let bools = [b"\x0f\0\0\x02\0\0\0\x40", &[0; 65][..]].concat();
    assert!(decode("bools", &bools, limits).is_ok());
    let small = Limits {
        message_bytes: 100,
        ..limits
    };
    let error = decode("bools", &bools, small).unwrap_err();
    assert!(
        error.to_string().contains("more than 100 bytes of JSON"),
        "{error}"
    );
}

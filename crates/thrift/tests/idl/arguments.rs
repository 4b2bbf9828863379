//! Arguments from JSON: what bytes they become, and what is refused where.

use tidegate_thrift::codec::{
    ArgumentFault, ArgumentsError, Limits, encode_arguments, encode_texts,
};

use crate::schema;

const IDL: &str = r#"
enum Level { LOW, HIGH = 7 }
const string ROOT = "root"
union Either { 1: i32 number, 2: string text }
struct Point { 1: required i32 x, 2: i32 y = 5, 3: optional i32 z = 6 }
struct User {
  1: required string name,
  2: i32 age,
  3: list<User> friends,
  4: map<i32, Level> levels,
  5: map<Point, bool> places,
  6: optional Either either,
}
service S {
  void scalars(1: bool a, 2: i8 b, 3: i16 c, 4: i32 d, 5: i64 e, 6: double f, 7: string g,
               8: binary h, 9: uuid i, 10: Level j),
  void user(1: User user),
  void defaults(1: i32 a = 3, 2: string b = ROOT, 3: list<i16> c = [1, 2], 4: Level d = Level.HIGH,
                5: map<string, bool> e = {"x": true}, 6: Point f = {"x": 1}, 7: optional i32 g = 9,
                8: double h = 2, 9: bool i = 1),
  void longs(1: list<i64> longs),
  void either(1: Either either),
}
"#;

fn encode(method: &str, json: &str) -> Result<Vec<u8>, ArgumentsError> {
    encode_within(&Limits::default(), method, json)
}

fn encode_within(limits: &Limits, method: &str, json: &str) -> Result<Vec<u8>, ArgumentsError> {
    let schema = schema(IDL);
    let method = schema.method(method).unwrap();
    encode_arguments(&schema, method, json.as_bytes(), limits).map(|body| body.to_vec())
}

#[test]
fn every_type_is_spelt_as_the_protocol_has_it() {
    let body = encode(
        "scalars",
        r#"{"a": true, "b": -2, "c": 300, "d": -70000, "e": 9007199254740993, "f": 0.5, "g": "h\u00e9",
            "h": "AP8=", "i": "00112233-4455-6677-8899-AABBCCDDEEFF", "j": "HIGH"}"#,
    );
    let mut expected = Vec::new();
    expected.extend_from_slice(b"\x02\0\x01\x01\x03\0\x02\xfe\x06\0\x03\x01\x2c");
    expected.extend_from_slice(b"\x08\0\x04\xff\xfe\xee\x90");
    expected.extend_from_slice(b"\x0a\0\x05\0\x20\0\0\0\0\0\x01");
    expected.extend_from_slice(b"\x04\0\x06\x3f\xe0\0\0\0\0\0\0");
    expected.extend_from_slice(b"\x0b\0\x07\0\0\0\x03h\xc3\xa9\x0b\0\x08\0\0\0\x02\0\xff");
    expected.extend_from_slice(
        b"\x10\0\x09\0\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",
    );
    expected.extend_from_slice(b"\x08\0\x0a\0\0\0\x07\0");
    assert_eq!(body.unwrap(), expected);
}

#[test]
fn defaults_are_written_but_for_optional_fields() {
    let mut expected = Vec::new();
    expected.extend_from_slice(b"\x08\0\x01\0\0\0\x03\x0b\0\x02\0\0\0\x04root");
    expected.extend_from_slice(b"\x0f\0\x03\x06\0\0\0\x02\0\x01\0\x02\x08\0\x04\0\0\0\x07");
    expected.extend_from_slice(b"\x0d\0\x05\x0b\x02\0\0\0\x01\0\0\0\x01x\x01");
    expected.extend_from_slice(b"\x0c\0\x06\x08\0\x01\0\0\0\x01\0");
    expected.extend_from_slice(b"\x04\0\x08\x40\0\0\0\0\0\0\0\x02\0\x09\x01\0");
    assert_eq!(encode("defaults", "{}").unwrap(), expected);
    assert_eq!(encode("defaults", "").unwrap(), expected);
    assert_eq!(
        encode("defaults", r#"{"a": null, "g": null}"#).unwrap(),
        expected
    );
}

#[test]
fn structs_and_maps_are_objects_and_other_maps_are_pairs() {
    let body = encode(
        "user",
        r#"{"user": {"levels": {"-3": "LOW", "4": 9}, "places": [[{"x": 1, "y": 2}, false]],
            "either": {"text": "t"}, "name": "n", "friends": []}}"#,
    );
    let mut expected = Vec::new();
    expected.extend_from_slice(b"\x0c\0\x01");
    expected.extend_from_slice(
        b"\x0d\0\x04\x08\x08\0\0\0\x02\xff\xff\xff\xfd\0\0\0\0\0\0\0\x04\0\0\0\x09",
    );
    expected.extend_from_slice(
        b"\x0d\0\x05\x0c\x02\0\0\0\x01\x08\0\x01\0\0\0\x01\x08\0\x02\0\0\0\x02\0\0",
    );
    expected.extend_from_slice(b"\x0c\0\x06\x0b\0\x02\0\0\0\x01t\0");
    expected.extend_from_slice(b"\x0b\0\x01\0\0\0\x01n\x0f\0\x03\x0c\0\0\0\0\0\0");
    assert_eq!(body.unwrap(), expected);
}

#[test]
fn numbers_beyond_those_of_json_are_texts() {
    let bytes = |json: &str| encode("scalars", &SCALARS.replace("\"f\": 0", json)).unwrap();
    let double = |body: Vec<u8>| {
        let at = body.windows(3).position(|it| it == b"\x04\0\x06").unwrap();
        f64::from_be_bytes(body[at + 3..at + 11].try_into().unwrap())
    };
    assert!(double(bytes(r#""f": "NaN""#)).is_nan());
    assert_eq!(double(bytes(r#""f": "-Infinity""#)), f64::NEG_INFINITY);
    assert_eq!(double(bytes(r#""f": 1e-7"#)), 1e-7);
    assert_eq!(
        encode(
            "longs",
            r#"{"longs": ["-9223372036854775808", 9223372036854775807]}"#
        )
        .unwrap(),
        b"\x0f\0\x01\x0a\0\0\0\x02\x80\0\0\0\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff\0"
    );
}

const SCALARS: &str = r#"{"a": true, "b": 0, "c": 0, "d": 0, "e": 0, "f": 0, "g": "",
    "h": "", "i": "00112233-4455-6677-8899-aabbccddeeff", "j": 0}"#;

#[test]
fn what_is_wrong_is_said_with_its_path() {
    let scalar = |from: &str, to: &str| ("scalars", SCALARS.replace(from, to));
    let user = |json: &str| ("user", format!("{{\"user\": {json}}}"));
    let cases = [
        (
            scalar("\"b\": 0", "\"b\": 128"),
            "$.b: expected i8, found 128, which does not fit",
        ),
        (
            scalar("\"c\": 0", "\"c\": -32769"),
            "$.c: expected i16, found -32769, which does not fit",
        ),
        (
            scalar("\"d\": 0", "\"d\": \"0\""),
            "$.d: expected i32, found string",
        ),
        (
            scalar("\"d\": 0", "\"d\": 1.0"),
            "$.d: expected i32, found a number that is not whole or too large",
        ),
        (
            scalar("\"e\": 0", "\"e\": 9223372036854775808"),
            "$.e: expected i64, found 9223372036854775808, which does not fit",
        ),
        (
            scalar("\"e\": 0", "\"e\": \"1.5\""),
            "$.e: expected i64, found another string",
        ),
        (
            scalar("\"a\": true", "\"a\": 1"),
            "$.a: expected bool, found number",
        ),
        (
            scalar("\"f\": 0", "\"f\": \"0.5\""),
            "$.f: expected double, found another string",
        ),
        (
            scalar("\"g\": \"\"", "\"g\": {}"),
            "$.g: expected string, found object",
        ),
        (
            scalar("\"h\": \"\"", "\"h\": \"?\""),
            "$.h: expected base64, found another string",
        ),
        (
            scalar("00112233-", "00112233"),
            "$.i: expected uuid, found another string",
        ),
        (
            scalar("\"j\": 0", "\"j\": \"MIDDLE\""),
            "$.j: expected Level, found another string",
        ),
        (
            scalar("\"j\": 0", "\"j\": \"7\""),
            "$.j: expected Level, found another string",
        ),
        (
            scalar("\"j\": 0", "\"k\": 0"),
            "$.k: there is no such field",
        ),
        (
            scalar("\"j\": 0", "\"a\": true"),
            "$.a: the field is given twice",
        ),
        (
            scalar("\"j\": 0", "\"j\": null"),
            "$: the required field `j` is missing",
        ),
        (
            user(r#"{"age": 1}"#),
            "$.user: the required field `name` is missing",
        ),
        (
            user(r#"{"name": "n", "age": "old"}"#),
            "$.user.age: expected i32, found string",
        ),
        (
            user(r#"{"name": "n", "friends": [{"name": "m"}, {"name": 5}]}"#),
            "$.user.friends[1].name: expected string, found number",
        ),
        (
            user(r#"{"name": "n", "friends": [null]}"#),
            "$.user.friends[0]: expected object, found null",
        ),
        (
            user(r#"{"name": "n", "friends": {}}"#),
            "$.user.friends: expected array, found object",
        ),
        (
            user(r#"{"name": "n", "levels": {"x y": "LOW"}}"#),
            "$.user.levels[\"x y\"]: expected i32 as the key, found another text",
        ),
        (
            user(r#"{"name": "n", "levels": {"3": []}}"#),
            "$.user.levels[\"3\"]: expected Level, found array",
        ),
        (
            user(r#"{"name": "n", "places": [[{"x": 1}]]}"#),
            "$.user.places[0]: expected a pair, found fewer",
        ),
        (
            user(r#"{"name": "n", "places": [[{"x": 1}, true, 0]]}"#),
            "$.user.places[0]: expected a pair, found more",
        ),
        (
            user(r#"{"name": "n", "places": [[{"x": 1}, 0]]}"#),
            "$.user.places[0][1]: expected bool, found number",
        ),
        (
            user(r#"{"name": "n", "places": {}}"#),
            "$.user.places: expected array of pairs, found object",
        ),
        (
            ("either", r#"{"either": {}}"#.to_owned()),
            "$.either: expected exactly one field of the union Either, found 0",
        ),
        (
            (
                "either",
                r#"{"either": {"number": 1, "text": "t"}}"#.to_owned(),
            ),
            "$.either: expected exactly one field of the union Either, found 2",
        ),
        (
            ("longs", "[]".to_owned()),
            "$: expected object, found array",
        ),
        (
            ("longs", "null".to_owned()),
            "$: expected object, found null",
        ),
    ];
    for ((method, json), message) in cases {
        let error = encode(method, &json).unwrap_err();
        assert_eq!(
            (error.fault, error.to_string().as_str()),
            (ArgumentFault::Value, message),
            "{json}"
        );
    }
}

#[test]
fn what_is_no_json_is_told_apart() {
    for json in [
        "{",
        "{\"longs\": [1,]}",
        "{\"longs\": []} x",
        "{\"longs\": [1e999]}",
        "\u{1}",
        "{'longs': []}",
    ] {
        let error = encode("longs", json).unwrap_err();
        assert_eq!(error.fault, ArgumentFault::Syntax, "{json}: {error}");
    }
}

#[test]
fn depth_and_size_are_bounded() {
    let deep = |levels: usize| {
        let inner = r#"{"name": "n", "friends": ["#.repeat(levels);
        format!("{{\"user\": {inner}{}}}", "]}".repeat(levels))
    };
    let limits = Limits {
        depth: 9,
        message_bytes: 64,
        ..Limits::default()
    };
    let roomy = Limits {
        depth: 9,
        ..Limits::default()
    };
    assert!(encode_within(&roomy, "user", &deep(4)).is_ok());
    let error = encode_within(&roomy, "user", &deep(5)).unwrap_err();
    assert!(error.message.contains("more than 9 deep"), "{error}");
    // As deep as the stack would not bear, whatever the limit.
    let endless = Limits {
        depth: usize::MAX,
        ..Limits::default()
    };
    assert!(encode_within(&endless, "user", &deep(100_000)).is_err());
    let longs = |count: usize| format!("{{\"longs\": [{}]}}", vec!["1"; count].join(","));
    assert!(encode_within(&limits, "longs", &longs(6)).is_ok());
    let error = encode_within(&limits, "longs", &longs(20)).unwrap_err();
    assert_eq!(error.fault, ArgumentFault::TooLarge, "{error}");
}

#[test]
fn texts_give_scalars_alone() {
    let schema = schema(IDL);
    let limits = Limits::default();
    let encode = |method: &str, texts: &[(&str, &str)]| {
        let method = schema.method(method).unwrap();
        let body = encode_texts(&schema, method, texts.iter().copied(), &limits);
        body.map(|body| body.to_vec())
    };
    let texts = [
        ("a", "true"),
        ("b", "-2"),
        ("c", "300"),
        ("d", "0"),
        ("e", "-1"),
        ("f", "1.5"),
        ("g", "true"),
        ("h", "AP8"),
        ("i", "00112233-4455-6677-8899-aabbccddeeff"),
        ("j", "HIGH"),
    ];
    let json = r#"{"a": true, "b": -2, "c": 300, "d": 0, "e": -1, "f": 1.5, "g": "true", "h": "AP8=",
        "i": "00112233-4455-6677-8899-aabbccddeeff", "j": 7}"#;
    let by_json = encode_arguments(
        &schema,
        schema.method("scalars").unwrap(),
        json.as_bytes(),
        &limits,
    );
    assert_eq!(encode("scalars", &texts).unwrap(), by_json.unwrap());
    let message = |texts: &[(&str, &str)]| encode("defaults", texts).unwrap_err().to_string();
    assert_eq!(
        message(&[("a", "x")]),
        "$.a: expected i32, found another text"
    );
    assert_eq!(
        message(&[("c", "1")]),
        "$.c: expected array, found another text"
    );
    assert_eq!(message(&[("z", "1")]), "$.z: there is no such field");
    assert_eq!(
        message(&[("a", "1"), ("a", "2")]),
        "$.a: the field is given twice"
    );
}

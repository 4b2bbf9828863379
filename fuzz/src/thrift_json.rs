//! Calls in JSON under arbitrary input. Each function panics when an invariant breaks: what
//! is made of any reply is JSON within the limits, and what is made of any JSON is one
//! struct; either reads back as what it was.

use std::sync::OnceLock;

use bytes::{Bytes, BytesMut};
use tidegate_thrift::codec::{
    Idl, JsonOptions, Limits, LongIntegers, Protocol, Replied, Schema, decode_reply,
    encode_arguments, transcode,
};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its binary and of its directory of seeds.
    pub name: &'static str,
    /// Panics when an invariant does not hold for an input.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 3] = [
    Target {
        name: "thrift_reply",
        run: reply,
    },
    Target {
        name: "thrift_arguments",
        run: arguments,
    },
    Target {
        name: "thrift_idl",
        run: idl,
    },
];

/// Longer input finds nothing that shorter input does not.
const INPUT_BYTES_MAX: usize = 64 << 10;

/// The method gives back its argument: the field of either has number 0.
const IDL: &str = "
enum Level { LOW, HIGH = 7 }
union Either { 1: i32 number, 2: string text, 3: list<Either> more }
struct Node {
  1: bool a, 2: i8 b, 3: i16 c, 4: i32 d, 5: i64 e, 6: double f, 7: string g, 8: binary h,
  9: uuid i, 10: Level j, 11: list<Node> k, 12: set<bool> l, 13: map<string, Node> m,
  14: map<double, Level> n, 15: map<Level, Either> o, 16: map<bool, i64> p, -1: Either q
}
service S { Node echo(0: optional Node node) }
";

/// What either may become.
pub const LIMITS: Limits = Limits {
    message_bytes: 256 << 10,
    header_bytes: 0,
    method_bytes: 64,
    depth: 32,
};

/// More than either becomes.
const ROOMY: Limits = Limits {
    message_bytes: 64 << 20,
    ..LIMITS
};

fn schema() -> &'static Schema {
    static SCHEMA: OnceLock<Schema> = OnceLock::new();
    SCHEMA.get_or_init(|| {
        let idl = Idl::load("fuzz.thrift", &mut |_| Ok(IDL.to_owned()));
        let schema = idl.and_then(|idl| idl.compile("S"));
        schema.expect("it is well-formed")
    })
}

/// The JSON of a reply, if it is one.
pub fn json(protocol: Protocol, body: &[u8], limits: Limits) -> Option<Bytes> {
    let method = schema().method("echo").expect("it is declared");
    let options = JsonOptions {
        long_integers: LongIntegers::Number,
        limits,
    };
    match decode_reply(schema(), method, (protocol, body), &options) {
        Ok(Replied::Value(json)) => Some(json),
        Ok(replied) => panic!("the method returns a value: {replied:?}"),
        Err(_) => None,
    }
}

/// The body of arguments, if they are taken.
pub fn body(json: &[u8], limits: &Limits) -> Option<Bytes> {
    let method = schema().method("echo").expect("it is declared");
    encode_arguments(schema(), method, json, limits).ok()
}

/// A reply in either protocol.
pub fn reply(data: &[u8]) {
    let data = &data[..data.len().min(INPUT_BYTES_MAX)];
    for protocol in [Protocol::Binary, Protocol::Compact] {
        let Some(made) = json(protocol, data, LIMITS) else {
            continue;
        };
        assert!(made.len() <= LIMITS.message_bytes);
        let mut arguments = BytesMut::from(&b"{\"node\":"[..]);
        arguments.extend_from_slice(&made);
        arguments.extend_from_slice(b"}");
        let again = body(&arguments, &ROOMY).expect("it was made of such a struct");
        let again = json(Protocol::Binary, &again, ROOMY);
        assert_eq!(
            again.as_ref(),
            Some(&made),
            "{:?}",
            String::from_utf8_lossy(&made)
        );
    }
}

/// Arguments.
pub fn arguments(data: &[u8]) {
    let data = &data[..data.len().min(INPUT_BYTES_MAX)];
    let Some(made) = body(data, &LIMITS) else {
        return;
    };
    assert!(made.len() <= LIMITS.message_bytes);
    let compact = transcode(&made, Protocol::Binary, Protocol::Compact, &ROOMY);
    let compact = compact.expect("it is one struct");
    assert_eq!(
        json(Protocol::Binary, &made, ROOMY),
        json(Protocol::Compact, &compact, ROOMY)
    );
}

/// An IDL file that includes itself, if it includes anything.
pub fn idl(data: &[u8]) {
    let text = String::from_utf8_lossy(&data[..data.len().min(INPUT_BYTES_MAX / 16)]);
    let Ok(idl) = Idl::load("fuzz.thrift", &mut |_| Ok(text.clone().into_owned())) else {
        return;
    };
    let services: Vec<String> = idl.services().map(str::to_owned).collect();
    for service in services {
        if let Err(error) = idl.compile(&service) {
            assert!(!error.message.is_empty() && !error.file.is_empty());
        }
    }
}

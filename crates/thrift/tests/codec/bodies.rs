//! Bodies put into the other protocol.

use bytes::Bytes;
use proptest::prelude::*;
use tidegate_thrift::codec::{
    ApplicationException, DecodeError, ExceptionKind, Limits, Protocol, transcode,
};

use crate::values::{self, Value};

proptest! {
    #[test]
    fn a_body_is_the_same_struct_in_the_other_protocol(fields in values::structs()) {
        let limits = Limits::default();
        let binary = Bytes::from(values::binary(&fields));
        let compact = Bytes::from(values::compact(&fields));
        let there = transcode(&binary, Protocol::Binary, Protocol::Compact, &limits);
        prop_assert_eq!(there, Ok(compact.clone()));
        let back = transcode(&compact, Protocol::Compact, Protocol::BinaryOld, &limits);
        prop_assert_eq!(back, Ok(binary));
    }

    #[test]
    fn a_cut_body_is_refused_at_every_length(fields in values::structs()) {
        let limits = Limits::default();
        let binary = Bytes::from(values::binary(&fields));
        for end in 0..binary.len() {
            let cut = transcode(&binary.slice(..end), Protocol::Binary, Protocol::Compact, &limits);
            prop_assert_eq!(cut, Err(DecodeError::Truncated));
        }
        let compact = Bytes::from(values::compact(&fields));
        for end in 0..compact.len() {
            let cut = transcode(&compact.slice(..end), Protocol::Compact, Protocol::Binary, &limits);
            prop_assert_eq!(cut, Err(DecodeError::Truncated));
        }
    }

    #[test]
    fn bytes_of_any_kind_end_in_a_body_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let bytes = Bytes::from(bytes);
        let limits = Limits { message_bytes: 1024, ..Limits::default() };
        for (from, to) in [(Protocol::Binary, Protocol::Compact), (Protocol::Compact, Protocol::Binary)] {
            if let Ok(other) = transcode(&bytes, from, to, &limits) {
                let back = transcode(&other, to, from, &Limits::default()).unwrap();
                // Spellings may differ, but not what is spelt.
                prop_assert_eq!(transcode(&back, from, to, &Limits::default()), Ok(other));
            }
        }
    }
}

#[test]
fn a_body_in_the_same_protocol_is_not_even_read() {
    let nonsense = Bytes::from_static(b"\xff\xff");
    let limits = Limits::default();
    let same = transcode(&nonsense, Protocol::Binary, Protocol::BinaryOld, &limits);
    assert_eq!(same.unwrap().as_ptr(), nonsense.as_ptr());
}

#[test]
fn a_small_body_that_would_become_a_giant_is_refused() {
    // An empty map has one byte in the compact protocol and six in the binary.
    let maps = Value::List(vec![Value::Map(vec![]); 1000]);
    let body = Bytes::from(values::compact(&vec![(1, maps)]));
    let limits = Limits {
        message_bytes: 3000,
        ..Limits::default()
    };
    assert_eq!(
        transcode(&body, Protocol::Compact, Protocol::Binary, &limits),
        Err(DecodeError::MessageTooLarge { limit: 3000 })
    );
}

#[test]
fn nesting_ends_at_its_limit() {
    let limits = Limits {
        depth: 8,
        ..Limits::default()
    };
    let nested = |depth: usize| {
        let inmost = vec![(1, Value::Byte(1))];
        (1..depth).fold(inmost, |inner, _| vec![(1, Value::Struct(inner))])
    };
    for (depth, expected) in [(8, None), (9, Some(DecodeError::TooDeep { limit: 8 }))] {
        let binary = Bytes::from(values::binary(&nested(depth)));
        let read = transcode(&binary, Protocol::Binary, Protocol::Compact, &limits);
        assert_eq!(read.err(), expected, "{depth}");
    }
}

#[test]
fn an_exception_reads_back_from_every_protocol() {
    let limits = Limits::default();
    for kind in (0..=10).map(ExceptionKind::from_code) {
        let exception = ApplicationException::new(kind, "no such thing \u{1f30a}");
        for protocol in [Protocol::Binary, Protocol::BinaryOld, Protocol::Compact] {
            let body = exception.encode(protocol);
            let read = ApplicationException::decode(&body, protocol, &limits);
            assert_eq!(read, Ok(exception.clone()));
            for end in 0..body.len() {
                let cut = ApplicationException::decode(&body[..end], protocol, &limits);
                assert_eq!(cut, Err(DecodeError::Truncated));
            }
        }
    }
}

#[test]
fn what_lies_deeper_in_an_exception_is_not_taken_for_its_fields() {
    let inner = vec![(1, Value::Text(b"inner".to_vec())), (2, Value::Int32(6))];
    let fields = vec![(3, Value::Struct(inner)), (2, Value::Int32(1))];
    let body = values::binary(&fields);
    let read = ApplicationException::decode(&body, Protocol::Binary, &Limits::default()).unwrap();
    assert_eq!(
        read,
        ApplicationException::new(ExceptionKind::UnknownMethod, "")
    );
}

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use proptest::prelude::*;
use tidegate_thrift::codec::{
    self, Decoder, Envelope, Limits, Message, MessageKind, Transport, Wire,
};

use super::*;

const ALL: [Protocol; 5] = [
    Protocol::Http1,
    Protocol::Http2,
    Protocol::Tls,
    Protocol::Mqtt,
    Protocol::Thrift,
];
const THRIFT: Detection = Detection::Found(Protocol::Thrift);

/// First bytes of each protocol, and of some that are none of them.
const OPENINGS: [(&[u8], Detection); 39] = [
    (b"GET / HTTP/1.1\r\n", Detection::Found(Protocol::Http1)),
    (b"OPTIONS * HTTP/1.1", Detection::Found(Protocol::Http1)),
    (b"CONNECT a:1 HTTP/1.1", Detection::Found(Protocol::Http1)),
    (b"GET HTTP://a/", Detection::Found(Protocol::Http1)),
    (b"\r\nGET / HTTP/1.0", Detection::Found(Protocol::Http1)),
    (b"M-SEARCH * HTTP/1.1", Detection::Found(Protocol::Http1)),
    (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        Detection::Found(Protocol::Http2),
    ),
    // A method that only begins as the preface does.
    (b"PRINT / HTTP/1.1", Detection::Found(Protocol::Http1)),
    (
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
        Detection::Found(Protocol::Tls),
    ),
    (
        b"\x16\x03\x03\x00\x10\x01\x00\x00",
        Detection::Found(Protocol::Tls),
    ),
    (
        b"\x10\x0c\x00\x04MQTT\x05",
        Detection::Found(Protocol::Mqtt),
    ),
    (
        b"\x10\x80\x80\x01\x00\x04MQTT",
        Detection::Found(Protocol::Mqtt),
    ),
    (b"EHLO mail.example.com\r\n", Detection::Unknown),
    (b"SSH-2.0-OpenSSH_9.9\r\n", Detection::Unknown),
    // Without a frame: strict binary, compact, old binary; a one-way call of each.
    (b"\x80\x01\0\x01\0\0\0\x04ping", THRIFT),
    (b"\x80\x01\0\x04\0\0\0\x04ping", THRIFT),
    (b"\x82\x21\x07\x04ping", THRIFT),
    (b"\x82\x81\x07\x04ping", THRIFT),
    (b"\0\0\0\x04ping\x01\0\0\0\x07\0", THRIFT),
    (b"\0\0\x01\0_long", THRIFT),
    // The same in frames, small and as large as they are recognised.
    (b"\0\0\0\x11\x80\x01\0\x01\0\0\0\x04ping", THRIFT),
    (b"\0\xff\xff\xff\x82\x81\x07\x04ping", THRIFT),
    (b"\0\0\0\x11\0\0\0\x04ping\x01", THRIFT),
    (b"\0\0\0\x20\x10\0\0\0\0\0\0\x07", THRIFT),
    // Answers, other versions, a frame of 16 MiB, a name without bytes.
    (b"\x80\x01\0\x02\0\0\0\x04ping", Detection::Unknown),
    (b"\x82\x41\x07\x04ping", Detection::Unknown),
    (b"\x80\x02\0\x01\0\0\0\x04ping", Detection::Unknown),
    (b"\x82\x22\x07\x04ping", Detection::Unknown),
    (b"\x01\0\0\0\x80\x01\0\x01\0\0\0\x04", Detection::Unknown),
    (b"\0\0\0\0ping", Detection::Unknown),
    // Clients of PostgreSQL (TLS, plain), Kafka and SMB.
    (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Detection::Unknown),
    (b"\x00\x00\x00\x20\x00\x03\x00\x00user", Detection::Unknown),
    (
        b"\x00\x00\x00\x23\x00\x12\x00\x03\0\0\0\x01",
        Detection::Unknown,
    ),
    (b"\x00\x00\x00\x40\xffSMB", Detection::Unknown),
    (b"\x00\x00\x00\x40\xfeSMB", Detection::Unknown),
    // An alert, and a server's hello.
    (b"\x15\x03\x01\x00\x02\x02\x28", Detection::Unknown),
    (b"\x16\x03\x03\x00\x50\x02\x00", Detection::Unknown),
    // MQTT 3.1, and a length without end.
    (b"\x10\x10\x00\x06MQIsdp\x03", Detection::Unknown),
    (b"\x10\xff\xff\xff\xff\xff\x00", Detection::Unknown),
];

#[test]
fn a_verdict_is_the_same_however_the_bytes_are_cut() {
    for (bytes, expected) in OPENINGS {
        let verdicts = (0..=bytes.len()).map(|length| detect(&bytes[..length], &ALL));
        let decided: Vec<_> = verdicts
            .skip_while(|verdict| *verdict == Detection::Undecided)
            .collect();
        assert!(!decided.is_empty(), "{bytes:?} is never decided");
        assert!(
            decided.iter().all(|verdict| *verdict == expected),
            "{bytes:?}: {decided:?}"
        );
    }
}

#[test]
fn what_is_not_on_offer_is_not_looked_for() {
    for (bytes, expected) in OPENINGS {
        let Detection::Found(protocol) = expected else {
            continue;
        };
        let others: Vec<_> = ALL.into_iter().filter(|it| *it != protocol).collect();
        let verdict = detect(bytes, &others);
        assert_eq!(verdict, Detection::Unknown, "{bytes:?}");
    }
    assert_eq!(detect(b"", &[]), Detection::Unknown);
}

/// Bytes that are likely to begin as some protocol does, and then to go astray.
fn openings() -> impl Strategy<Value = Vec<u8>> {
    let likely = &b"\x10\0\x04MQT\x16\x03\x01GE /PRI*\x80\x82\x21\r\n"[..];
    let byte = prop_oneof![any::<u8>(), prop::sample::select(likely)];
    let any = prop::collection::vec(byte.clone(), 0..24);
    let begun = (
        prop::sample::select(&OPENINGS[..]),
        0_usize..16,
        any.clone(),
    );
    let begun = begun.prop_map(|((opening, _), kept, rest)| {
        let kept = &opening[..kept.min(opening.len())];
        [kept, &rest].concat()
    });
    prop_oneof![any, begun]
}

proptest! {
    #[test]
    fn nobody_is_kept_waiting_beyond_the_bound(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'A'), Just(0x80), Just(0)], DETECT_BYTES_MAX..64),
    ) {
        prop_assert_ne!(detect(&bytes, &ALL), Detection::Undecided);
    }

    #[test]
    fn no_bytes_begin_two_protocols(bytes in openings()) {
        let claims = |length: usize| {
            let claimed = ALL.into_iter().filter(|it| detect(&bytes[..length], &[*it]) != Detection::Unknown);
            claimed.collect::<Vec<_>>()
        };
        let found = ALL.into_iter().filter(|it| detect(&bytes, &[*it]) == Detection::Found(*it));
        let found: Vec<_> = found.collect();
        prop_assert!(found.len() <= 1, "{:?} is {:?}", bytes, found);
        // Past the first byte only the two of HTTP may both still be there.
        for length in 1..=bytes.len() {
            let claims = claims(length);
            let is_http = claims == [Protocol::Http1, Protocol::Http2];
            prop_assert!(claims.len() <= 1 || is_http, "{:?} may be {:?}", bytes, claims);
        }
    }

    #[test]
    fn calls_of_every_spelling_are_told_by_nine_bytes(
        transport in prop::sample::select(vec![Transport::Unframed, Transport::Framed, Transport::TtHeader, Transport::TtHeaderFramed]),
        protocol in prop::sample::select(vec![codec::Protocol::Binary, codec::Protocol::BinaryOld, codec::Protocol::Compact]),
        kind in prop::sample::select(vec![MessageKind::Call, MessageKind::OneWay]),
        method in "[A-Za-z_][A-Za-z0-9_.:]{0,99}",
        sequence_id in any::<i32>(),
        body_bytes in 0_usize..100_000,
    ) {
        let message = Message {
            wire: Wire { transport, protocol },
            envelope: Envelope { method: method.into(), kind, sequence_id },
            headers: None,
            body: vec![0; body_bytes].into(),
        };
        let bytes = codec::encode(&message).unwrap();
        prop_assert_eq!(detect(&bytes[..9], &ALL), THRIFT);
    }

    #[test]
    fn what_is_told_for_thrift_is_what_the_codec_takes_it_for(bytes in openings()) {
        let mut decoder = Decoder::new(Limits::default());
        let refused = decoder.decode(&mut BytesMut::from(&bytes[..])).is_err();
        if detect(&bytes, &[Protocol::Thrift]) != Detection::Unknown {
            // What is wrong with it is told in Thrift, by the one that serves it.
            prop_assert!(!refused || decoder.transport().is_some());
        }
    }

    #[test]
    fn more_bytes_never_change_a_verdict(bytes in openings(), at in 0_usize..24) {
        let at = at.min(bytes.len());
        let early = detect(&bytes[..at], &ALL);
        if early != Detection::Undecided {
            prop_assert_eq!(early, detect(&bytes, &ALL));
        }
    }
}

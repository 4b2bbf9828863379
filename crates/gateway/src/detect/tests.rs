use proptest::prelude::*;

use super::*;

const ALL: [Protocol; 4] = [
    Protocol::Http1,
    Protocol::Http2,
    Protocol::Tls,
    Protocol::Mqtt,
];

/// First bytes of each protocol, and of some that are none of them.
const OPENINGS: [(&[u8], Detection); 19] = [
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
    (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Detection::Unknown),
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

proptest! {
    #[test]
    fn nobody_is_kept_waiting_beyond_the_bound(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'A'), Just(0x80)], DETECT_BYTES_MAX..64),
    ) {
        prop_assert_ne!(detect(&bytes, &ALL), Detection::Undecided);
    }

    #[test]
    fn more_bytes_never_change_a_verdict(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(&b"\x10\0\x04MQT\x16\x03\x01GE /PRI*"[..])], 0..24),
        at in 0_usize..24,
    ) {
        let at = at.min(bytes.len());
        let early = detect(&bytes[..at], &ALL);
        if early != Detection::Undecided {
            prop_assert_eq!(early, detect(&bytes, &ALL));
        }
    }
}

//! What proxies send is understood whole and in pieces, and nothing else is.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

fn tcp(source: &str, destination: &str) -> Proxied {
    Proxied::Tcp {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
    }
}

fn encoded(version: ProxyVersion, proxied: &Proxied) -> Vec<u8> {
    let mut out = BytesMut::new();
    encode(version, proxied, &mut out);
    out.to_vec()
}

/// A header of version 2 with this command, family and body.
fn binary(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = v2::SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    bytes.extend(body);
    bytes
}

const FOUR: &[u8] = &[192, 0, 2, 7, 198, 51, 100, 1, 0x9c, 0x40, 0x01, 0xbb];

#[test]
fn the_longest_line_that_there_can_be_is_a_line() {
    let longest = format!("PROXY TCP6 {0} {0} 65535 65535\r\n", ["ffff"; 8].join(":"));
    assert!(longest.len() <= V1_BYTES_MAX);
    assert_eq!(parse(longest.as_bytes()).unwrap().unwrap().1, longest.len());
    let filler = "x".repeat(V1_BYTES_MAX - "PROXY UNKNOWN \r\n".len());
    let line = format!("PROXY UNKNOWN {filler}\r\n");
    assert_eq!(line.len(), V1_BYTES_MAX);
    let (header, _) = parse(line.as_bytes()).unwrap().unwrap();
    assert_eq!(header.proxied, Proxied::Nothing);
    let longer = line.replace("UNKNOWN ", "UNKNOWN x");
    assert_eq!(parse(longer.as_bytes()), Err(ProxyHeaderError::Line));
}

#[test]
fn a_line_in_any_other_form_is_refused() {
    for line in [
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000 443 \r\n",
        "PROXY TCP4  192.0.2.7 198.51.100.1 40000 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 40000 65536\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 +4000 443\r\n",
        "PROXY TCP4 192.0.2.7 198.51.100.1 04000 443\r\n",
        "PROXY TCP4 192.0.2.07 198.51.100.1 40000 443\r\n",
        "PROXY TCP4 ::1 ::1 40000 443\r\n",
        "PROXY TCP6 192.0.2.7 198.51.100.1 40000 443\r\n",
        "PROXY UDP4 192.0.2.7 198.51.100.1 40000 443\r\n",
        "PROXY tcp4 192.0.2.7 198.51.100.1 40000 443\r\n",
        "PROXY UNKNOWNS\r\n",
        "PROXY \r\n",
        "PROXY\r\n",
        "proxy UNKNOWN\r\n",
    ] {
        assert!(parse(line.as_bytes()).is_err(), "{line:?}");
    }
}

#[test]
fn a_binary_header_means_what_the_protocol_says() {
    let own = |bytes: &[u8]| parse(bytes).map(|found| found.unwrap().0.proxied);
    assert_eq!(
        own(&binary(0x21, 0x11, FOUR)),
        Ok(tcp("192.0.2.7:40000", "198.51.100.1:443"))
    );
    // LOCAL: whatever is said beside it is passed over.
    assert_eq!(own(&binary(0x20, 0x11, FOUR)), Ok(Proxied::Nothing));
    assert_eq!(own(&binary(0x20, 0xff, b"?")), Ok(Proxied::Nothing));
    assert_eq!(own(&binary(0x21, 0x00, b"")), Ok(Proxied::Nothing));
    assert_eq!(own(&binary(0x21, 0x31, &[0; 216])), Ok(Proxied::Unix));

    let refused = |bytes: &[u8]| parse(bytes).unwrap_err();
    let (bytes, one_short) = (binary(0x21, 0x11, FOUR), binary(0x21, 0x11, &FOUR[1..]));
    assert_eq!(refused(&one_short), ProxyHeaderError::Length);
    for family in [0x12, 0x22, 0x32, 0x13, 0x41] {
        let bytes = binary(0x21, family, &[0; 216]);
        assert_eq!(refused(&bytes), ProxyHeaderError::Family(family));
    }
    for command in [0x22, 0x11, 0x31] {
        let bytes = binary(command, 0x11, FOUR);
        assert_eq!(refused(&bytes), ProxyHeaderError::Command(command));
    }
    let too_long = binary(0x21, 0x00, &[0; V2_BODY_BYTES_MAX + 1]);
    // Seen from its length alone.
    assert!(matches!(
        refused(&too_long[..16]),
        ProxyHeaderError::TooLong(_)
    ));
    assert!(parse(&bytes[..bytes.len() - 1]).unwrap().is_none());
}

#[test]
fn extensions_have_to_fit_and_the_checksum_to_be_right() {
    let with = |extensions: &[u8]| binary(0x21, 0x11, &[FOUR, extensions].concat());
    let authority = b"\x02\x00\x04host";
    assert!(parse(&with(authority)).unwrap().is_some());
    for cut in 1..authority.len() {
        let bytes = with(&authority[..cut]);
        assert_eq!(parse(&bytes), Err(ProxyHeaderError::Length), "{cut}");
    }
    let mut bytes = with(b"\x02\x00\x01h\x03\x00\x04\0\0\0\0\x02\x00\x01i");
    let place = bytes.len() - 8..bytes.len() - 4;
    let sum = checksum::crc32c(&[&bytes]);
    bytes[place.clone()].copy_from_slice(&sum.to_be_bytes());
    assert!(parse(&bytes).unwrap().is_some());
    for at in (16..place.start - 3).chain(place.end + 3..bytes.len()) {
        let mut wrong = bytes.clone();
        wrong[at] ^= 1;
        // The lengths of extensions are seen to be wrong even before.
        assert!(parse(&wrong).is_err(), "{at}");
    }
    bytes[place.start] ^= 1;
    assert_eq!(parse(&bytes), Err(ProxyHeaderError::Checksum));
}

#[test]
fn addresses_of_two_families_are_sent_as_one() {
    let mixed = tcp("192.0.2.7:1", "[2001:db8::1]:2");
    let expected = tcp("[::ffff:192.0.2.7]:1", "[2001:db8::1]:2");
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        let (header, _) = parse(&encoded(version, &mixed)).unwrap().unwrap();
        assert_eq!(
            header,
            ProxyHeader {
                version,
                proxied: expected
            }
        );
    }
}

fn proxied() -> impl Strategy<Value = Proxied> {
    let four = any::<[(u32, u16); 2]>()
        .prop_map(|ends| ends.map(|(ip, port)| SocketAddr::from((Ipv4Addr::from_bits(ip), port))));
    let six = any::<[(u128, u16); 2]>()
        .prop_map(|ends| ends.map(|(ip, port)| SocketAddr::from((Ipv6Addr::from_bits(ip), port))));
    let tcp = prop_oneof![four, six].prop_map(|[source, destination]| Proxied::Tcp {
        source,
        destination,
    });
    prop_oneof![8 => tcp, 1 => Just(Proxied::Nothing), 1 => Just(Proxied::Unix)]
}

fn version() -> impl Strategy<Value = ProxyVersion> {
    prop_oneof![Just(ProxyVersion::V1), Just(ProxyVersion::V2)]
}

/// What another implementation makes of a header.
fn as_others_read(bytes: &[u8]) -> Option<Proxied> {
    use ppp::{v1, v2};

    let tcp = |source, destination| Proxied::Tcp {
        source,
        destination,
    };
    Some(match ppp::HeaderResult::parse(bytes) {
        ppp::HeaderResult::V1(header) => match header.ok()?.addresses {
            v1::Addresses::Unknown => Proxied::Nothing,
            v1::Addresses::Tcp4(it) => tcp(
                (it.source_address, it.source_port).into(),
                (it.destination_address, it.destination_port).into(),
            ),
            v1::Addresses::Tcp6(it) => tcp(
                (it.source_address, it.source_port).into(),
                (it.destination_address, it.destination_port).into(),
            ),
        },
        ppp::HeaderResult::V2(header) => match header.ok()?.addresses {
            v2::Addresses::Unspecified => Proxied::Nothing,
            v2::Addresses::Unix(_) => Proxied::Unix,
            v2::Addresses::IPv4(it) => tcp(
                (it.source_address, it.source_port).into(),
                (it.destination_address, it.destination_port).into(),
            ),
            v2::Addresses::IPv6(it) => tcp(
                (it.source_address, it.source_port).into(),
                (it.destination_address, it.destination_port).into(),
            ),
        },
    })
}

proptest! {
    #[test]
    fn what_is_sent_is_understood_at_its_last_byte_and_not_before(
        proxied in proxied(), version in version(), behind in any::<Vec<u8>>(),
    ) {
        let mut bytes = encoded(version, &proxied);
        for cut in 0..bytes.len() {
            prop_assert_eq!(parse(&bytes[..cut]), Ok(None));
        }
        let length = bytes.len();
        bytes.extend(behind);
        let (header, taken) = parse(&bytes).unwrap().unwrap();
        prop_assert_eq!(taken, length);
        let expected = match (version, proxied) {
            (ProxyVersion::V1, Proxied::Unix) => Proxied::Nothing,
            (_, proxied) => proxied,
        };
        prop_assert_eq!(header, ProxyHeader { version, proxied: expected });
    }

    #[test]
    fn another_implementation_reads_the_same(proxied in proxied(), version in version()) {
        let bytes = encoded(version, &proxied);
        let expected = match (version, proxied) {
            (ProxyVersion::V1, Proxied::Unix) => Proxied::Nothing,
            (_, proxied) => proxied,
        };
        prop_assert_eq!(as_others_read(&bytes), Some(expected));
    }

    #[test]
    fn any_bytes_are_judged_without_a_panic_and_once_for_all(
        start in prop_oneof![Just(&b""[..]), Just(v1::SIGNATURE), Just(v2::SIGNATURE)],
        rest in any::<Vec<u8>>(),
    ) {
        let bytes = [start, &rest].concat();
        let whole = parse(&bytes);
        for cut in 0..bytes.len() {
            match parse(&bytes[..cut]) {
                Ok(None) => {}
                // A verdict stands whatever follows.
                verdict => prop_assert_eq!(verdict, whole),
            }
        }
        if let Ok(Some((_, taken))) = whole {
            prop_assert!(taken <= bytes.len().min(HEADER_BYTES_MAX));
        }
    }
}

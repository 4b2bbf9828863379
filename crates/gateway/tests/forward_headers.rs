//! A field that must not go on does, one that must go on does not, or a peer's word
//! about its origin is believed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::net::IpAddr;

use http::{HeaderName, HeaderValue, Version};
use proptest::prelude::*;
use tidegate_gateway::forward::{
    ForwardedScheme, HeaderEdits, IpNetwork, IpNetworkError, PeerTrust, RequestHop, ResponseHop,
    Trust, UpgradePolicy, ViaPolicy, XForwarded, forwarded_for_value, prepare_request,
    prepare_response,
};
use tidegate_http::Headers;

fn map(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    headers
}

fn fields(headers: &Headers) -> Vec<(&str, &str)> {
    let mut fields: Vec<_> = headers
        .iter()
        .map(|field| (field.name(), field.value().to_str().unwrap()))
        .collect();
    fields.sort_unstable();
    fields
}

fn hop(trust: PeerTrust, peer: &HeaderValue) -> RequestHop<'_> {
    RequestHop {
        trust,
        peer,
        scheme: ForwardedScheme::Https,
        version: Version::HTTP_11,
        host: None,
        upgrade: UpgradePolicy::Remove,
        via: ViaPolicy::Omit,
        x_forwarded: XForwarded::Send,
    }
}

#[test]
fn an_upstream_that_is_not_told_is_not_told_by_strangers_either() {
    let mut headers = map(&[("x-forwarded-for", "203.0.113.9"), ("accept", "*/*")]);
    let peer = HeaderValue::from_static("192.0.2.1");
    let hop = RequestHop {
        x_forwarded: XForwarded::Omit,
        ..hop(PeerTrust::Untrusted, &peer)
    };
    prepare_request(&mut headers, &hop);
    assert_eq!(fields(&headers), [("accept", "*/*")]);
}

/// The fields that go on, without those the gateway itself adds for a request.
fn forwarded(sent: &[(&str, &str)], upgrade: UpgradePolicy) -> Vec<(String, String)> {
    let mut headers = map(sent);
    let peer = HeaderValue::from_static("192.0.2.1");
    prepare_request(
        &mut headers,
        &RequestHop {
            upgrade,
            ..hop(PeerTrust::Untrusted, &peer)
        },
    );
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
        headers.remove(name);
    }
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    fields(&headers).into_iter().map(owned).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    of.iter().map(owned).collect()
}

#[test]
fn hop_by_hop_fields_end_here() {
    let sent = [
        ("connection", "keep-alive, X-Private ,, x-other"),
        ("connection", "x-third"),
        ("x-private", "1"),
        ("x-private", "2"),
        ("x-other", "1"),
        ("x-third", "1"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("proxy-authorization", "Basic eA=="),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("http2-settings", "AAA"),
        ("te", "gzip;q=0.5"),
        ("proxy", "http://evil.test"),
        ("trailer", "x-checksum"),
        ("accept", "*/*"),
    ];
    let expected = pairs(&[("accept", "*/*"), ("trailer", "x-checksum")]);
    assert_eq!(forwarded(&sent, UpgradePolicy::Remove), expected);
}

#[test]
fn connection_cannot_make_end_to_end_fields_vanish() {
    let kept = [
        ("authorization", "Bearer x"),
        ("content-length", "5"),
        ("cookie", "a=b"),
        ("host", "example.com"),
    ];
    let mut sent = kept.to_vec();
    sent.push((
        "connection",
        "Content-Length, host,COOKIE, authorization, x-forwarded-for",
    ));
    assert_eq!(forwarded(&sent, UpgradePolicy::Remove), pairs(&kept));

    let peer = HeaderValue::from_static("10.0.0.1");
    let mut headers = map(&[
        ("connection", "x-forwarded-for, x-forwarded-proto"),
        ("x-forwarded-for", "192.0.2.7"),
        ("x-forwarded-proto", "http"),
    ]);
    prepare_request(&mut headers, &hop(PeerTrust::Trusted, &peer));
    assert_eq!(
        headers.get("x-forwarded-for").unwrap(),
        "192.0.2.7, 10.0.0.1"
    );
    assert_eq!(headers.get("x-forwarded-proto").unwrap(), "http");
}

#[test]
fn the_wish_for_trailers_stays() {
    for (te, kept) in [
        ("trailers", true),
        ("gzip, Trailers;q=1", true),
        ("gzip", false),
        ("trailersx", false),
    ] {
        let expected: &[(&str, &str)] = if kept { &[("te", "trailers")] } else { &[] };
        let sent = [("te", te), ("connection", "TE")];
        assert_eq!(
            forwarded(&sent, UpgradePolicy::Remove),
            pairs(expected),
            "{te}"
        );
    }
}

#[test]
fn an_upgrade_goes_on_only_when_it_is_meant_to() {
    let sent = [
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
    ];
    let expected = pairs(&[("connection", "upgrade"), ("upgrade", "websocket")]);
    assert_eq!(forwarded(&sent, UpgradePolicy::Forward), expected);
    assert_eq!(forwarded(&sent, UpgradePolicy::Remove), pairs(&[]));
    assert_eq!(
        forwarded(&[("connection", "close")], UpgradePolicy::Forward),
        pairs(&[])
    );
}

#[test]
fn a_stranger_cannot_say_where_a_request_came_from() {
    let mut headers = map(&[
        ("host", "example.com"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-for", "127.0.0.2"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "evil.test"),
        ("x-forwarded-port", "1"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("x_forwarded_for", "127.0.0.1"),
        ("x-forwarded", "kept: no list names it"),
    ]);
    let peer = forwarded_for_value(Some("::ffff:192.0.2.1".parse().unwrap()));
    prepare_request(&mut headers, &hop(PeerTrust::Untrusted, &peer));
    assert_eq!(
        fields(&headers),
        [
            ("host", "example.com"),
            ("x-forwarded", "kept: no list names it"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-host", "example.com"),
            ("x-forwarded-proto", "https"),
        ]
    );
}

#[test]
fn a_trusted_proxy_is_continued() {
    let mut headers = map(&[
        ("host", "inner.test"),
        ("x-forwarded-for", "192.0.2.7, 192.0.2.8"),
        ("x-forwarded-for", "192.0.2.9"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "example.com"),
        ("forwarded", "for=192.0.2.7"),
        ("via", "1.0 edge"),
    ]);
    let peer = HeaderValue::from_static("10.0.0.1");
    let hop = RequestHop {
        via: ViaPolicy::Append,
        version: Version::HTTP_2,
        ..hop(PeerTrust::Trusted, &peer)
    };
    prepare_request(&mut headers, &hop);
    assert_eq!(
        fields(&headers),
        [
            ("forwarded", "for=192.0.2.7"),
            ("host", "inner.test"),
            ("via", "1.0 edge"),
            ("via", "2 tidegate"),
            (
                "x-forwarded-for",
                "192.0.2.7, 192.0.2.8, 192.0.2.9, 10.0.0.1"
            ),
            ("x-forwarded-host", "example.com"),
            ("x-forwarded-proto", "http"),
        ]
    );
    let mut headers = map(&[("x-real-ip", "192.0.2.7")]);
    let authority = HeaderValue::from_static("example.com");
    prepare_request(
        &mut headers,
        &RequestHop {
            host: Some(&authority),
            ..hop
        },
    );
    assert_eq!(headers.get("x-forwarded-for").unwrap(), "10.0.0.1");
    assert_eq!(headers.get("x-forwarded-host").unwrap(), "example.com");
    assert_eq!(headers.get("x-real-ip").unwrap(), "192.0.2.7");
}

#[test]
fn a_response_loses_what_was_for_the_gateway() {
    let mut headers = map(&[
        ("connection", "close, x-internal"),
        ("x-internal", "1"),
        ("proxy-authenticate", "Basic"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "timeout=5"),
        ("upgrade", "h2c"),
        ("www-authenticate", "Basic"),
        ("x-forwarded-for", "the upstream's own business"),
        ("content-length", "3"),
    ]);
    let hop = ResponseHop {
        version: Version::HTTP_10,
        upgrade: UpgradePolicy::Remove,
        via: ViaPolicy::Append,
    };
    prepare_response(&mut headers, &hop);
    assert_eq!(
        fields(&headers),
        [
            ("content-length", "3"),
            ("via", "1.0 tidegate"),
            ("www-authenticate", "Basic"),
            ("x-forwarded-for", "the upstream's own business"),
        ]
    );
}

#[test]
fn edits_are_made_in_order_and_leave_framing_alone() {
    let name = |name: &'static str| HeaderName::from_static(name);
    let value = |value: &'static str| HeaderValue::from_static(value);
    let mut edits = HeaderEdits::default();
    assert!(edits.is_empty());
    edits.remove(name("server")).unwrap();
    edits.set(name("x-a"), value("new")).unwrap();
    edits.add(name("x-b"), value("second")).unwrap();
    for framing in [
        "content-length",
        "transfer-encoding",
        "connection",
        "te",
        "upgrade",
    ] {
        assert_eq!(edits.remove(name(framing)).unwrap_err().name, framing);
        assert!(edits.set(name(framing), value("1")).is_err());
        assert!(edits.add(name(framing), value("1")).is_err());
    }
    let mut headers = map(&[
        ("server", "x"),
        ("x-a", "old"),
        ("x-a", "older"),
        ("x-b", "first"),
    ]);
    edits.apply(&mut headers);
    let expected = [("x-a", "new"), ("x-b", "first"), ("x-b", "second")];
    assert_eq!(fields(&headers), expected);
}

#[test]
fn networks_are_parsed_strictly() {
    for (text, inside, outside) in [
        ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ("0.0.0.0/0", "255.1.2.3", "::1"),
        ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::"),
        ("::/0", "2001::1", "10.0.0.1"),
        ("::1", "::1", "::2"),
    ] {
        let network: IpNetwork = text.parse().unwrap();
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(network.contains(address(inside)), "{text} {inside}");
        assert!(!network.contains(address(outside)), "{text} {outside}");
    }
    for text in [
        "",
        "10.0.0",
        "10.0.0.0/33",
        "::/129",
        "10.0.0.0/",
        "10.0.0.0/+8",
        "10.0.0.0/8/8",
        "::ffff:10.0.0.0/104",
    ] {
        assert!(text.parse::<IpNetwork>().is_err(), "{text}");
    }
    let error = "10.1.2.3/8".parse::<IpNetwork>().unwrap_err();
    assert!(matches!(error, IpNetworkError::HostBits { .. }));
    assert!(error.to_string().contains("`10.0.0.0/8`"), "{error}");

    let trust = Trust {
        networks: vec!["10.0.0.0/8".parse().unwrap()],
        unix_peers: PeerTrust::Trusted,
    };
    assert_eq!(trust.of(None), PeerTrust::Trusted);
    assert_eq!(
        trust.of(Some("10.1.1.1".parse().unwrap())),
        PeerTrust::Trusted
    );
    assert_eq!(
        trust.of(Some("192.0.2.1".parse().unwrap())),
        PeerTrust::Untrusted
    );
    assert_eq!(Trust::default().of(None), PeerTrust::Untrusted);
    assert_eq!(forwarded_for_value(None), "unknown");
}

proptest! {
    #[test]
    fn whatever_a_stranger_sends_the_origin_is_the_peer(
        sent in proptest::collection::vec(("(connection|te|upgrade|x[-_]forwarded[-_](for|host|by)|forwarded|x-real-ip|host|x-a)", "[a-z, ;=-]{0,30}"), 0..12),
    ) {
        let pairs: Vec<_> = sent.iter().map(|(name, value)| (name.as_str(), value.trim())).collect();
        let mut headers = map(&pairs);
        let peer = HeaderValue::from_static("192.0.2.1");
        prepare_request(&mut headers, &hop(PeerTrust::Untrusted, &peer));
        prop_assert_eq!(headers.get_all("x-forwarded-for").collect::<Vec<_>>(), [peer.clone()]);
        for name in ["connection", "upgrade", "forwarded", "x-real-ip", "x_forwarded_for", "x-forwarded-by"] {
            prop_assert!(!headers.contains_key(name), "{}", name);
        }
    }
}

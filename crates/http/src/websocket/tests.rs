//! Who is let through the handshake, and what the others are told.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::rc::Rc;

use super::*;
use crate::context::{ConnectionInfo, Context, Scheme};
use crate::message::Request;
use tidegate_runtime::io::PeerAddr;

/// The key of RFC 6455 section 1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

const GOOD: [(&str, &str); 5] = [
    ("host", "mqtt.example.com"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", KEY),
    ("sec-websocket-protocol", "other, mqtt"),
];

fn exchange(fields: &[(&str, &str)]) -> Exchange {
    let mut request = Request::new(Body::empty());
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    let info = ConnectionInfo::new(PeerAddr::Unix, PeerAddr::Unix, Scheme::Http);
    let context = Context::new(Rc::new(info));
    context.set_asks_upgrade(true);
    Exchange { request, context }
}

fn answer(origins: Origins, exchange: &Exchange) -> Response {
    let handshake = Handshake {
        subprotocol: HeaderValue::from_static("mqtt"),
        origins,
        options: WebSocketOptions::default(),
    };
    handshake.answer(exchange, |_| async {})
}

fn status(exchange: &Exchange) -> u16 {
    answer(Origins::Same, exchange).status().as_u16()
}

/// The good fields, with those of this name replaced by these.
fn with(name: &'static str, values: &[&'static str]) -> Vec<(&'static str, &'static str)> {
    let others = GOOD.into_iter().filter(|(other, _)| *other != name);
    let values = values.iter().map(|value| (name, *value));
    others.chain(values).collect()
}

#[test]
fn the_key_is_answered_as_the_standard_says() {
    let response = answer(Origins::Same, &exchange(&GOOD));
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    assert!(response.body().is_upgrade());
    let accept = &response.headers().get(SEC_WEBSOCKET_ACCEPT).unwrap();
    assert_eq!(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_eq!(
        response.headers().get(SEC_WEBSOCKET_PROTOCOL).unwrap(),
        "mqtt"
    );
    assert_eq!(response.headers().get(UPGRADE).unwrap(), "websocket");
}

#[test]
fn what_is_no_handshake_of_ours_is_refused() {
    let cases: [(&str, &[&str], u16); 12] = [
        ("upgrade", &["h2c"], 426),
        ("upgrade", &[], 426),
        ("sec-websocket-version", &["8"], 426),
        ("sec-websocket-version", &["13", "13"], 426),
        ("sec-websocket-key", &[], 400),
        ("sec-websocket-key", &[KEY, KEY], 400),
        ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZQ"], 400),
        ("sec-websocket-key", &["dGhlIHNhbXBsZSBub25jZR=="], 400),
        ("sec-websocket-protocol", &["mqttv3.1"], 400),
        ("sec-websocket-protocol", &[], 400),
        ("sec-websocket-protocol", &["a", "MQTT"], 400),
        ("sec-websocket-protocol", &["a", "b,mqtt"], 101),
    ];
    for (name, values, expected) in cases {
        let exchange = exchange(&with(name, values));
        assert_eq!(status(&exchange), expected, "{name}: {values:?}");
    }
    let mut post = exchange(&GOOD);
    *post.request.method_mut() = Method::POST;
    assert_eq!(status(&post), 405);
    let mut old = exchange(&GOOD);
    *old.request.version_mut() = Version::HTTP_10;
    assert_eq!(status(&old), 426);
    let not_asked = exchange(&GOOD);
    not_asked.context.set_asks_upgrade(false);
    assert_eq!(status(&not_asked), 426);
}

#[test]
fn a_page_of_another_site_may_not_use_what_its_reader_may() {
    let from = |origin| exchange(&with("origin", &[origin]));
    let named = || Origins::Named(vec!["https://app.example.com".to_owned()]);
    for (origin, origins, expected) in [
        ("https://mqtt.example.com", Origins::Same, 101),
        ("http://MQTT.example.com", Origins::Same, 101),
        ("https://mqtt.example.com:8443", Origins::Same, 403),
        ("https://evil.example", Origins::Same, 403),
        ("null", Origins::Same, 403),
        ("https://app.example.com", Origins::Same, 403),
        ("https://app.example.com", named(), 101),
        ("https://evil.example", named(), 403),
        ("null", Origins::All, 101),
    ] {
        let response = answer(origins, &from(origin));
        assert_eq!(response.status().as_u16(), expected, "{origin}");
    }
}

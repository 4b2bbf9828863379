//! Requests: what is accepted and, by risk, what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use http::Method;
use tidegate_http::h1::codec::{
    BodyLength, ConnectionIntent, Limits, ParseError, RequestHead, RequestParser,
};

fn parse(input: &[u8]) -> Result<Option<RequestHead>, ParseError> {
    RequestParser::new().parse(&mut BytesMut::from(input), &Limits::default())
}

#[test]
fn a_plain_request_is_parsed() {
    let head = parse(b"GET /a?b=c HTTP/1.1\r\nHost: example.com:80\r\nAccept: */*\r\n\r\n")
        .unwrap()
        .unwrap();
    assert_eq!(head.parts.method, Method::GET);
    assert_eq!(head.parts.uri, "/a?b=c");
    assert_eq!(head.parts.headers.len(), 2);
    assert_eq!(head.parts.headers["host"], "example.com:80");
    assert_eq!(head.body, BodyLength::None);
    assert_eq!(head.intent, ConnectionIntent::KeepAlive);
    assert!(!head.upgrade && !head.expects_continue);
}

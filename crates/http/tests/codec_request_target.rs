//! Request targets and Host: whom a request is for must not be read two ways.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use tidegate_http::h1::codec::{BodyLength, Limits, ParseError, RequestHead, RequestParser};

fn parse(input: impl AsRef<[u8]>) -> Result<Option<RequestHead>, ParseError> {
    parse_within(input, &Limits::default())
}

fn parse_within(
    input: impl AsRef<[u8]>,
    limits: &Limits,
) -> Result<Option<RequestHead>, ParseError> {
    RequestParser::new().parse(&mut BytesMut::from(input.as_ref()), limits)
}

fn accepted(input: impl AsRef<[u8]>) -> RequestHead {
    parse(input).unwrap().unwrap()
}

#[track_caller]
fn refused(input: impl AsRef<[u8]>, error: ParseError) {
    let shown = String::from_utf8_lossy(input.as_ref()).into_owned();
    match parse(input) {
        Err(found) => assert_eq!(found, error, "{shown:?}"),
        Ok(head) => panic!("{shown:?} gave {head:?}"),
    }
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn with_host(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[test]
fn host_is_required_once_in_http_1_1() {
    refused("GET / HTTP/1.1\r\n\r\n", ParseError::MissingHost);
    refused(
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        ParseError::RepeatedHost,
    );
    refused(
        "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n",
        ParseError::RepeatedHost,
    );
    refused(
        "GET / HTTP/1.0\r\nHost: a\r\nHost: a\r\n\r\n",
        ParseError::RepeatedHost,
    );
    assert!(accepted("GET / HTTP/1.0\r\n\r\n").parts.headers.is_empty());
}

#[test]
fn host_syntax_is_checked() {
    for host in [
        "example.com",
        "EXAMPLE.com",
        "a_b-c.d.",
        "127.0.0.1:8080",
        "[::1]",
        "[::1]:443",
        "[2001:db8::1]",
        "a%2Db",
        "a:",
        "a:0",
        "a:65535",
        "a:00080",
        "xn--bcher-kva.example",
    ] {
        assert_eq!(
            accepted(with_host(host)).parts.headers.get("host").unwrap(),
            host
        );
    }
    for host in [
        "",
        "a b",
        "user@a",
        "user:pw@a",
        "a:b",
        "a:65536",
        "a:000080",
        "a:-1",
        "a:80:80",
        ":80",
        "a:999999",
        "[::1",
        "::1",
        "[::1]a",
        "[::1]:x",
        "[v1.a]",
        "[1.2.3.4]",
        "[fe80::1%25eth0]",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "a%2",
        "a%zz",
        "a\u{e9}",
        "http://a",
        "a\"",
        "<a>",
        "a:8 0",
    ] {
        refused(with_host(host), ParseError::InvalidHost);
    }
}

#[test]
fn the_authority_of_an_absolute_target_replaces_host() {
    let head = accepted(get("http://b:81/c?d"));
    assert_eq!(head.parts.headers.get("host").unwrap(), "b:81");
    assert_eq!(head.parts.headers.len(), 1);
    assert_eq!(head.parts.uri.path(), "/c");
    assert_eq!(head.parts.uri.authority().unwrap(), "b:81");
    assert_eq!(accepted(get("https://b")).parts.uri.path(), "/");
    assert_eq!(
        accepted(get("HTTP://b/"))
            .parts
            .headers
            .get("host")
            .unwrap(),
        "b"
    );
    let old = accepted("GET http://b/ HTTP/1.0\r\n\r\n");
    assert_eq!(old.parts.headers.get("host").unwrap(), "b");
    refused("GET http://b/ HTTP/1.1\r\n\r\n", ParseError::MissingHost);
}

#[test]
fn target_forms_belong_to_their_methods() {
    let request =
        |method: &str, target: &str| format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(accepted(request("OPTIONS", "*")).parts.uri, "*");
    refused(request("GET", "*"), ParseError::TargetForm);
    refused(request("OPTIONS", "*x"), ParseError::TargetForm);
    let connect = accepted(request("CONNECT", "b:443"));
    assert_eq!(connect.parts.uri.authority().unwrap(), "b:443");
    assert!(connect.upgrade);
    assert_eq!(connect.body, BodyLength::None);
    for target in [
        "b",
        "b:",
        "/",
        "http://b/",
        "*",
        "u@b:443",
        "b:443/",
        ":443",
    ] {
        refused(request("CONNECT", target), ParseError::TargetForm);
    }
    for target in ["b:443", "b", "a/b", "?q", "localhost:80/x"] {
        refused(request("GET", target), ParseError::TargetForm);
    }
    assert_eq!(accepted(request("GET", "//b/c")).parts.uri.path(), "//b/c");
}

#[test]
fn targets_that_are_no_uri_are_refused() {
    for target in [
        "/a#b",
        "http://a/#b",
        "http://u@b/",
        "http://u:p@b/",
        "ftp://b/",
        "http://",
        "http:///a",
        "http://b:x/",
        "http://b:99999/",
        "/\u{e9}",
        "/a\\\u{7f}",
        "http://[::1/",
        "://b/",
    ] {
        let found = parse(get(target)).unwrap_err();
        assert!(
            matches!(found, ParseError::Target | ParseError::RequestLine),
            "{target}: {found:?}"
        );
    }
}

#[test]
fn targets_the_uri_type_cannot_hold_are_too_long() {
    let limits = Limits {
        request_line_bytes: 1 << 20,
        ..Limits::default()
    };
    let target = "/".repeat(65_535);
    assert_eq!(
        parse_within(get(&target), &limits).unwrap_err(),
        ParseError::RequestLineTooLong
    );
    assert!(parse_within(get(&target[1..]), &limits).unwrap().is_some());
}

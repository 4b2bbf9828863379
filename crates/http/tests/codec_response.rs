//! Response heads: body length and connection by RFC 9112 section 6.3, and
//! what is refused because an upstream is not trusted either.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use http::{Method, StatusCode, Version};
use tidegate_http::h1::codec::{
    BodyLength, ConnectionIntent, Limits, ParseError, ResponseHead, ResponseParser,
};

fn parse(request: &Method, input: &str) -> Result<Option<ResponseHead>, ParseError> {
    ResponseParser::new().parse(&mut BytesMut::from(input), request, &Limits::default())
}

fn accepted(request: &Method, input: &str) -> ResponseHead {
    parse(request, input).unwrap().unwrap()
}

#[track_caller]
fn refused(input: &str, error: ParseError) {
    match parse(&Method::GET, input) {
        Err(found) => assert_eq!(found, error, "{input:?}"),
        Ok(head) => panic!("{input:?} gave {head:?}"),
    }
}

fn body(request: &Method, status: &str, fields: &str) -> BodyLength {
    accepted(request, &format!("HTTP/1.1 {status}\r\n{fields}\r\n")).body
}

#[test]
fn a_plain_response_is_parsed() {
    let head = accepted(
        &Method::GET,
        "HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 3\r\n\r\n",
    );
    assert_eq!(head.parts.status, StatusCode::OK);
    assert_eq!(head.parts.version, Version::HTTP_11);
    assert_eq!(head.parts.headers.get("server").unwrap(), "x");
    assert_eq!(head.body, BodyLength::Fixed(3));
    assert_eq!(head.intent, ConnectionIntent::KeepAlive);
    assert!(!head.is_informational());
}

#[test]
fn reason_phrases_may_be_missing_empty_or_odd() {
    for line in [
        "HTTP/1.1 200",
        "HTTP/1.1 200 ",
        "HTTP/1.1 200 \u{e9}t\u{e9}",
        "HTTP/1.0 299 It is all right",
    ] {
        let head = accepted(&Method::GET, &format!("{line}\r\n\r\n"));
        assert!(head.parts.status.is_success());
    }
}

#[test]
fn malformed_status_lines_are_refused() {
    for line in [
        "HTTP/1.1  200 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 099 OK",
        "HTTP/1.1 000 OK",
        "HTTP/1.1 +20 OK",
        "HTTP/1.1 abc OK",
        "HTTP/1.1 200 O\0K",
        "HTTP/1.1",
    ] {
        let found = parse(&Method::GET, &format!("{line}\r\n\r\n")).unwrap_err();
        assert!(
            matches!(found, ParseError::StatusLine | ParseError::Version),
            "{line:?}: {found:?}"
        );
    }
    refused("HTTP/2.0 200 OK\r\n\r\n", ParseError::Version);
    refused("ICY 200 OK\r\n\r\n", ParseError::Version);
    refused("\r\nHTTP/1.1 200 OK\r\n\r\n", ParseError::StatusLine);
}

#[test]
fn body_length_follows_method_status_and_fields_in_order() {
    let (get, head, connect) = (&Method::GET, &Method::HEAD, &Method::CONNECT);
    let length = "Content-Length: 5\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    for (request, status, fields, expected) in [
        (get, "200 OK", length, BodyLength::Fixed(5)),
        (get, "200 OK", chunked, BodyLength::Chunked),
        (get, "200 OK", "", BodyLength::UntilClose),
        (get, "404 No", "Content-Length: 0\r\n", BodyLength::Fixed(0)),
        (head, "200 OK", length, BodyLength::None),
        (head, "200 OK", chunked, BodyLength::None),
        (head, "200 OK", "", BodyLength::None),
        (get, "204 No", length, BodyLength::None),
        (get, "304 No", length, BodyLength::None),
        (get, "304 No", chunked, BodyLength::None),
        (get, "100 Go", "", BodyLength::None),
        (get, "103 Hint", length, BodyLength::None),
        (get, "101 Switch", length, BodyLength::Tunnel),
        (connect, "200 OK", length, BodyLength::Tunnel),
        (connect, "204 OK", "", BodyLength::Tunnel),
        (connect, "407 No", length, BodyLength::Fixed(5)),
        (connect, "407 No", "", BodyLength::UntilClose),
    ] {
        assert_eq!(
            body(request, status, fields),
            expected,
            "{request} {status} {fields}"
        );
    }
}

#[test]
fn informational_heads_are_heads_of_their_own() {
    let mut buffer = BytesMut::from(
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
    );
    let mut parser = ResponseParser::new();
    let mut next = || {
        let limits = Limits::default();
        parser
            .parse(&mut buffer, &Method::GET, &limits)
            .unwrap()
            .unwrap()
    };
    assert!(next().is_informational());
    let hints = next();
    assert!(hints.is_informational());
    assert_eq!(hints.parts.headers.get("link").unwrap(), "</a>");
    assert!(!next().is_informational());
    assert_eq!(&buffer[..], b"hi");
    let switching = accepted(&Method::GET, "HTTP/1.1 101 S\r\nUpgrade: x\r\n\r\n");
    assert!(!switching.is_informational());
}

#[test]
fn a_connection_that_must_end_is_not_kept() {
    let intent = |version: &str, fields: &str| {
        accepted(&Method::GET, &format!("{version} 200 OK\r\n{fields}\r\n")).intent
    };
    let length = "Content-Length: 1\r\n";
    assert_eq!(intent("HTTP/1.1", length), ConnectionIntent::KeepAlive);
    assert_eq!(intent("HTTP/1.1", ""), ConnectionIntent::Close);
    assert_eq!(intent("HTTP/1.0", length), ConnectionIntent::Close);
    let close = format!("{length}Connection: close\r\n");
    assert_eq!(intent("HTTP/1.1", &close), ConnectionIntent::Close);
    let keep = format!("{length}Connection: keep-alive\r\n");
    assert_eq!(intent("HTTP/1.0", &keep), ConnectionIntent::KeepAlive);
    let tunnel = accepted(&Method::CONNECT, "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(tunnel.intent, ConnectionIntent::Close);
}

#[test]
fn ambiguous_framing_from_an_upstream_is_refused() {
    for (fields, error) in [
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            ParseError::ContentLengthWithTransferEncoding,
        ),
        (
            "Content-Length: 5\r\nContent-Length: 6",
            ParseError::RepeatedContentLength,
        ),
        ("Content-Length: 5, 5", ParseError::ContentLength),
        ("Content-Length: +5", ParseError::ContentLength),
        ("Content-Length:", ParseError::ContentLength),
        (
            "Transfer-Encoding: chunked, chunked",
            ParseError::TransferEncoding,
        ),
        (
            "Transfer-Encoding: gzip, chunked",
            ParseError::UnknownTransferCoding,
        ),
        (
            "Transfer-Encoding: identity",
            ParseError::UnknownTransferCoding,
        ),
        ("X : a", ParseError::HeaderName),
        ("X: a\r\n b", ParseError::HeaderName),
        ("X: a\0b", ParseError::HeaderValue),
        ("X: a\rb", ParseError::BareCarriageReturn),
        ("X: a\nb", ParseError::BareLineFeed),
        ("Content-Length: 99999999999", ParseError::BodyTooLarge),
    ] {
        refused(&format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n"), error);
    }
    refused(
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        ParseError::TransferEncodingOnHttp10,
    );
}

#[test]
fn an_equal_content_length_sent_twice_is_one() {
    let head = accepted(
        &Method::GET,
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
    );
    assert_eq!(head.body, BodyLength::Fixed(5));
    assert_eq!(head.parts.headers.get_all("content-length").count(), 1);
}

#[test]
fn a_length_that_is_not_sent_may_exceed_the_limit() {
    let huge = "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(accepted(&Method::HEAD, huge).body, BodyLength::None);
}

#[test]
fn limits_hold_for_responses() {
    let limits = Limits {
        request_line_bytes: 20,
        header_bytes: 20,
        header_count: 2,
        ..Limits::default()
    };
    for (input, error) in [
        ("HTTP/1.1 200 aaaaaaaa", ParseError::RequestLineTooLong),
        (
            "HTTP/1.1 200 OK\r\nX: aaaaaaaaaaaaaaaaaaaaa",
            ParseError::HeadTooLarge,
        ),
        (
            "HTTP/1.1 200 OK\r\nX:\r\nX:\r\nX:\r\n\r\n",
            ParseError::TooManyHeaders,
        ),
    ] {
        let mut buffer = BytesMut::from(input);
        let found = ResponseParser::new().parse(&mut buffer, &Method::GET, &limits);
        assert_eq!(found.unwrap_err(), error, "{input:?}");
    }
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "X: y\r\n".repeat(90));
    assert_eq!(accepted(&Method::GET, &many).parts.headers.len(), 90);
}

#[test]
fn other_hosts_in_a_response_are_its_own_business() {
    let head = accepted(
        &Method::HEAD,
        "HTTP/1.1 200 OK\r\nHost: a b\r\nHost: c\r\n\r\n",
    );
    assert_eq!(head.parts.headers.get_all("host").count(), 2);
}

#[test]
fn a_refused_response_stays_refused_whatever_follows() {
    let mut buffer = BytesMut::from("HTTP/1.1 200 OK\r\nX : a\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    let mut parser = ResponseParser::new();
    for _ in 0..2 {
        let found = parser.parse(&mut buffer, &Method::GET, &Limits::default());
        assert_eq!(found.unwrap_err(), ParseError::HeaderName);
    }
}

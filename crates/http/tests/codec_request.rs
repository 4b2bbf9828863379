//! Request heads: lines, fields and limits; what is accepted and, by risk,
//! what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use http::{Method, StatusCode, Version};
use tidegate_http::h1::codec::{
    BodyLength, ConnectionIntent, Limits, ParseError, RequestHead, RequestParser,
};

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

/// A POST over HTTP/1.1 with these field lines after `Host`.
fn post(fields: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n")
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn with_host(host: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

#[test]
fn a_plain_request_is_parsed() {
    let head = accepted("GET /a?b=c HTTP/1.1\r\nHost: example.com:80\r\nAccept:  x \r\n\r\n");
    assert_eq!(head.parts.method, Method::GET);
    assert_eq!(head.parts.uri, "/a?b=c");
    assert_eq!(head.parts.version, Version::HTTP_11);
    assert_eq!(head.parts.headers.len(), 2);
    assert_eq!(head.parts.headers.get("host").unwrap(), "example.com:80");
    assert_eq!(head.parts.headers.get("accept").unwrap(), "x");
    assert_eq!(head.body, BodyLength::None);
    assert_eq!(head.intent, ConnectionIntent::KeepAlive);
    assert!(!head.upgrade && !head.expects_continue);
}

#[test]
fn pipelined_heads_are_taken_one_at_a_time() {
    let mut buffer = BytesMut::from((get("/1") + &get("/2") + "GET /3 HT").as_str());
    let mut parser = RequestParser::new();
    let limits = Limits::default();
    for path in ["/1", "/2"] {
        let head = parser.parse(&mut buffer, &limits).unwrap().unwrap();
        assert_eq!(head.parts.uri, path);
    }
    assert!(parser.parse(&mut buffer, &limits).unwrap().is_none());
    buffer.extend_from_slice(b"TP/1.1\r\nHost: a\r\n\r\n");
    let head = parser.parse(&mut buffer, &limits).unwrap().unwrap();
    assert_eq!(head.parts.uri, "/3");
    assert_eq!(
        head.parts.headers.len(),
        1,
        "nothing is left over of the heads before"
    );
    assert!(buffer.is_empty());
}

#[test]
fn values_and_target_are_slices_of_the_input() {
    let mut buffer = BytesMut::from(with_host("example.com").as_str());
    let range = buffer.as_ptr_range();
    let head = RequestParser::new()
        .parse(&mut buffer, &Limits::default())
        .unwrap()
        .unwrap();
    assert!(range.contains(&head.parts.headers.get("host").unwrap().as_bytes().as_ptr()));
}

#[test]
fn one_empty_line_before_a_request_is_skipped_two_are_refused() {
    assert_eq!(accepted("\r\n".to_owned() + &get("/")).parts.uri, "/");
    refused(
        "\r\n\r\n".to_owned() + &get("/"),
        ParseError::EmptyRequestLine,
    );
    refused("\n".to_owned() + &get("/"), ParseError::BareLineFeed);
    let mut buffer = BytesMut::from(("\r\n".to_owned() + &get("/")).repeat(2).as_str());
    let mut parser = RequestParser::new();
    for _ in 0..2 {
        let head = parser.parse(&mut buffer, &Limits::default());
        assert!(head.unwrap().is_some(), "one before each request");
    }
    let mut buffer = BytesMut::from("\r\n");
    assert!(matches!(
        RequestParser::new().parse(&mut buffer, &Limits::default()),
        Ok(None)
    ));
    assert!(buffer.is_empty(), "an idle connection looks idle");
}

#[test]
fn a_bare_line_feed_or_carriage_return_is_refused_as_soon_as_seen() {
    refused("GET / HTTP/1.1\n", ParseError::BareLineFeed);
    refused("GET / HTTP/1.1\r\nHost: a\n", ParseError::BareLineFeed);
    refused("GET / HTTP/1.1\r\nHost: a\r\n\n", ParseError::BareLineFeed);
    refused(
        "GET / HTTP/1.1\r\nHost: a\rb",
        ParseError::BareCarriageReturn,
    );
    refused("GET / HTTP/1.1\r\r", ParseError::BareCarriageReturn);
    refused("GET /\ra", ParseError::BareCarriageReturn);
}

#[test]
fn malformed_request_lines_are_refused() {
    for line in [
        "GET /",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET / a HTTP/1.1",
        "GET / HTTP/1.1x",
        "GET / http/1.1",
        "GET / HTTX/1.1",
        "GET / HTTP/11",
        "G(T / HTTP/1.1",
        "GE\0T / HTTP/1.1",
        "/ HTTP/1.1",
        "GET / ",
        "GET",
    ] {
        refused(
            format!("{line}\r\nHost: a\r\n\r\n"),
            ParseError::RequestLine,
        );
    }
}

#[test]
fn versions_outside_1_0_and_1_1_are_505() {
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.0"] {
        refused(
            format!("GET / {version}\r\nHost: a\r\n\r\n"),
            ParseError::Version,
        );
    }
    refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ParseError::Version);
    assert_eq!(ParseError::Version.status(), 505);
}

#[test]
fn header_lines_that_another_reader_may_see_differently_are_refused() {
    for (line, error) in [
        ("Content-Length : 5", ParseError::HeaderName),
        ("Content-Length\t: 5", ParseError::HeaderName),
        (" X: folded", ParseError::HeaderName),
        ("X: a\r\n folded", ParseError::HeaderName),
        ("X: a\r\n\tfolded", ParseError::HeaderName),
        (": no name", ParseError::HeaderName),
        ("no colon", ParseError::HeaderName),
        ("X\0: a", ParseError::HeaderName),
        ("X\u{e9}: a", ParseError::HeaderName),
        ("X(: a", ParseError::HeaderName),
        ("X: a\0b", ParseError::HeaderValue),
        ("X: a\x01b", ParseError::HeaderValue),
        ("X: a\x0bb", ParseError::HeaderValue),
        ("X: a\x7fb", ParseError::HeaderValue),
    ] {
        refused(post(line), error);
    }
    refused("GET / HTTP/1.1\r\n Host: a\r\n\r\n", ParseError::HeaderName);
}

#[test]
fn tabs_and_obs_text_in_values_pass_unchanged() {
    let head = accepted(b"GET / HTTP/1.1\r\nHost: a\r\nX: a\tb\xe9\xff\r\nY:\r\n\r\n");
    assert_eq!(
        head.parts.headers.get("x").unwrap().as_bytes(),
        b"a\tb\xe9\xff"
    );
    assert_eq!(head.parts.headers.get("y").unwrap(), "");
}

#[test]
fn each_limit_has_its_own_answer_and_its_exact_edge() {
    let limits = Limits {
        request_line_bytes: 20,
        header_bytes: 40,
        header_count: 3,
        body_bytes: 10,
        ..Limits::default()
    };
    let refuses = |input: &str, error: ParseError, status: StatusCode| {
        assert_eq!(
            parse_within(input, &limits).unwrap_err(),
            error,
            "{input:?}"
        );
        assert_eq!(error.status(), status);
    };
    // "GET /1234567 HTTP/1.1" is one byte too long, seen before the line ends.
    refuses(
        "GET /1234567 HTTP/1.1",
        ParseError::RequestLineTooLong,
        StatusCode::URI_TOO_LONG,
    );
    assert!(
        parse_within("GET /123456 HTTP/1.1\r\nHost: a\r\n\r\n", &limits)
            .unwrap()
            .is_some()
    );
    let too_large = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    let filled = |count: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "x".repeat(count)
        )
    };
    assert!(parse_within(filled(24), &limits).unwrap().is_some());
    refuses(&filled(25), ParseError::HeadTooLarge, too_large);
    refuses(&filled(400)[..200], ParseError::HeadTooLarge, too_large);
    let fields = |count: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: \r\n".repeat(count - 1)
        )
    };
    assert!(parse_within(fields(3), &limits).unwrap().is_some());
    refuses(&fields(4), ParseError::TooManyHeaders, too_large);
    refuses(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n",
        ParseError::BodyTooLarge,
        StatusCode::PAYLOAD_TOO_LARGE,
    );
    assert!(
        parse_within(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
            &limits
        )
        .unwrap()
        .is_some()
    );
}

#[test]
fn header_counts_beyond_the_usual_table_work_up_to_the_limit() {
    let fields = |count: usize| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: y\r\n".repeat(count - 1)
        )
    };
    for count in [32, 33, 100] {
        assert_eq!(accepted(fields(count)).parts.headers.len(), count);
    }
    refused(fields(101), ParseError::TooManyHeaders);
    let many = Limits {
        header_count: 1000,
        ..Limits::default()
    };
    assert!(parse_within(fields(128), &many).unwrap().is_some());
    assert_eq!(
        parse_within(fields(129), &many).unwrap_err(),
        ParseError::TooManyHeaders
    );
}

#[test]
fn a_refused_request_stays_refused_whatever_follows() {
    let smuggled = post("X : a") + &get("/smuggled");
    let mut buffer = BytesMut::from(smuggled.as_str());
    let mut parser = RequestParser::new();
    for _ in 0..2 {
        let found = parser.parse(&mut buffer, &Limits::default());
        assert_eq!(found.unwrap_err(), ParseError::HeaderName);
    }
}

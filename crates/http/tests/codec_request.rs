//! Request heads: what is accepted and, by risk, what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use http::{HeaderMap, Method, StatusCode, Version};
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
    assert_eq!(head.parts.headers["host"], "example.com:80");
    assert_eq!(head.parts.headers["accept"], "x");
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
        parser.recycle(head.parts.headers);
    }
    assert!(parser.parse(&mut buffer, &limits).unwrap().is_none());
    buffer.extend_from_slice(b"TP/1.1\r\nHost: a\r\n\r\n");
    let head = parser.parse(&mut buffer, &limits).unwrap().unwrap();
    assert_eq!(head.parts.uri, "/3");
    assert_eq!(
        head.parts.headers.len(),
        1,
        "nothing is left over in a recycled map"
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
    assert!(range.contains(&head.parts.headers["host"].as_bytes().as_ptr()));
}

#[test]
fn one_empty_line_before_a_request_is_skipped_two_are_refused() {
    assert_eq!(accepted("\r\n".to_owned() + &get("/")).parts.uri, "/");
    refused(
        "\r\n\r\n".to_owned() + &get("/"),
        ParseError::EmptyRequestLine,
    );
    refused("\n".to_owned() + &get("/"), ParseError::BareLineFeed);
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
    assert_eq!(head.parts.headers["x"].as_bytes(), b"a\tb\xe9\xff");
    assert_eq!(head.parts.headers["y"], "");
}

#[test]
fn content_length_is_one_plain_number() {
    assert_eq!(
        accepted(post("Content-Length: 0")).body,
        BodyLength::Fixed(0)
    );
    assert_eq!(
        accepted(post("content-length:\t0042 ")).body,
        BodyLength::Fixed(42)
    );
    for value in [
        "",
        "+5",
        "-5",
        "5,5",
        "5, 5",
        "5 5",
        "0x5",
        "5.0",
        "five",
        "5;",
        "\u{665}",
        "18446744073709551616",
        "99999999999999999999999",
    ] {
        refused(
            post(&format!("Content-Length: {value}")),
            ParseError::ContentLength,
        );
    }
    for pair in [
        "Content-Length: 5\r\nContent-Length: 6",
        "Content-Length: 5\r\nContent-Length: 5",
    ] {
        refused(post(pair), ParseError::RepeatedContentLength);
    }
    refused(
        post("Content-Length: 5\r\nContent-Length: x"),
        ParseError::ContentLength,
    );
}

#[test]
fn content_length_and_transfer_encoding_together_are_refused() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nContent-Length: 0",
    ] {
        refused(post(fields), ParseError::ContentLengthWithTransferEncoding);
    }
}

#[test]
fn transfer_encoding_is_chunked_once_and_alone() {
    assert_eq!(
        accepted(post("Transfer-Encoding: chunked")).body,
        BodyLength::Chunked
    );
    assert_eq!(
        accepted(post("transfer-encoding:CHUNKED")).body,
        BodyLength::Chunked
    );
    for value in [
        "",
        ",",
        "chunked,",
        ",chunked",
        "chunked, chunked",
        "chunked, gzip",
        "chunked, identity",
        "chunked;q=1",
        "chunked ;q=1",
        ";chunked",
    ] {
        refused(
            post(&format!("Transfer-Encoding: {value}")),
            ParseError::TransferEncoding,
        );
    }
    refused(
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ParseError::TransferEncoding,
    );
    refused(
        post("Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip"),
        ParseError::TransferEncoding,
    );
    for value in [
        "gzip",
        "identity",
        "gzip, chunked",
        "xchunked",
        "chunked1",
        "\"chunked\"",
        "chun ked",
    ] {
        refused(
            post(&format!("Transfer-Encoding: {value}")),
            ParseError::UnknownTransferCoding,
        );
    }
    assert_eq!(ParseError::UnknownTransferCoding.status(), 501);
}

#[test]
fn transfer_encoding_in_http_1_0_is_refused() {
    refused(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        ParseError::TransferEncodingOnHttp10,
    );
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
        assert_eq!(accepted(with_host(host)).parts.headers["host"], host);
    }
    for host in [
        "",
        "a b",
        "user@a",
        "user:pw@a",
        "a:b",
        "a:65536",
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
    assert_eq!(head.parts.headers["host"], "b:81");
    assert_eq!(head.parts.headers.len(), 1);
    assert_eq!(head.parts.uri.path(), "/c");
    assert_eq!(head.parts.uri.authority().unwrap(), "b:81");
    assert_eq!(accepted(get("https://b")).parts.uri.path(), "/");
    assert_eq!(accepted(get("HTTP://b/")).parts.headers["host"], "b");
    let old = accepted("GET http://b/ HTTP/1.0\r\n\r\n");
    assert_eq!(old.parts.headers["host"], "b");
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
fn connect_with_a_body_is_refused() {
    let connect = |field: &str| format!("CONNECT b:1 HTTP/1.1\r\nHost: b:1\r\n{field}\r\n\r\n");
    refused(connect("Content-Length: 1"), ParseError::ConnectWithBody);
    refused(
        connect("Transfer-Encoding: chunked"),
        ParseError::ConnectWithBody,
    );
    assert_eq!(
        accepted(connect("Content-Length: 0")).body,
        BodyLength::Fixed(0)
    );
}

#[test]
fn keep_alive_follows_version_and_connection_field() {
    let intent = |version: &str, field: &str| {
        accepted(format!("GET / {version}\r\nHost: a\r\n{field}\r\n")).intent
    };
    for (version, field, expected) in [
        ("HTTP/1.1", "", ConnectionIntent::KeepAlive),
        ("HTTP/1.1", "Connection: close\r\n", ConnectionIntent::Close),
        (
            "HTTP/1.1",
            "Connection: x, CLOSE\r\n",
            ConnectionIntent::Close,
        ),
        (
            "HTTP/1.1",
            "Connection: keep-alive\r\nConnection: close\r\n",
            ConnectionIntent::Close,
        ),
        (
            "HTTP/1.1",
            "Connection: closed\r\n",
            ConnectionIntent::KeepAlive,
        ),
        ("HTTP/1.0", "", ConnectionIntent::Close),
        (
            "HTTP/1.0",
            "Connection: Keep-Alive\r\n",
            ConnectionIntent::KeepAlive,
        ),
        (
            "HTTP/1.0",
            "Connection: keep-alive, close\r\n",
            ConnectionIntent::Close,
        ),
    ] {
        assert_eq!(intent(version, field), expected, "{version} {field}");
    }
}

#[test]
fn upgrade_needs_both_fields_and_http_1_1() {
    let upgrade = |version: &str, fields: &str| {
        accepted(format!("GET / {version}\r\nHost: a\r\n{fields}\r\n\r\n")).upgrade
    };
    assert!(upgrade(
        "HTTP/1.1",
        "Connection: keep-alive, Upgrade\r\nUpgrade: websocket"
    ));
    assert!(!upgrade("HTTP/1.1", "Upgrade: websocket"));
    assert!(!upgrade("HTTP/1.1", "Connection: upgrade"));
    assert!(!upgrade("HTTP/1.1", "Connection: upgrade\r\nUpgrade:"));
    assert!(!upgrade(
        "HTTP/1.0",
        "Connection: upgrade\r\nUpgrade: websocket"
    ));
}

#[test]
fn continue_is_expected_only_for_a_body_in_http_1_1() {
    let expects = |fields: &str| accepted(post(fields)).expects_continue;
    assert!(expects("Expect: 100-Continue\r\nContent-Length: 1"));
    assert!(expects(
        "Expect: 100-continue\r\nTransfer-Encoding: chunked"
    ));
    assert!(!expects("Expect: 100-continue"));
    assert!(!expects("Expect: 100-continue\r\nContent-Length: 0"));
    assert!(!expects("Expect: magic\r\nContent-Length: 1"));
    let old = "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    assert!(!accepted(old).expects_continue);
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

#[test]
fn a_very_large_map_is_not_kept() {
    let mut parser = RequestParser::new();
    let mut large = HeaderMap::with_capacity(4096);
    large.insert("x", "y".parse().unwrap());
    parser.recycle(large);
    let mut buffer = BytesMut::from(get("/").as_str());
    let head = parser
        .parse(&mut buffer, &Limits::default())
        .unwrap()
        .unwrap();
    assert!(head.parts.headers.capacity() < 256);
    assert_eq!(head.parts.headers.len(), 1);
}

//! Request framing: how a body ends, whether the connection goes on, and the
//! ambiguities that smuggle requests.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
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
        "5:",
        "/5",
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

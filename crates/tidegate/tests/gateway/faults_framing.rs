//! Requests whose bytes two readers could take for different requests: refused,
//! and not a byte of them goes on.

use crate::harness::{End, Gateway, Origin, ok, proxy_to};

/// A head with these field lines, as the bytes they are.
fn post(lines: &str, body: &str) -> Vec<u8> {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n{body}").into_bytes()
}

fn head(lines: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\n{lines}\r\n\r\n").into_bytes()
}

/// Sends each to a gateway of its own connection: each is answered with its status,
/// the connection is closed, and what comes behind is never read as a request.
#[track_caller]
fn are_refused(cases: &[(&str, u16, Vec<u8>)]) {
    let origin = Origin::answering(|_| ok("served"));
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    for (name, status, request) in cases {
        let mut client = gateway.connect();
        // A second request rides along, for whoever reads the first as shorter.
        let smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
        client.send([request, smuggled.as_bytes()].concat());
        let reply = client.reply();
        assert_eq!(reply.status(), *status, "{name}");
        assert_eq!(reply.field("connection"), Some("close"), "{name}");
        client.finish();
        assert_eq!(client.ended(), End::Finished, "{name}");
    }
    assert_eq!(origin.connections(), 0, "the origin heard of it");
    // And nobody else noticed.
    assert_eq!(gateway.connect().ask(head("Host: a")).text(), "served");
}

#[test]
fn two_ways_to_find_the_end_of_a_body() {
    let chunks = "0\r\n\r\n";
    are_refused(&[
        (
            "CL and TE",
            400,
            post("Content-Length: 5\r\nTransfer-Encoding: chunked", chunks),
        ),
        (
            "TE and CL",
            400,
            post("Transfer-Encoding: chunked\r\nContent-Length: 5", chunks),
        ),
        (
            "differing CL",
            400,
            post("Content-Length: 5\r\nContent-Length: 6", "hello!"),
        ),
        (
            "repeated CL",
            400,
            post("Content-Length: 5\r\nContent-Length: 5", "hello"),
        ),
        ("list of CL", 400, post("Content-Length: 5, 5", "hello")),
        ("signed CL", 400, post("Content-Length: +5", "hello")),
        ("negative CL", 400, post("Content-Length: -5", "hello")),
        ("hexadecimal CL", 400, post("Content-Length: 0x5", "hello")),
        ("blank in CL", 400, post("Content-Length: 1 0", "hello")),
        ("no CL", 400, post("Content-Length:", "hello")),
        (
            "CL past 2^64",
            400,
            post("Content-Length: 18446744073709551621", "hello"),
        ),
    ]);
}

#[test]
fn transfer_codings_a_next_hop_may_not_know() {
    let chunks = "0\r\n\r\n";
    let old = "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    are_refused(&[
        ("TE on 1.0", 400, old.into()),
        (
            "chunked twice",
            400,
            post("Transfer-Encoding: chunked, chunked", chunks),
        ),
        (
            "chunked on two lines",
            400,
            post(
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                chunks,
            ),
        ),
        (
            "unknown",
            501,
            post("Transfer-Encoding: gzip, chunked", chunks),
        ),
        ("identity", 501, post("Transfer-Encoding: identity", "")),
        ("misspelt", 501, post("Transfer-Encoding: xchunked", chunks)),
        (
            "vertical tab",
            400,
            post("Transfer-Encoding: \x0bchunked", chunks),
        ),
        ("empty", 400, post("Transfer-Encoding:", chunks)),
        (
            "parameter",
            400,
            post("Transfer-Encoding: chunked;a=b", chunks),
        ),
    ]);
}

#[test]
fn heads_that_readers_split_differently() {
    are_refused(&[
        ("bare LF", 400, b"GET / HTTP/1.1\nHost: a\n\n".to_vec()),
        (
            "bare LF after a field",
            400,
            b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n".to_vec(),
        ),
        ("bare CR in a value", 400, head("Host: a\r\nX: a\rb")),
        (
            "bare CR in the line",
            400,
            b"GET /\r HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
        ("folded line", 400, head("Host: a\r\nX: a\r\n b")),
        ("folded first line", 400, head(" X: a\r\nHost: a")),
        (
            "blank before colon",
            400,
            head("Host: a\r\nContent-Length : 5"),
        ),
        (
            "tab before colon",
            400,
            head("Host: a\r\nContent-Length\t: 5"),
        ),
        ("no name", 400, head("Host: a\r\n: b")),
        ("no colon", 400, head("Host: a\r\nX")),
        ("NUL in a value", 400, head("Host: a\r\nX: a\0b")),
        ("NUL in a name", 400, head("Host: a\r\nX\0: b")),
        (
            "NUL in the target",
            400,
            b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
        (
            "blank in the target",
            400,
            b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
        (
            "two blanks",
            400,
            b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
        (
            "other version",
            505,
            b"GET / HTTP/1.2\r\nHost: a\r\n\r\n".to_vec(),
        ),
        ("HTTP/0.9", 400, b"GET /\r\n\r\n".to_vec()),
        (
            "lower-case version",
            400,
            b"GET / http/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
        (
            "fragment",
            400,
            b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(),
        ),
    ]);
}

#[test]
fn hosts_that_readers_tell_apart() {
    are_refused(&[
        ("none", 400, b"GET / HTTP/1.1\r\n\r\n".to_vec()),
        ("two", 400, head("Host: a\r\nHost: b")),
        ("two equal", 400, head("Host: a\r\nHost: a")),
        ("list", 400, head("Host: a, b")),
        ("path", 400, head("Host: a/b")),
        ("user", 400, head("Host: u@a")),
        ("port", 400, head("Host: a:b")),
        ("blank", 400, head("Host: a b")),
        (
            "two on 1.0",
            400,
            b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n".to_vec(),
        ),
    ]);
}

#[test]
fn chunks_that_readers_measure_differently() {
    let extension = format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(64 * 1024));
    let chunks = [
        ("no size", "\r\n"),
        ("sign", "+1\r\nx\r\n0\r\n\r\n"),
        ("prefix", "0x1\r\nx\r\n0\r\n\r\n"),
        ("not a number", "g\r\n"),
        ("blank before", " 1\r\nx\r\n0\r\n\r\n"),
        ("blank behind", "1 \r\nx\r\n0\r\n\r\n"),
        ("past 2^64", "11111111111111111\r\nx\r\n0\r\n\r\n"),
        ("bare LF", "1\nx\n0\n\n"),
        ("bare LF behind data", "1\r\nx\n0\r\n\r\n"),
        ("bare CR", "1\rx\r\nx\r\n0\r\n\r\n"),
        ("longer than said", "1\r\nxy\r\n0\r\n\r\n"),
        ("bare LF in an extension", "1;a\nx\r\n0\r\n\r\n"),
        ("64 kB extension", &extension),
        ("bad trailer", "0\r\nX : a\r\n\r\n"),
        ("folded trailer", "0\r\nX: a\r\n b\r\n\r\n"),
        ("framing trailer", "0\r\nContent-Length: 5\r\n\r\n"),
        ("bare LF trailer", "0\r\nX: a\n\r\n"),
    ];
    let origin = Origin::answering(|_| ok("served"));
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    for (name, chunks) in chunks {
        let mut client = gateway.connect();
        // Past a refusal the gateway stops reading: the rest may not fit any more.
        let _ = client.try_send(post("Transfer-Encoding: chunked", chunks));
        let _ = client.try_send("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        let reply = client.reply();
        assert_eq!(reply.status(), 400, "{name}");
        assert_eq!(reply.field("connection"), Some("close"), "{name}");
        client.finish();
        client.ended();
    }
    // The origin may have seen heads, but nothing that ended well.
    assert_eq!(origin.requests(), []);
    assert_eq!(gateway.connect().ask(head("Host: a")).text(), "served");
}

#[test]
fn responses_that_readers_measure_differently() {
    let answers = [
        (
            "CL and TE",
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (
            "differing CL",
            "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        ),
        ("signed CL", "Content-Length: +5\r\n\r\nhello"),
        (
            "chunked twice",
            "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        ),
        ("unknown coding", "Transfer-Encoding: gzip\r\n\r\n"),
        ("bare LF", "X: a\nY: b\r\n\r\n"),
        ("bare CR", "X: a\rb\r\n\r\n"),
        ("folded line", "X: a\r\n b\r\n\r\n"),
        ("blank before colon", "X : a\r\n\r\n"),
        ("NUL", "X: a\0b\r\n\r\n"),
    ];
    for (name, answer) in answers {
        let origin = Origin::answering(move |_| format!("HTTP/1.1 200 OK\r\n{answer}"));
        let gateway = Gateway::start(&proxy_to(&[origin.address()], "retries = 0"));
        let mut client = gateway.connect();
        for turn in 1..=2 {
            assert_eq!(client.ask(head("Host: a")).status(), 502, "{name}");
            assert_eq!(
                origin.connections(),
                turn,
                "{name}: the connection was used again"
            );
        }
    }
}

#[test]
fn response_bytes_that_are_no_http() {
    let answers = [
        "SSH-2.0-x\r\n\r\n",
        "HTTP/2 200\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "\0\r\n\r\n",
    ];
    for answer in answers {
        let origin = Origin::answering(move |_| answer);
        let gateway = Gateway::start(&proxy_to(&[origin.address()], "retries = 0"));
        assert_eq!(
            gateway.connect().ask(head("Host: a")).status(),
            502,
            "{answer:?}"
        );
    }
}

#[test]
fn a_response_head_without_end_is_bounded() {
    let origin = Origin::start(|visit| {
        visit.request();
        let line = format!("X: {}\r\n", "a".repeat(1000));
        visit.send("HTTP/1.1 200 OK\r\n");
        while visit.peer.try_send(&line).is_ok() {}
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], "retries = 0"));
    assert_eq!(gateway.connect().ask(head("Host: a")).status(), 502);
}

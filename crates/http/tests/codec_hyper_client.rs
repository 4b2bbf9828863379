//! The response side against hyper's client: the same raw bytes to both. What
//! hyper refuses we refuse, what both accept they read alike, and where we
//! alone refuse it is for one of the reasons listed in [`STRICTER`].
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "codec_support/corpus.rs"]
#[allow(unreachable_pub, reason = "shared by several tests")]
mod corpus;
#[path = "codec_support/raw_io.rs"]
#[allow(unreachable_pub, reason = "shared by several tests")]
mod raw_io;

#[path = "hyper/connection.rs"]
mod connection;

use bytes::BytesMut;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use tidegate_http::h1::codec::{
    BodyDecoder, BodyEvent, BodyLength, Limits, ParseError, ResponseParser,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Where we refuse what hyper lets pass, and why.
const STRICTER: &[(ParseError, &str)] = &[
    (
        ParseError::BareLineFeed,
        "RFC 9112 2.2 only allows to accept it; others disagree on it",
    ),
    (ParseError::StatusLine, "empty lines before the status line"),
    (
        ParseError::ContentLength,
        "a list of equal numbers, or one that hyper ignores",
    ),
    (
        ParseError::RepeatedContentLength,
        "where hyper has no use for the length",
    ),
    (
        ParseError::ContentLengthWithTransferEncoding,
        "RFC 9112 6.3: hyper lets chunked win",
    ),
    (
        ParseError::TransferEncoding,
        "repeated or parametrised chunked, empty list elements",
    ),
    (
        ParseError::UnknownTransferCoding,
        "hyper hands the coded bytes on until the end",
    ),
    (
        ParseError::TransferEncodingOnHttp10,
        "RFC 9112 6.1: faulty framing; hyper goes on",
    ),
    (
        ParseError::ForbiddenTrailer,
        "RFC 9110 6.5.1: framing in trailers",
    ),
    (ParseError::BodyTooLarge, "hyper has no limit"),
];

/// Mutated inputs for each request method.
const MUTATIONS: usize = 5_000;

/// A final response as a client came to see it.
#[derive(Debug, PartialEq)]
struct Seen {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

fn ours(method: &Method, input: &[u8]) -> Result<Seen, ParseError> {
    let limits = Limits::default();
    let mut buffer = BytesMut::from(input);
    let mut parser = ResponseParser::new();
    let head = loop {
        let head = parser.parse(&mut buffer, method, &limits)?;
        let head = head.ok_or(ParseError::Truncated)?;
        if !head.is_informational() {
            break head;
        }
    };
    let mut seen = Seen {
        status: head.parts.status,
        headers: head.parts.headers.into(),
        body: Vec::new(),
    };
    if head.body == BodyLength::Tunnel {
        return Ok(seen);
    }
    let mut decoder = BodyDecoder::new(head.body, &limits);
    loop {
        match decoder.decode(&mut buffer)? {
            BodyEvent::Data(data) => seen.body.extend_from_slice(&data),
            BodyEvent::Trailers(_) => {}
            BodyEvent::End => return Ok(seen),
            BodyEvent::NeedInput => return decoder.finish().map(|_| seen),
        }
    }
}

async fn hypers(method: &Method, input: &[u8]) -> Result<Seen, hyper::Error> {
    let (mut raw, dialled) = tokio::io::duplex(raw_io::PIPE_BYTES);
    let stream = raw_io::Stream(dialled);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let target = if method == Method::CONNECT {
        "a:1"
    } else {
        "/"
    };
    let request = hyper::Request::builder()
        .method(method)
        .uri(target)
        .header("host", "a")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let exchange = async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let tunnel = parts.status == StatusCode::SWITCHING_PROTOCOLS
            || method == Method::CONNECT && parts.status.is_success();
        let body = if tunnel {
            Bytes::new()
        } else {
            body.collect().await?.to_bytes()
        };
        Ok(Seen {
            status: parts.status,
            headers: parts.headers,
            body: body.to_vec(),
        })
    };
    let answer = async {
        // Nothing may be answered before the request is there.
        let mut request = [0; 1024];
        assert!(raw.read(&mut request).await.unwrap() > 0);
        drop(raw.write_all(input).await);
        drop(raw.shutdown().await);
        drop(raw.read_to_end(&mut Vec::new()).await);
    };
    tokio::pin!(connection);
    let exchange = async {
        tokio::pin!(exchange);
        tokio::select! {
            seen = &mut exchange => seen,
            _ = &mut connection => exchange.await,
        }
    };
    // The answering side ends when hyper lets go of the connection.
    tokio::pin!(answer);
    tokio::select! {
        biased;
        seen = exchange => seen,
        () = async { answer.await; std::future::pending().await } => unreachable!("it never ends"),
    }
}

/// An equal `Content-Length` sent twice is handed on once.
fn comparable(mut seen: Seen) -> Seen {
    connection::keep_other_options(&mut seen.headers);
    if let Some(length) = seen.headers.get("content-length").cloned() {
        seen.headers.insert("content-length", length);
    }
    seen
}

/// How two readers took one input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agreement {
    Accepted,
    Refused,
    OursIsStricter,
}

fn compare(method: &Method, input: &[u8]) -> Agreement {
    let shown = String::from_utf8_lossy(input).into_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (ours, theirs) = (ours(method, input), runtime.block_on(hypers(method, input)));
    let summary = format!("{method} {shown:?}\nours: {ours:?}\nhyper: {theirs:?}");
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => {
            assert_eq!(comparable(ours), comparable(theirs), "{summary}");
            Agreement::Accepted
        }
        (Err(_), Err(_)) => Agreement::Refused,
        (Ok(_), Err(_)) => panic!("hyper alone refuses {summary}"),
        (Err(error), Ok(_)) => {
            let listed = STRICTER.iter().any(|&(stricter, _)| stricter == error);
            assert!(listed, "an unlisted reason to refuse {summary}");
            Agreement::OursIsStricter
        }
    }
}

/// Whole responses: the seeds, their first byte left out, with some bodies.
fn responses() -> Vec<Vec<u8>> {
    let mut responses = Vec::new();
    for seed in corpus::seeds("http1_response") {
        for body in [
            "",
            "hello",
            "5\r\nhello\r\n0\r\n\r\n",
            "5\r\nhello\r\n0\r\nX: y\r\n\r\n",
        ] {
            responses.push([&seed[1..], body.as_bytes()].concat());
            let interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n";
            responses.push([interim, &seed[1..], body.as_bytes()].concat());
        }
    }
    responses
}

#[test]
fn responses_are_read_as_hyper_reads_them() {
    let responses = responses();
    for method in [Method::GET, Method::HEAD, Method::CONNECT] {
        let mut counts = [0; 3];
        for response in &responses {
            counts[compare(&method, response) as usize] += 1;
        }
        let mut numbers = corpus::Numbers(0x6879_7065_7200_0003);
        for _ in 0..MUTATIONS {
            let response = corpus::mutate(&responses, &mut numbers);
            counts[compare(&method, &response) as usize] += 1;
        }
        let enough = counts.iter().all(|&count| count * 100 > MUTATIONS);
        assert!(enough, "too little was compared: {counts:?}");
    }
}

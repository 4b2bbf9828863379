//! The request side against hyper's server: the same raw bytes to both. What
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

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::BytesMut;
use http::{HeaderMap, Method, Version};
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use tidegate_http::h1::codec::{
    BodyDecoder, BodyEvent, ConnectionIntent, Limits, ParseError, RequestParser,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Where we refuse what hyper lets pass, and why.
const STRICTER: &[(ParseError, &str)] = &[
    (
        ParseError::BareLineFeed,
        "RFC 9112 2.2 only allows to accept it; others disagree on it",
    ),
    (
        ParseError::EmptyRequestLine,
        "RFC 9112 2.2 asks to skip one empty line; hyper skips any",
    ),
    (
        ParseError::MissingHost,
        "RFC 9112 3.2: must be answered with 400",
    ),
    (
        ParseError::RepeatedHost,
        "RFC 9112 3.2: must be answered with 400",
    ),
    (
        ParseError::InvalidHost,
        "RFC 9112 3.2: must be answered with 400",
    ),
    (
        ParseError::Target,
        "fragment, user information, other schemes, bytes that are not ASCII",
    ),
    (
        ParseError::TargetForm,
        "RFC 9112 3.2: which form goes with which method",
    ),
    (
        ParseError::ConnectWithBody,
        "RFC 9110 9.3.6: CONNECT has no content",
    ),
    (
        ParseError::ContentLength,
        "RFC 9110 8.6 only allows to accept a list of equal numbers",
    ),
    (
        ParseError::RepeatedContentLength,
        "RFC 9110 8.6 only allows to accept equal ones",
    ),
    (
        ParseError::ContentLengthWithTransferEncoding,
        "RFC 9112 6.1: ought to be an error",
    ),
    (
        ParseError::TransferEncoding,
        "repeated or parametrised chunked, empty list elements",
    ),
    (
        ParseError::UnknownTransferCoding,
        "RFC 9112 6.1: 501 for a coding not understood",
    ),
    (
        ParseError::ChunkSize,
        "white space around the size, or more than 16 digits",
    ),
    (ParseError::ChunkExtension, "control characters"),
    (
        ParseError::ForbiddenTrailer,
        "RFC 9110 6.5.1: framing in trailers",
    ),
    (ParseError::HeadTooLarge, "our limit is lower"),
    (ParseError::RequestLineTooLong, "our limit is lower"),
];

/// Mutated inputs for each comparison.
const MUTATIONS: usize = 10_000;

/// Fields among the seeds that we leave out of trailers and hyper does not.
const DROPPED_TRAILERS: &[&str] = &[
    "host",
    "authorization",
    "x-forwarded-for",
    "connection",
    "upgrade",
    "expect",
    "cookie",
];

/// A request as a server came to see it.
#[derive(Debug, PartialEq)]
struct Seen {
    method: Method,
    target: String,
    version: Version,
    headers: HeaderMap,
    body: Vec<u8>,
    trailers: HeaderMap,
}

/// All requests of a connection, and whether it ended well.
#[derive(Debug)]
struct Verdict<E> {
    seen: Vec<Seen>,
    refused: Option<E>,
}

fn ours(input: &[u8]) -> Verdict<ParseError> {
    let mut verdict = Verdict {
        seen: Vec::new(),
        refused: None,
    };
    verdict.refused = read_all(input, &mut verdict.seen).err();
    verdict
}

fn read_all(input: &[u8], seen: &mut Vec<Seen>) -> Result<(), ParseError> {
    let limits = Limits::default();
    let mut buffer = BytesMut::from(input);
    let mut parser = RequestParser::new();
    while let Some(head) = parser.parse(&mut buffer, &limits)? {
        let mut decoder = BodyDecoder::new(head.body, &limits);
        let mut request = Seen {
            target: head.parts.uri.to_string(),
            method: head.parts.method,
            version: head.parts.version,
            headers: head.parts.headers.into(),
            body: Vec::new(),
            trailers: HeaderMap::new(),
        };
        loop {
            match decoder.decode(&mut buffer)? {
                BodyEvent::Data(data) => request.body.extend_from_slice(&data),
                BodyEvent::Trailers(trailers) => request.trailers = trailers,
                BodyEvent::End => break,
                BodyEvent::NeedInput => return decoder.finish().map(drop),
            }
        }
        let ends = request.method == Method::CONNECT || head.intent == ConnectionIntent::Close;
        seen.push(request);
        if ends {
            return Ok(());
        }
    }
    // The beginning of an empty line before a request is nothing to miss.
    if buffer.is_empty() || buffer == "\r" {
        return Ok(());
    }
    Err(ParseError::Truncated)
}

async fn hypers(input: &[u8]) -> Verdict<String> {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let body_error = Rc::new(RefCell::new(None));
    let (mut raw, served) = tokio::io::duplex(raw_io::PIPE_BYTES);
    let service = service_fn(|request: hyper::Request<Incoming>| {
        let (seen, body_error) = (Rc::clone(&seen), Rc::clone(&body_error));
        async move {
            let (parts, body) = request.into_parts();
            match body.collect().await {
                Ok(body) => seen.borrow_mut().push(Seen {
                    method: parts.method,
                    target: parts.uri.to_string(),
                    version: parts.version,
                    headers: parts.headers,
                    trailers: body.trailers().cloned().unwrap_or_default(),
                    body: body.to_bytes().to_vec(),
                }),
                Err(error) => drop(body_error.borrow_mut().replace(error.to_string())),
            }
            Ok::<_, Infallible>(hyper::Response::new(Empty::<Bytes>::new()))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .half_close(true)
        .header_read_timeout(None)
        .serve_connection(raw_io::Stream(served), service);
    let drive = async {
        raw.write_all(input).await.unwrap();
        raw.shutdown().await.unwrap();
        // hyper may close with input unread, which is not what is tested.
        let mut answers = Vec::new();
        drop(raw.read_to_end(&mut answers).await);
    };
    let (ended, ()) = tokio::join!(connection, drive);
    let refused = body_error
        .take()
        .or_else(|| ended.err().map(|error| error.to_string()));
    Verdict {
        seen: seen.take(),
        refused,
    }
}

/// What may differ by design: Host after an absolute target, and the trailers
/// we drop.
fn comparable(mut seen: Seen) -> Seen {
    connection::keep_other_options(&mut seen.headers);
    if seen.target.contains("://") {
        seen.headers.remove("host");
    }
    for name in DROPPED_TRAILERS {
        seen.trailers.remove(*name);
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

fn compare(input: &[u8]) -> Agreement {
    let shown = String::from_utf8_lossy(input).into_owned();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let (ours, theirs) = (ours(input), runtime.block_on(hypers(input)));
    let summary = format!("{shown:?}\nours: {ours:?}\nhyper: {theirs:?}");
    for (ours, theirs) in ours.seen.into_iter().zip(theirs.seen) {
        assert_eq!(comparable(ours), comparable(theirs), "{summary}");
    }
    match (ours.refused, theirs.refused) {
        (None, None) => Agreement::Accepted,
        (Some(_), Some(_)) => Agreement::Refused,
        (None, Some(_)) => panic!("hyper alone refuses {summary}"),
        (Some(error), None) => {
            let listed = STRICTER.iter().any(|&(stricter, _)| stricter == error);
            assert!(listed, "an unlisted reason to refuse {summary}");
            Agreement::OursIsStricter
        }
    }
}

/// Inputs that are all refused, or all accepted, would compare nothing.
fn compare_all(inputs: impl Iterator<Item = Vec<u8>>) {
    let mut counts = [0; 3];
    for input in inputs {
        counts[compare(&input) as usize] += 1;
    }
    let total: usize = counts.iter().sum();
    assert!(
        counts.iter().all(|&count| count * 100 > total),
        "{counts:?}"
    );
}

#[test]
fn every_seed_is_read_as_hyper_reads_it() {
    let targets = ["http1_request", "http1_connection"];
    compare_all(targets.into_iter().flat_map(corpus::seeds));
}

#[test]
fn mutated_seeds_are_read_as_hyper_reads_them() {
    let mut seeds = corpus::seeds("http1_connection");
    seeds.extend(corpus::seeds("http1_request"));
    let mut numbers = corpus::Numbers(0x6879_7065_7200_0001);
    compare_all((0..MUTATIONS).map(|_| corpus::mutate(&seeds, &mut numbers)));
}

#[test]
fn bodies_are_read_as_hyper_reads_them() {
    let head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut seeds = corpus::seeds("http1_body");
    seeds.retain(|seed| seed[0] == b'C');
    let mut bodies: Vec<_> = seeds
        .iter()
        .map(|seed| [head, &seed[1..]].concat())
        .collect();
    // Damage to what is damaged already would only be refused.
    let mut good = bodies.clone();
    good.retain(|body| ours(body).refused.is_none());
    let good: Vec<_> = good
        .iter()
        .map(|body| body[head.len()..].to_vec())
        .collect();
    let mut numbers = corpus::Numbers(0x6879_7065_7200_0002);
    for _ in 0..MUTATIONS {
        let body = corpus::mutate(&good, &mut numbers);
        bodies.push([head, &body[..]].concat());
    }
    compare_all(bodies.into_iter());
}

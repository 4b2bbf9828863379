//! The HTTP/1.1 codec under arbitrary input. Each function panics when an
//! invariant breaks: no panic in the codec, the same events however the input
//! is split, and what was accepted is written so that it reads back the same.

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Method};
use tidegate_http::Headers;
use tidegate_http::h1::codec::{
    BodyDecoder, BodyEncoder, BodyEvent, BodyLength, ConnectionField, ConnectionIntent,
    EncodedBody, Limits, ParseError, RequestHead, RequestParser, RequestTarget, ResponseHead,
    ResponseParser, encode_request_head, encode_response_head,
};

/// A fuzz target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its binary and of its directory of seeds.
    pub name: &'static str,
    /// Panics when an invariant does not hold for an input.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: [Target; 5] = [
    Target {
        name: "http1_request",
        run: request,
    },
    Target {
        name: "http1_response",
        run: response,
    },
    Target {
        name: "http1_body",
        run: body,
    },
    Target {
        name: "http1_trailers",
        run: trailers,
    },
    Target {
        name: "http1_connection",
        run: connection,
    },
];

/// Longer input finds nothing that shorter input does not.
const INPUT_BYTES_MAX: usize = 64 << 10;

/// One request head.
pub fn request(data: &[u8]) {
    for limits in [Limits::default(), tiny()] {
        let whole = same_for_every_split(data, |pieces| one_request(pieces, &limits));
        if let Step::Head(head, _) = &whole {
            request_reads_back(head);
        }
    }
}

/// One response head; the first byte is the initial of the request method.
pub fn response(data: &[u8]) {
    let Some((&initial, data)) = data.split_first() else {
        return;
    };
    let method = match initial {
        b'H' => Method::HEAD,
        b'C' => Method::CONNECT,
        _ => Method::GET,
    };
    for limits in [Limits::default(), tiny()] {
        let whole = same_for_every_split(data, |pieces| one_response(pieces, &method, &limits));
        if let Step::Head(head, _) = &whole {
            response_reads_back(head, &method);
        }
    }
}

/// One body. The first byte says how it ends: `C`hunked, `U`ntil close,
/// `T`unnel, and anything else is its own value in bytes.
pub fn body(data: &[u8]) {
    let Some((&kind, data)) = data.split_first() else {
        return;
    };
    let length = match kind {
        b'C' => BodyLength::Chunked,
        b'U' => BodyLength::UntilClose,
        b'T' => BodyLength::Tunnel,
        bytes => BodyLength::Fixed(u64::from(bytes)),
    };
    decode_and_encode(length, data);
}

/// The trailer section of a chunked body.
pub fn trailers(data: &[u8]) {
    decode_and_encode(BodyLength::Chunked, &[b"0\r\n", data].concat());
}

/// All requests of one connection, with their bodies.
pub fn connection(data: &[u8]) {
    for limits in [Limits::default(), tiny()] {
        same_for_every_split(data, |pieces| connection_events(pieces, &limits));
    }
}

/// All requests of one connection, arriving in pieces cut at these offsets:
/// the same as when they arrive at once.
pub fn connection_cut_at(data: &[u8], cuts: &[usize]) {
    let mut cuts: Vec<_> = cuts.iter().map(|cut| cut % (data.len() + 1)).collect();
    cuts.sort_unstable();
    let mut pieces = Vec::new();
    let mut start = 0;
    for end in cuts.into_iter().chain([data.len()]) {
        pieces.push(&data[start..end]);
        start = end;
    }
    for limits in [Limits::default(), tiny()] {
        assert_eq!(
            connection_events(&mut pieces.iter().copied(), &limits),
            connection_events(&mut std::iter::once(data), &limits),
            "cut into {pieces:?}"
        );
    }
}

fn tiny() -> Limits {
    Limits {
        request_line_bytes: 40,
        header_bytes: 80,
        header_count: 4,
        body_bytes: 32,
        chunk_extension_bytes: 12,
        chunk_line_bytes: 8,
        trailer_bytes: 40,
    }
}

/// Feeds `data` whole, in halves and byte by byte; all must give the same.
fn same_for_every_split<T: PartialEq + std::fmt::Debug>(
    data: &[u8],
    run: impl Fn(&mut dyn Iterator<Item = &[u8]>) -> T,
) -> T {
    let data = &data[..data.len().min(INPUT_BYTES_MAX)];
    let whole = run(&mut std::iter::once(data));
    let dribbled = run(&mut data.chunks(1));
    assert_eq!(whole, dribbled, "whole and byte by byte");
    // A place that depends on the input, so that a fuzzer can move it.
    let sum = data.iter().fold(data.len(), |sum, &byte| {
        sum.wrapping_mul(31) + usize::from(byte)
    });
    let (first, second) = data.split_at(sum % (data.len() + 1));
    let halves = run(&mut [first, second].into_iter());
    assert_eq!(whole, halves, "whole and split at {}", first.len());
    whole
}

/// What a head parser made of its input, and how much input it left.
#[derive(Debug, PartialEq)]
enum Step<H> {
    Head(H, usize),
    Starved(usize),
    Refused(ParseError),
}

/// A request head that can be compared.
#[derive(Debug)]
struct Request(RequestHead);

impl PartialEq for Request {
    fn eq(&self, other: &Self) -> bool {
        let (this, that) = (&self.0, &other.0);
        this.parts.method == that.parts.method
            && this.parts.uri == that.parts.uri
            && this.parts.version == that.parts.version
            && this.parts.headers == that.parts.headers
            && (this.body, this.intent, this.expects_continue, this.upgrade)
                == (that.body, that.intent, that.expects_continue, that.upgrade)
    }
}

/// A response head that can be compared.
#[derive(Debug)]
struct Response(ResponseHead);

impl PartialEq for Response {
    fn eq(&self, other: &Self) -> bool {
        let (this, that) = (&self.0, &other.0);
        this.parts.status == that.parts.status
            && this.parts.version == that.parts.version
            && this.parts.headers == that.parts.headers
            && (this.body, this.intent) == (that.body, that.intent)
    }
}

/// Feeds pieces until the parser has a head, refuses or wants more; what it
/// had not been given yet counts as left.
fn one_head<H>(
    pieces: &mut dyn Iterator<Item = &[u8]>,
    mut parse: impl FnMut(&mut BytesMut) -> Result<Option<H>, ParseError>,
) -> Step<H> {
    let mut buffer = BytesMut::new();
    while let Some(piece) = pieces.next() {
        buffer.extend_from_slice(piece);
        match parse(&mut buffer) {
            Ok(None) => {}
            Ok(Some(head)) => {
                return Step::Head(head, buffer.len() + pieces.map(<[u8]>::len).sum::<usize>());
            }
            Err(error) => return Step::Refused(error),
        }
    }
    Step::Starved(buffer.len())
}

fn one_request(pieces: &mut dyn Iterator<Item = &[u8]>, limits: &Limits) -> Step<Request> {
    let mut parser = RequestParser::new();
    one_head(pieces, |buffer| {
        Ok(parser.parse(buffer, limits)?.map(Request))
    })
}

fn one_response(
    pieces: &mut dyn Iterator<Item = &[u8]>,
    method: &Method,
    limits: &Limits,
) -> Step<Response> {
    let mut parser = ResponseParser::new();
    one_head(pieces, |buffer| {
        Ok(parser.parse(buffer, method, limits)?.map(Response))
    })
}

/// Room for what the encoder adds to a head that just fitted.
fn roomy() -> Limits {
    let limits = Limits::default();
    Limits {
        request_line_bytes: limits.request_line_bytes + 1024,
        header_bytes: limits.header_bytes + 1024,
        header_count: limits.header_count + 4,
        ..limits
    }
}

fn without_framing(headers: &Headers) -> Headers {
    let mut headers = headers.clone();
    for name in [CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers.remove("proxy-connection");
    headers
}

fn connection_field(upgrade: bool, intent: ConnectionIntent) -> ConnectionField {
    match intent {
        _ if upgrade => ConnectionField::Upgrade,
        ConnectionIntent::KeepAlive => ConnectionField::Implied,
        ConnectionIntent::Close => ConnectionField::Close,
    }
}

fn request_reads_back(Request(head): &Request) {
    let parts = &head.parts;
    let mut headers = parts.headers.clone();
    if !headers.contains_key(HOST) {
        // HTTP/1.0 does not need one; what we write is HTTP/1.1.
        headers.insert(HOST, HeaderValue::from_static("host"));
    }
    let upgrade = head.upgrade && parts.method != Method::CONNECT;
    let target = RequestTarget::new(&parts.method, &parts.uri).expect("it came from one");
    let mut written = BytesMut::new();
    encode_request_head(
        &mut written,
        &parts.method,
        target,
        &headers,
        EncodedBody::from(head.body),
        connection_field(upgrade, head.intent),
    )
    .expect("what was read can be written");
    let again = RequestParser::new()
        .parse(&mut written, &roomy())
        .expect("what was written is well-formed")
        .expect("a whole head was written");
    assert!(written.is_empty(), "one head reads as one head");
    assert_eq!(again.parts.method, parts.method);
    assert_eq!(
        again
            .parts
            .uri
            .path_and_query()
            .map(|path| (path.path(), path.query())),
        parts
            .uri
            .path_and_query()
            .map(|path| (path.path(), path.query()))
    );
    assert_eq!(
        without_framing(&again.parts.headers),
        without_framing(&headers)
    );
    assert_eq!(again.upgrade, head.upgrade);
    if parts.method != Method::CONNECT {
        assert_eq!(again.body, head.body);
        assert!(upgrade || again.intent == head.intent);
    }
}

fn response_reads_back(Response(head): &Response, method: &Method) {
    let parts = &head.parts;
    let length = parts.headers.get(CONTENT_LENGTH);
    let length = length.and_then(|value| value.to_str()?.parse().ok());
    let body = match head.body {
        BodyLength::None => EncodedBody::Unsent(length),
        other => EncodedBody::from(other),
    };
    let switching = parts.status == http::StatusCode::SWITCHING_PROTOCOLS;
    let mut written = BytesMut::new();
    encode_response_head(
        &mut written,
        parts.status,
        &parts.headers,
        body,
        connection_field(switching, head.intent),
    )
    .expect("what was read can be written");
    let again = ResponseParser::new()
        .parse(&mut written, method, &roomy())
        .expect("what was written is well-formed")
        .expect("a whole head was written");
    assert!(written.is_empty(), "one head reads as one head");
    assert_eq!(again.parts.status, parts.status);
    assert_eq!(again.body, head.body);
    assert_eq!(again.intent, head.intent);
    assert_eq!(
        without_framing(&again.parts.headers),
        without_framing(&parts.headers)
    );
}

/// What a body came to, its data joined.
#[derive(Debug, Default, PartialEq)]
struct BodyOutcome {
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    ended: bool,
    refused: Option<ParseError>,
    left: usize,
}

fn body_outcome(
    length: BodyLength,
    pieces: &mut dyn Iterator<Item = &[u8]>,
    limits: &Limits,
) -> BodyOutcome {
    let mut decoder = BodyDecoder::new(length, limits);
    let mut outcome = BodyOutcome::default();
    let mut buffer = BytesMut::new();
    while let Some(piece) = pieces.next() {
        buffer.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buffer) {
                Ok(BodyEvent::Data(data)) => outcome.data.extend_from_slice(&data),
                Ok(BodyEvent::Trailers(trailers)) => outcome.trailers = Some(trailers),
                Ok(BodyEvent::NeedInput) => break,
                Ok(BodyEvent::End) => {
                    outcome.ended = true;
                    outcome.left = buffer.len() + pieces.map(<[u8]>::len).sum::<usize>();
                    return outcome;
                }
                Err(error) => {
                    outcome.refused = Some(error);
                    return outcome;
                }
            }
        }
    }
    outcome.ended = decoder.finish().is_ok();
    outcome.left = buffer.len();
    outcome
}

fn decode_and_encode(length: BodyLength, data: &[u8]) {
    for limits in [Limits::default(), tiny()] {
        let outcome = same_for_every_split(data, |pieces| body_outcome(length, pieces, &limits));
        if length != BodyLength::Tunnel && !matches!(length, BodyLength::Fixed(_)) {
            assert!(outcome.data.len() as u64 <= limits.body_bytes);
        }
        if outcome.ended && length == BodyLength::Chunked {
            chunks_read_back(&outcome);
        }
    }
}

fn chunks_read_back(outcome: &BodyOutcome) {
    let mut written = BytesMut::new();
    let mut encoder = BodyEncoder::new(EncodedBody::Chunked);
    for data in outcome.data.chunks(7) {
        let suffix = encoder
            .data(&mut written, data.len())
            .expect("chunks have no limit");
        written.extend_from_slice(data);
        written.extend_from_slice(suffix);
    }
    encoder
        .finish(&mut written, outcome.trailers.as_ref())
        .expect("chunks have no length to miss");
    let again = body_outcome(
        BodyLength::Chunked,
        &mut std::iter::once(&written[..]),
        &Limits {
            trailer_bytes: usize::MAX,
            ..Limits::default()
        },
    );
    assert_eq!(again.data, outcome.data);
    assert_eq!(again.trailers, outcome.trailers);
    assert!(again.ended && again.left == 0);
}

/// One thing that happened on a connection.
#[derive(Debug, PartialEq)]
enum Event {
    Head(Request),
    Data(Vec<u8>),
    Trailers(HeaderMap),
    Refused(ParseError),
    Left(usize),
}

fn connection_events(pieces: &mut dyn Iterator<Item = &[u8]>, limits: &Limits) -> Vec<Event> {
    let mut parser = RequestParser::new();
    let mut decoder = BodyDecoder::new(BodyLength::None, limits);
    let mut buffer = BytesMut::new();
    let mut events = Vec::new();
    for piece in pieces {
        buffer.extend_from_slice(piece);
        if let Err(error) = drive(&mut parser, &mut decoder, &mut buffer, limits, &mut events) {
            events.push(Event::Refused(error));
            return events;
        }
    }
    events.push(Event::Left(buffer.len()));
    events
}

/// Takes everything that is whole off the front of `buffer`.
fn drive(
    parser: &mut RequestParser,
    decoder: &mut BodyDecoder,
    buffer: &mut BytesMut,
    limits: &Limits,
    events: &mut Vec<Event>,
) -> Result<(), ParseError> {
    loop {
        if decoder.is_complete() {
            let Some(head) = parser.parse(buffer, limits)? else {
                return Ok(());
            };
            *decoder = BodyDecoder::new(head.body, limits);
            events.push(Event::Head(Request(head)));
            continue;
        }
        match (decoder.decode(buffer)?, events.last_mut()) {
            (BodyEvent::Data(piece), Some(Event::Data(data))) => data.extend_from_slice(&piece),
            (BodyEvent::Data(piece), _) => events.push(Event::Data(piece.to_vec())),
            (BodyEvent::Trailers(trailers), _) => events.push(Event::Trailers(trailers)),
            (BodyEvent::NeedInput, _) => return Ok(()),
            (BodyEvent::End, _) => {}
        }
    }
}

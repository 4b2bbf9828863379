//! Properties over generated messages: what is written reads back the same,
//! and any split of the input gives the same events.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../fuzz/src/http1.rs"]
#[allow(dead_code, unreachable_pub, reason = "public for the fuzz targets")]
mod http1;

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use proptest::collection::vec;
use proptest::prelude::*;
use tidegate_http::Headers;
use tidegate_http::h1::codec::{
    BodyDecoder, BodyEncoder, BodyEvent, ConnectionField, EncodedBody, Limits, RequestParser,
    RequestTarget, ResponseParser, encode_request_head, encode_response_head,
};

/// A message as its sender means it.
#[derive(Clone, Debug)]
struct Message {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    chunked: bool,
    data: Vec<Vec<u8>>,
    trailers: HeaderMap,
}

prop_compose! {
    fn fields(prefix: &'static str)(lines in vec(("[a-z0-9-]{1,12}", "[!-~]([ -~\t]{0,30}[!-~])?|"), 0..6)) -> HeaderMap {
        lines
            .into_iter()
            .map(|(name, value)| {
                let name = HeaderName::try_from(format!("{prefix}{name}")).unwrap();
                (name, HeaderValue::try_from(value).unwrap())
            })
            .collect()
    }
}

prop_compose! {
    fn message()(
        method in "GET|POST|PUT|DELETE|PATCH|OPTIONS|[A-Z]{1,20}",
        uri in "/[a-zA-Z0-9/._~%-]{0,40}([?][a-zA-Z0-9=&+]{0,20})?",
        mut headers in fields("x-"),
        chunked in any::<bool>(),
        data in vec(vec(any::<u8>(), 0..300), 0..5),
        trailers in fields("y-"),
    ) -> Message {
        headers.insert("host", HeaderValue::from_static("example.com:8080"));
        let method = if method == "CONNECT" { Method::GET } else { Method::try_from(&*method).unwrap() };
        Message { method, uri: uri.parse().unwrap(), headers, chunked, data, trailers }
    }
}

impl Message {
    fn body(&self) -> Vec<u8> {
        self.data.concat()
    }

    fn framing(&self) -> EncodedBody {
        if self.chunked {
            EncodedBody::Chunked
        } else {
            EncodedBody::Fixed(self.body().len() as u64)
        }
    }

    fn write_body(&self, out: &mut BytesMut) {
        let mut encoder = BodyEncoder::new(self.framing());
        for data in &self.data {
            let suffix = encoder.data(out, data.len()).unwrap();
            out.extend_from_slice(data);
            out.extend_from_slice(suffix);
        }
        encoder.finish(out, Some(&self.trailers)).unwrap();
    }

    fn write_request(&self, out: &mut BytesMut) {
        encode_request_head(
            out,
            &self.method,
            RequestTarget::new(&self.method, &self.uri).unwrap(),
            &Headers::from(&self.headers),
            self.framing(),
            ConnectionField::Implied,
        )
        .unwrap();
        self.write_body(out);
    }

    fn check_body(&self, decoder: &mut BodyDecoder, buffer: &mut BytesMut) {
        let (mut body, mut trailers) = (Vec::new(), HeaderMap::new());
        loop {
            match decoder.decode(buffer).unwrap() {
                BodyEvent::Data(data) => body.extend_from_slice(&data),
                BodyEvent::Trailers(found) => trailers = found,
                BodyEvent::NeedInput => panic!("a whole body was given"),
                BodyEvent::End => break,
            }
        }
        assert_eq!(body, self.body());
        if self.chunked {
            assert_eq!(trailers, self.trailers);
        }
    }
}

/// The fields a reader gets besides the ones that were written.
fn without_framing(mut headers: HeaderMap) -> HeaderMap {
    headers.remove("content-length");
    headers.remove("transfer-encoding");
    headers
}

proptest! {
    #[test]
    fn pipelined_requests_read_back_as_written(messages in vec(message(), 1..4)) {
        let limits = Limits::default();
        let mut buffer = BytesMut::new();
        for message in &messages {
            message.write_request(&mut buffer);
        }
        let mut parser = RequestParser::new();
        for message in &messages {
            let head = parser.parse(&mut buffer, &limits).unwrap().unwrap();
            prop_assert_eq!(&head.parts.method, &message.method);
            prop_assert_eq!(&head.parts.uri, &message.uri);
            let mut decoder = BodyDecoder::new(head.body, &limits);
            prop_assert_eq!(without_framing(head.parts.headers.into()), message.headers.clone());
            message.check_body(&mut decoder, &mut buffer);
        }
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn responses_read_back_as_written(message in message(), status in 200_u16..600) {
        prop_assume!(!matches!(status, 204 | 304));
        let limits = Limits::default();
        let status = StatusCode::from_u16(status).unwrap();
        let mut buffer = BytesMut::new();
        let connection = ConnectionField::Implied;
        let headers = Headers::from(&message.headers);
        encode_response_head(&mut buffer, status, &headers, message.framing(), connection)
            .unwrap();
        message.write_body(&mut buffer);
        let head = ResponseParser::new()
            .parse(&mut buffer, &Method::GET, &limits)
            .unwrap()
            .unwrap();
        prop_assert_eq!(head.parts.status, status);
        let mut decoder = BodyDecoder::new(head.body, &limits);
        prop_assert_eq!(without_framing(head.parts.headers.into()), message.headers.clone());
        message.check_body(&mut decoder, &mut buffer);
        prop_assert!(buffer.is_empty());
    }

    #[test]
    fn any_split_of_good_requests_gives_the_same_events(
        messages in vec(message(), 1..4),
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let mut buffer = BytesMut::new();
        for message in &messages {
            message.write_request(&mut buffer);
        }
        http1::connection_cut_at(&buffer, &cuts);
    }

    #[test]
    fn any_split_of_damaged_requests_gives_the_same_events(
        messages in vec(message(), 1..4),
        cuts in vec(any::<usize>(), 0..12),
        damage in vec((any::<usize>(), "[\r\n\t :;,0-9a-f]{0,3}"), 1..4),
    ) {
        let mut buffer = BytesMut::new();
        for message in &messages {
            message.write_request(&mut buffer);
        }
        let mut input = buffer.to_vec();
        for (at, piece) in damage {
            let at = at % (input.len() + 1);
            let end = (at + 1).min(input.len());
            drop(input.splice(at..end, piece.bytes()));
        }
        http1::connection_cut_at(&input, &cuts);
    }
}

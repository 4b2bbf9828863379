//! What our head parsers accept, another parser reads the same way. It may accept more: it
//! takes a bare line feed for the end of a line, and knows nothing of framing.

use bytes::BytesMut;
use http::Method;
use proptest::prelude::*;
use proptest::sample::select;
use tidegate_http::Headers;
use tidegate_http::h1::codec::{Limits, RequestParser, ResponseParser};

const REQUESTS: [&str; 4] = [
    "GET /a?b=c HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\n\r\n",
    "POST / HTTP/1.0\r\nhost:a\r\nContent-Length: 3\r\nX-Odd:\t a \"b\" \t\r\n\r\nabc",
    "OPTIONS * HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\nVia: 1.1 a, 1.0 b\r\n\r\n",
    "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nX-Empty:\r\n\r\n",
];
const RESPONSES: [&str; 4] = [
    "HTTP/1.1 200 OK\r\nServer: a\r\nDate: today\r\nContent-Length: 2\r\n\r\nhi",
    "HTTP/1.0 404\r\nContent-Type: text/plain\r\n\r\n",
    "HTTP/1.1 204 No Content at all\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n",
    "HTTP/1.1 302 \r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
];

/// What a mutation puts in: what separates, what is forbidden somewhere, and what is not ASCII.
const BYTES: &[u8] = b" \t\r\n:\0\x01\x7f\x80\xff/.,;\"()@aZ0#%*_-";

#[derive(Clone, Debug)]
enum Mutation {
    Replace(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let at = any::<prop::sample::Index>;
    let one = prop_oneof![
        (at(), select(BYTES)).prop_map(|(at, byte)| Mutation::Replace(at, byte)),
        (at(), select(BYTES)).prop_map(|(at, byte)| Mutation::Insert(at, byte)),
        at().prop_map(Mutation::Remove),
    ];
    prop::collection::vec(one, 0..4)
}

fn mutated(original: &str, mutations: Vec<Mutation>) -> Vec<u8> {
    let mut bytes = original.as_bytes().to_vec();
    for mutation in mutations {
        match mutation {
            Mutation::Replace(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            Mutation::Insert(at, byte) => bytes.insert(at.index(bytes.len()), byte),
            Mutation::Remove(at) => {
                bytes.remove(at.index(bytes.len()));
            }
        }
    }
    bytes
}

/// The other parser's fields, without those ours settles itself or may fold.
fn theirs(lines: &[httparse::Header<'_>]) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> = lines
        .iter()
        .map(|line| (line.name.to_ascii_lowercase(), line.value.to_vec()))
        .filter(|(name, _)| !is_settled(name))
        .collect();
    fields.sort();
    fields
}

fn ours(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    let mut fields: Vec<_> = headers
        .iter()
        .map(|field| {
            (
                field.name().to_ascii_lowercase(),
                field.value().as_bytes().to_vec(),
            )
        })
        .filter(|(name, _)| !is_settled(name))
        .collect();
    fields.sort();
    fields
}

fn is_settled(name: &str) -> bool {
    matches!(name, "connection" | "content-length")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_request_we_accept_reads_the_same_to_another(
        original in select(&REQUESTS[..]),
        mutations in mutations(),
    ) {
        let bytes = mutated(original, mutations);
        let mut buffer = BytesMut::from(&bytes[..]);
        if let Ok(Some(head)) = RequestParser::new().parse(&mut buffer, &Limits::default()) {
            let mut table = [httparse::EMPTY_HEADER; 16];
            let mut other = httparse::Request::new(&mut table);
            let read = other.parse(&bytes);
            let length = bytes.len() - buffer.len();
            prop_assert_eq!(read, Ok(httparse::Status::Complete(length)));
            prop_assert_eq!(other.method, Some(head.parts.method.as_str()));
            let is_absolute = head.parts.uri.scheme().is_some();
            if !is_absolute {
                prop_assert_eq!(other.path.unwrap_or("").to_owned(), head.parts.uri.to_string());
                prop_assert_eq!(theirs(other.headers), ours(&head.parts.headers));
            }
        }
    }

    #[test]
    fn a_response_we_accept_reads_the_same_to_another(
        original in select(&RESPONSES[..]),
        mutations in mutations(),
    ) {
        let bytes = mutated(original, mutations);
        let mut buffer = BytesMut::from(&bytes[..]);
        let parsed = ResponseParser::new().parse(&mut buffer, &Method::GET, &Limits::default());
        if let Ok(Some(head)) = parsed {
            let mut table = [httparse::EMPTY_HEADER; 16];
            let mut other = httparse::Response::new(&mut table);
            let read = other.parse(&bytes);
            let length = bytes.len() - buffer.len();
            prop_assert_eq!(read, Ok(httparse::Status::Complete(length)));
            prop_assert_eq!(other.code, Some(head.parts.status.as_u16()));
            prop_assert_eq!(theirs(other.headers), ours(&head.parts.headers));
        }
    }

    #[test]
    fn what_another_refuses_we_refuse(
        original in select(&REQUESTS[..]),
        mutations in mutations(),
    ) {
        let bytes = mutated(original, mutations);
        let mut table = [httparse::EMPTY_HEADER; 16];
        if httparse::Request::new(&mut table).parse(&bytes).is_err() {
            let parsed = RequestParser::new().parse(&mut BytesMut::from(&bytes[..]), &Limits::default());
            prop_assert!(!matches!(parsed, Ok(Some(_))), "{:?}", parsed);
        }
    }
}

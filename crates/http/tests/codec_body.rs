//! Bodies as they arrive: what a decoder hands out, and which broken framing
//! it must never pass on.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::BytesMut;
use http::HeaderMap;
use tidegate_http::h1::codec::{BodyDecoder, BodyEvent, BodyLength, Limits, ParseError};

/// What a decoder made of one input.
#[derive(Debug, Default)]
struct Outcome {
    data: Vec<u8>,
    trailers: Option<HeaderMap>,
    ended: bool,
    rest: Vec<u8>,
}

fn decode_within(
    length: BodyLength,
    input: &[u8],
    limits: &Limits,
) -> Result<Outcome, (ParseError, Vec<u8>)> {
    let mut decoder = BodyDecoder::new(length, limits);
    let mut buffer = BytesMut::from(input);
    let mut outcome = Outcome::default();
    loop {
        match decoder.decode(&mut buffer) {
            Err(error) => return Err((error, outcome.data)),
            Ok(BodyEvent::Data(data)) => {
                assert!(!data.is_empty());
                outcome.data.extend_from_slice(&data);
            }
            Ok(BodyEvent::Trailers(trailers)) => {
                assert!(!trailers.is_empty());
                assert!(outcome.trailers.replace(trailers).is_none());
                assert!(decoder.is_complete());
            }
            Ok(BodyEvent::NeedInput) => break,
            Ok(BodyEvent::End) => {
                assert!(decoder.is_complete());
                outcome.ended = true;
                break;
            }
        }
    }
    assert_eq!(decoder.is_complete(), outcome.ended);
    outcome.rest = buffer.to_vec();
    Ok(outcome)
}

fn chunked(input: impl AsRef<[u8]>) -> Outcome {
    decode_within(BodyLength::Chunked, input.as_ref(), &Limits::default()).unwrap()
}

#[track_caller]
fn refused(input: impl AsRef<[u8]>, error: ParseError) {
    let input = input.as_ref();
    let shown = String::from_utf8_lossy(input).into_owned();
    match decode_within(BodyLength::Chunked, input, &Limits::default()) {
        Err((found, _)) => assert_eq!(found, error, "{shown:?}"),
        Ok(outcome) => panic!("{shown:?} gave {outcome:?}"),
    }
}

#[test]
fn a_fixed_body_ends_at_its_length_and_leaves_the_rest() {
    let outcome = decode_within(
        BodyLength::Fixed(5),
        b"helloGET / HTTP/1.1",
        &Limits::default(),
    )
    .unwrap();
    assert_eq!(outcome.data, b"hello");
    assert!(outcome.ended);
    assert_eq!(outcome.rest, b"GET / HTTP/1.1");
}

#[test]
fn a_fixed_body_is_complete_with_its_last_byte() {
    let mut decoder = BodyDecoder::new(BodyLength::Fixed(3), &Limits::default());
    let mut buffer = BytesMut::from("ab");
    assert!(matches!(decoder.decode(&mut buffer), Ok(BodyEvent::Data(data)) if data == "ab"));
    assert!(matches!(
        decoder.decode(&mut buffer),
        Ok(BodyEvent::NeedInput)
    ));
    assert_eq!(decoder.finish().unwrap_err(), ParseError::Truncated);
    buffer.extend_from_slice(b"c");
    assert!(matches!(decoder.decode(&mut buffer), Ok(BodyEvent::Data(data)) if data == "c"));
    assert!(decoder.is_complete());
    assert!(matches!(decoder.finish(), Ok(BodyEvent::End)));
}

#[test]
fn bodies_without_bytes_are_complete_at_once() {
    for length in [BodyLength::None, BodyLength::Fixed(0)] {
        let decoder = BodyDecoder::new(length, &Limits::default());
        assert!(decoder.is_complete());
        let outcome = decode_within(length, b"next", &Limits::default()).unwrap();
        assert!(outcome.ended && outcome.data.is_empty());
        assert_eq!(outcome.rest, b"next");
    }
}

#[test]
fn bodies_until_close_and_tunnels_end_with_the_connection() {
    for length in [BodyLength::UntilClose, BodyLength::Tunnel] {
        let mut decoder = BodyDecoder::new(length, &Limits::default());
        let mut buffer = BytesMut::from("0\r\n\r\n");
        assert!(
            matches!(decoder.decode(&mut buffer), Ok(BodyEvent::Data(data)) if data == "0\r\n\r\n")
        );
        assert!(matches!(
            decoder.decode(&mut buffer),
            Ok(BodyEvent::NeedInput)
        ));
        assert!(!decoder.is_complete());
        assert!(matches!(decoder.finish(), Ok(BodyEvent::End)));
        assert!(decoder.is_complete());
    }
}

#[test]
fn chunks_are_joined_and_the_rest_is_left() {
    let outcome = chunked("5\r\nhello\r\n00a\r\n, world!!\n\r\n0\r\n\r\nGET");
    assert_eq!(outcome.data, b"hello, world!!\n");
    assert!(outcome.ended && outcome.trailers.is_none());
    assert_eq!(outcome.rest, b"GET");
    assert_eq!(chunked("A\r\n0123456789\r\n0\r\n\r\n").data.len(), 10);
    assert!(chunked("0000\r\n\r\n").ended);
}

#[test]
fn chunk_data_is_handed_out_before_the_chunk_is_whole() {
    let outcome = chunked("ffff\r\npartial");
    assert_eq!(outcome.data, b"partial");
    assert!(!outcome.ended && outcome.rest.is_empty());
}

#[test]
fn chunk_data_is_a_slice_of_the_input() {
    let mut buffer = BytesMut::from("5\r\nhello\r\n");
    let range = buffer.as_ptr_range();
    let mut decoder = BodyDecoder::new(BodyLength::Chunked, &Limits::default());
    let Ok(BodyEvent::Data(data)) = decoder.decode(&mut buffer) else {
        panic!("no data");
    };
    assert!(range.contains(&data.as_ptr()));
}

#[test]
fn malformed_chunk_sizes_are_refused() {
    for line in [
        "",
        "g",
        "+5",
        "-5",
        "0x5",
        " 5",
        "5 ",
        "5\t",
        "5 ;a",
        "5,",
        "\0",
        "5\0",
        "\u{ff}",
        ";a",
        "11111111111111111",
        "00000000000000005",
        "fffffffffffffffff",
    ] {
        refused(format!("{line}\r\nhello"), ParseError::ChunkSize);
    }
    refused("5\nhello", ParseError::BareLineFeed);
    refused("5\rhello", ParseError::BareCarriageReturn);
    refused("5;a\nhello", ParseError::BareLineFeed);
    refused("5;a\rb\r\nhello", ParseError::BareCarriageReturn);
    refused("\n", ParseError::ChunkSize);
}

#[test]
fn a_chunk_size_that_overflows_is_too_large_not_small() {
    refused("ffffffffffffffff\r\n", ParseError::BodyTooLarge);
    let unlimited = Limits {
        body_bytes: u64::MAX,
        ..Limits::default()
    };
    let input = b"1\r\na\r\nffffffffffffffff\r\n";
    let (error, data) = decode_within(BodyLength::Chunked, input, &unlimited).unwrap_err();
    assert_eq!(error, ParseError::BodyTooLarge);
    assert_eq!(data, b"a");
}

#[test]
fn chunk_data_must_end_where_its_size_says() {
    refused("5\r\nhello0\r\n\r\n", ParseError::ChunkTerminator);
    refused("5\r\nhello!\r\n", ParseError::ChunkTerminator);
    refused("5\r\nhello\n0\r\n\r\n", ParseError::BareLineFeed);
    refused("5\r\nhello\r0\r\n\r\n", ParseError::BareCarriageReturn);
    refused("3\r\nhello\r\n", ParseError::ChunkTerminator);
}

#[test]
fn chunk_extensions_are_dropped_and_limited() {
    let outcome = chunked("5;a=b;c=\"d;\t\u{e9}\"\r\nhello\r\n0;x\r\n\r\n");
    assert_eq!(outcome.data, b"hello");
    assert!(outcome.ended);
    refused("5;a\0\r\nhello", ParseError::ChunkExtension);
    refused("5;a\x7f", ParseError::ChunkExtension);
    let limits = Limits {
        chunk_line_bytes: 8,
        chunk_extension_bytes: 20,
        ..Limits::default()
    };
    let run = |input: &str| {
        decode_within(BodyLength::Chunked, input.as_bytes(), &limits).map_err(|(error, _)| error)
    };
    assert!(
        run("1;34567890\r\na\r\n").is_err(),
        "nine bytes on one line"
    );
    assert_eq!(run("1;3456789").unwrap().rest, b"1;3456789");
    assert_eq!(
        run("1;34567890").unwrap_err(),
        ParseError::ChunkExtensionTooLarge
    );
    let chunk = "1;345678\r\na\r\n";
    assert_eq!(run(&chunk.repeat(2)).unwrap().data, b"aa");
    let third = run(&chunk.repeat(3)).unwrap_err();
    assert_eq!(
        third,
        ParseError::ChunkExtensionTooLarge,
        "21 bytes in one body"
    );
}

#[test]
fn a_64_kib_extension_is_refused_by_default() {
    refused(
        format!("5;{}", "a".repeat(65536)),
        ParseError::ChunkExtensionTooLarge,
    );
    let flood = "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n".repeat(2048);
    refused(flood, ParseError::ChunkExtensionTooLarge);
}

#[test]
fn the_body_limit_counts_data_of_all_chunks() {
    let limits = Limits {
        body_bytes: 10,
        ..Limits::default()
    };
    let run = |length, input: &str| decode_within(length, input.as_bytes(), &limits);
    assert!(
        run(BodyLength::Chunked, "5\r\nhello\r\n5\r\nworld\r\n0\r\n\r\n")
            .unwrap()
            .ended
    );
    let (error, data) = run(BodyLength::Chunked, "5\r\nhello\r\n6\r\nworld!").unwrap_err();
    assert_eq!(error, ParseError::BodyTooLarge);
    assert_eq!(
        data, b"hello",
        "nothing of the chunk that is too large is handed out"
    );
    let (error, data) = run(BodyLength::UntilClose, "hello world").unwrap_err();
    assert_eq!(error, ParseError::BodyTooLarge);
    assert_eq!(data.len(), 10);
    assert!(
        run(BodyLength::Tunnel, "hello world").is_ok(),
        "a tunnel has no body limit"
    );
}

#[test]
fn trailers_are_handed_out_without_those_that_only_count_before_a_body() {
    let outcome = chunked(
        "0\r\nX-Checksum: 1\r\nHost: evil\r\nAuthorization: evil\r\nConnection: close\r\n\
         X-Forwarded-For: evil\r\nKeep-Alive: 5\r\nx-checksum: 2\r\n\r\nrest",
    );
    let trailers = outcome.trailers.unwrap();
    assert_eq!(trailers.len(), 2);
    assert_eq!(trailers.get_all("x-checksum").iter().count(), 2);
    assert_eq!(outcome.rest, b"rest");
    assert!(chunked("0\r\nHost: evil\r\n\r\n").trailers.is_none());
}

#[test]
fn trailers_that_would_frame_again_are_refused() {
    refused(
        "0\r\nContent-Length: 5\r\n\r\n",
        ParseError::ForbiddenTrailer,
    );
    refused(
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        ParseError::ForbiddenTrailer,
    );
}

#[test]
fn malformed_trailers_are_refused() {
    for (trailers, error) in [
        ("X : a\r\n\r\n", ParseError::HeaderName),
        (" folded\r\n\r\n", ParseError::HeaderName),
        ("X: a\r\n folded\r\n\r\n", ParseError::HeaderName),
        ("no colon\r\n\r\n", ParseError::HeaderName),
        ("X: a\0\r\n\r\n", ParseError::HeaderValue),
        ("X: a\n", ParseError::BareLineFeed),
        ("X: a\r\r", ParseError::BareCarriageReturn),
        ("X: a\r\n\n", ParseError::BareLineFeed),
    ] {
        refused(format!("0\r\n{trailers}"), error);
    }
}

#[test]
fn trailers_are_limited_in_bytes_and_number() {
    let limits = Limits {
        trailer_bytes: 20,
        header_count: 2,
        ..Limits::default()
    };
    let run = |trailers: &str| {
        let input = format!("0\r\n{trailers}");
        decode_within(BodyLength::Chunked, input.as_bytes(), &limits)
            .map(|outcome| outcome.ended)
            .map_err(|(error, _)| error)
    };
    assert_eq!(run("X: 3456789012345\r\n\r\n"), Ok(true));
    assert_eq!(
        run("X: 34567890123456\r\n\r\n"),
        Err(ParseError::TrailersTooLarge)
    );
    assert_eq!(
        run("X: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        Err(ParseError::TrailersTooLarge)
    );
    assert_eq!(
        run("X:\r\nX:\r\nX:\r\n\r\n"),
        Err(ParseError::TooManyHeaders)
    );
}

#[test]
fn an_end_of_input_inside_chunks_is_no_end_of_body() {
    for input in [
        "",
        "5",
        "5\r\n",
        "5\r\nhel",
        "5\r\nhello",
        "5\r\nhello\r\n",
        "0\r\n",
        "0\r\nX: a\r\n",
    ] {
        let mut decoder = BodyDecoder::new(BodyLength::Chunked, &Limits::default());
        let mut buffer = BytesMut::from(input);
        while let BodyEvent::Data(_) = decoder.decode(&mut buffer).unwrap() {}
        assert_eq!(
            decoder.finish().unwrap_err(),
            ParseError::Truncated,
            "{input:?}"
        );
    }
}

#[test]
fn a_refused_body_stays_refused_whatever_follows() {
    let mut decoder = BodyDecoder::new(BodyLength::Chunked, &Limits::default());
    let mut buffer = BytesMut::from("0\r\nX : a\r\n\r\n");
    for _ in 0..2 {
        let found = decoder.decode(&mut buffer);
        assert_eq!(found.unwrap_err(), ParseError::HeaderName);
        buffer.extend_from_slice(b"0\r\n\r\n");
    }
    assert_eq!(decoder.finish().unwrap_err(), ParseError::HeaderName);
    assert!(!decoder.is_complete());
}

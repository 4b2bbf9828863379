//! What is said in each protocol, and where it ends.

use anyhow::{Context, Result, ensure};
use bytes::BytesMut;
use std::fmt;
use tidegate_thrift::codec::{
    Envelope, HeaderKey, HeadersBuilder, Message, MessageKind, Protocol, Transport, Wire, encode,
};

/// What is spoken on both sides of the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speech {
    /// What ratios are to: POST over kept connections, HTTP/1.1.
    Http,
    /// Thrift in frames, strict binary.
    Framed,
    /// Thrift without frames: every body is walked.
    Unframed,
    /// Thrift with a head that has three keys.
    TtHeader,
}

const HEADERS_MAX: usize = 32;
const SEQUENCE_ID: i32 = 7;

impl Speech {
    pub(crate) const ALL: [Self; 4] = [Self::Http, Self::Framed, Self::Unframed, Self::TtHeader];

    /// A request with a body of `bytes`, or a call with an argument of them.
    pub(crate) fn call(self, bytes: usize) -> Result<Vec<u8>> {
        match self.transport() {
            None => {
                let head = format!(
                    "POST /get HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n"
                );
                Ok([head.into_bytes(), vec![b'x'; bytes]].concat())
            }
            Some(transport) => message(transport, MessageKind::Call, bytes),
        }
    }

    /// What is answered, with as many bytes.
    pub(crate) fn answer(self, bytes: usize) -> Result<Vec<u8>> {
        match self.transport() {
            None => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {bytes}\r\n\r\n");
                Ok([head.into_bytes(), vec![b'x'; bytes]].concat())
            }
            Some(transport) => message(transport, MessageKind::Reply, bytes),
        }
    }

    const fn transport(self) -> Option<Transport> {
        match self {
            Self::Http => None,
            Self::Framed => Some(Transport::Framed),
            Self::Unframed => Some(Transport::Unframed),
            Self::TtHeader => Some(Transport::TtHeader),
        }
    }

    /// How long the message is that begins `bytes`, once that is known. `sent` is one of its
    /// kind: without frames all are alike, and the proxy changes none.
    pub(crate) fn length(self, bytes: &[u8], sent: usize) -> Result<Option<usize>> {
        match self {
            Self::Http => http_length(bytes),
            Self::Unframed => Ok(Some(sent)),
            Self::Framed | Self::TtHeader => Ok(bytes
                .first_chunk()
                .map(|length| 4 + u32::from_be_bytes(*length) as usize)),
        }
    }
}

fn message(transport: Transport, kind: MessageKind, bytes: usize) -> Result<Vec<u8>> {
    // One field, a string.
    let length = u32::try_from(bytes).context("too many bytes")?;
    let head = [&b"\x0b\0\x01"[..], &length.to_be_bytes()].concat();
    let body = [&head[..], &vec![b'x'; bytes], b"\0"].concat();
    let headers = HeadersBuilder::new(SEQUENCE_ID)
        .with(HeaderKey::TO_METHOD, "get")?
        .with(HeaderKey::TO_SERVICE, "store")?
        .with(
            HeaderKey::Name(b"trace"),
            "4bf92f3577b34da6a3ce929d0e0e4736",
        )?
        .build();
    let message = Message {
        wire: Wire {
            transport,
            protocol: Protocol::Binary,
        },
        envelope: Envelope {
            method: "get".into(),
            kind,
            sequence_id: SEQUENCE_ID,
        },
        headers: transport.has_headers().then_some(headers),
        body: BytesMut::from(&body[..]).freeze(),
    };
    Ok(encode(&message)?.to_vec())
}

fn http_length(bytes: &[u8]) -> Result<Option<usize>> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let is_answer = bytes.starts_with(b"H");
    let (head, headers) = if is_answer {
        let mut response = httparse::Response::new(&mut headers);
        let head = response.parse(bytes)?;
        if let Some(code) = response.code {
            ensure!(code == 200, "status {code}");
        }
        (head, response.headers)
    } else {
        let mut request = httparse::Request::new(&mut headers);
        (request.parse(bytes)?, request.headers)
    };
    let httparse::Status::Complete(head) = head else {
        return Ok(None);
    };
    let length = headers
        .iter()
        .find(|it| it.name.eq_ignore_ascii_case("content-length"))
        .context("no length")?;
    let length: usize = std::str::from_utf8(length.value)?.parse()?;
    Ok(Some(head + length))
}

impl fmt::Display for Speech {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Http => "http",
            Self::Framed => "thrift framed",
            Self::Unframed => "thrift unframed",
            Self::TtHeader => "thrift ttheader",
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn messages_end_where_they_are_said_to() {
        for speech in Speech::ALL {
            for said in [speech.call(16).unwrap(), speech.answer(1000).unwrap()] {
                let length = speech.length(&said, said.len()).unwrap();
                assert_eq!(length, Some(said.len()), "{speech}");
            }
        }
    }
}

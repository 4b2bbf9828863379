//! An HTTP/1.1 client that says exactly how a request failed: whether any byte of an answer came.

use std::fmt;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const HEADERS_MAX: usize = 32;
const READ_BYTES: usize = 16 << 10;

/// Whether a connection outlives its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Persistence {
    KeepAlive,
    Close,
}

/// Why a request has no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Failure {
    /// No connection came about.
    Connect,
    /// The connection was reset while no request was under way.
    ResetWhileIdle,
    /// Closed or reset after the request was written, before a byte of the answer.
    Unanswered,
    /// Closed or reset within the answer.
    CutShort,
    /// An answer, but not 2xx.
    Status(u16),
    /// Bytes that are no answer this client understands.
    Malformed,
    /// Nothing within the time-out.
    TimedOut,
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => formatter.write_str("not connected"),
            Self::ResetWhileIdle => formatter.write_str("reset while idle"),
            Self::Unanswered => formatter.write_str("closed without an answer"),
            Self::CutShort => formatter.write_str("cut short"),
            Self::Status(status) => write!(formatter, "status {status}"),
            Self::Malformed => formatter.write_str("malformed"),
            Self::TimedOut => formatter.write_str("timed out"),
        }
    }
}

/// The bytes of a GET request.
pub(crate) fn get(path: &str, persistence: Persistence) -> Vec<u8> {
    let connection = match persistence {
        Persistence::KeepAlive => "",
        Persistence::Close => "Connection: close\r\n",
    };
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{connection}\r\n").into_bytes()
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Client<S> {
    stream: S,
    input: Vec<u8>,
}

/// A 2xx answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) body: Vec<u8>,
    /// What the server wants to do with the connection.
    pub(crate) persistence: Persistence,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self {
            stream,
            input: Vec::new(),
        }
    }

    /// The stream below.
    pub(crate) fn stream(&self) -> &S {
        &self.stream
    }

    /// Sends `request` and reads its answer whole.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer, Failure> {
        let written = self.stream.write_all(request).await;
        if written.is_err() {
            return Err(Failure::Unanswered);
        }
        let _sent_by_the_next_read_at_the_latest = self.stream.flush().await;
        self.input.clear();
        let head = loop {
            if let Some(head) = parse_head(&self.input)? {
                break head;
            }
            if matches!(self.read().await, Ok(0) | Err(_)) {
                let nothing = self.input.is_empty();
                return Err(if nothing {
                    Failure::Unanswered
                } else {
                    Failure::CutShort
                });
            }
        };
        let end = head.bytes + head.body_bytes;
        while self.input.len() < end {
            if matches!(self.read().await, Ok(0) | Err(_)) {
                return Err(Failure::CutShort);
            }
        }
        match head.status {
            200..300 if self.input.len() == end => {
                let body = self.input[head.bytes..end].to_vec();
                Ok(Answer {
                    body,
                    persistence: head.persistence,
                })
            }
            200..300 => Err(Failure::Malformed),
            status => Err(Failure::Status(status)),
        }
    }

    /// Waits for the other side to close.
    pub(crate) async fn closed(mut self) -> io::Result<()> {
        self.input.clear();
        match self.read().await? {
            0 => Ok(()),
            _ => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "bytes after the answer",
            )),
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        self.input.reserve(READ_BYTES);
        self.stream.read_buf(&mut self.input).await
    }
}

#[derive(Debug)]
struct Head {
    status: u16,
    bytes: usize,
    body_bytes: usize,
    persistence: Persistence,
}

fn parse_head(input: &[u8]) -> Result<Option<Head>, Failure> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    let bytes = match response.parse(input) {
        Ok(httparse::Status::Complete(bytes)) => bytes,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err(Failure::Malformed),
    };
    let value = |name: &str| {
        let header = response
            .headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))?;
        std::str::from_utf8(header.value).ok()
    };
    // Everything that is asked for here has a length known beforehand.
    let body_bytes = value("content-length").and_then(|length| length.parse().ok());
    let close = value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    Ok(Some(Head {
        status: response.code.ok_or(Failure::Malformed)?,
        bytes,
        body_bytes: body_bytes.ok_or(Failure::Malformed)?,
        persistence: if close {
            Persistence::Close
        } else {
            Persistence::KeepAlive
        },
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// What a client makes of `answer`, byte by byte, followed by the end of the stream.
    fn exchange(answer: &[u8]) -> Result<Answer, Failure> {
        super::super::runtime().unwrap().block_on(async {
            let (near, mut far) = tokio::io::duplex(1);
            let answer = answer.to_vec();
            let request = get("/", Persistence::KeepAlive);
            let request_bytes = request.len();
            let server = tokio::task::spawn_local(async move {
                let mut request = vec![0; request_bytes];
                far.read_exact(&mut request).await.unwrap();
                let _client_may_have_seen_enough = far.write_all(&answer).await;
            });
            let result = Client::new(near).exchange(&request).await;
            server.await.unwrap();
            result
        })
    }

    #[test]
    fn an_answer_is_read_whole() {
        let answer = exchange(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").unwrap();
        assert_eq!(
            answer,
            Answer {
                body: b"ok".to_vec(),
                persistence: Persistence::KeepAlive
            }
        );
        let answer =
            exchange(b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n").unwrap();
        assert_eq!(answer.persistence, Persistence::Close);
    }

    #[test]
    fn failures_are_told_apart() {
        assert_eq!(exchange(b"").unwrap_err(), Failure::Unanswered);
        assert_eq!(exchange(b"HTTP/1.1 2").unwrap_err(), Failure::CutShort);
        let short = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok";
        assert_eq!(exchange(short).unwrap_err(), Failure::CutShort);
        let error = b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(exchange(error).unwrap_err(), Failure::Status(502));
        assert_eq!(exchange(b"HELLO\r\n\r\n").unwrap_err(), Failure::Malformed);
    }
}

//! One line: what a request was and what became of it.

use std::time::{Duration, SystemTime};

use bytes::{BufMut, BytesMut};

use super::date::DateCache;

/// The longest host, path, user agent or referer, in bytes before escaping. What is
/// beyond is cut off, marked by a trailing `…`.
pub const LONG_FIELD_BYTES_MAX: usize = 2048;

/// The longest of every other text, in bytes before escaping, cut likewise.
pub const SHORT_FIELD_BYTES_MAX: usize = 256;

/// A bound on a whole line: every text at its limit and every byte of it escaped.
pub const LINE_BYTES_MAX: usize = 4 * LONG_FIELD_BYTES_MAX * ESCAPED_BYTES_MAX
    + 9 * SHORT_FIELD_BYTES_MAX * ESCAPED_BYTES_MAX
    + 1024;

/// `\u001f`: the most output one byte of input makes.
const ESCAPED_BYTES_MAX: usize = 6;

/// A request as the log tells it.
///
/// Texts from peers are bytes: what is not UTF-8 becomes U+FFFD, one for each maximal
/// invalid piece, so every line is valid JSON whatever peers send. Absent values leave
/// their key out.
#[derive(Clone, Debug)]
pub struct Entry<'a> {
    /// When the request's head was complete; written in UTC as RFC 3339, to the
    /// millisecond. Times before 1970 are written as its start.
    pub time: SystemTime,
    /// The site that served it.
    pub site: &'a str,
    /// The deployed generation of the site.
    pub generation: u64,
    /// The peer's address, written out once per connection.
    pub peer: &'a str,
    /// The request method.
    pub method: &'a str,
    /// The host asked for.
    pub host: Option<&'a [u8]>,
    /// The request target as received, with its query.
    pub path: &'a [u8],
    /// `HTTP/1.1` and so on.
    pub protocol: &'a str,
    /// The status sent; zero when the client left before there was one.
    pub status: u16,
    /// Bytes of request body received.
    pub request_bytes: u64,
    /// Bytes of response body sent.
    pub response_bytes: u64,
    /// From the complete request head to the last byte of the response.
    pub duration: Duration,
    /// The route's pattern.
    pub route: Option<&'a str>,
    /// The upstream's name.
    pub upstream: Option<&'a str>,
    /// The endpoint that answered, or was tried last.
    pub endpoint: Option<&'a str>,
    /// From sending the request upstream to the response's head.
    pub upstream_time: Option<Duration>,
    /// How often the request was sent again.
    pub retries: u32,
    /// The method of a service that was called, where a request is a call.
    pub call: Option<&'a str>,
    /// The `User-Agent` field.
    pub user_agent: Option<&'a [u8]>,
    /// The `Referer` field.
    pub referer: Option<&'a [u8]>,
    /// What went wrong, if something did.
    pub fault: Option<&'a str>,
}

impl Entry<'_> {
    /// Appends the line with its newline.
    pub(super) fn encode(&self, date: &mut DateCache, output: &mut BytesMut) {
        let mut line = Line::begin(self.time, date, output);
        line.short("site", self.site);
        line.number("generation", self.generation);
        line.short("peer", self.peer);
        line.short("method", self.method);
        line.long("host", self.host);
        line.long("path", Some(self.path));
        line.short("protocol", self.protocol);
        line.number("status", self.status);
        line.number("request_bytes", self.request_bytes);
        line.number("response_bytes", self.response_bytes);
        line.number("duration_us", microseconds(self.duration));
        line.short("route", self.route);
        line.short("upstream", self.upstream);
        line.short("endpoint", self.endpoint);
        if let Some(time) = self.upstream_time {
            line.number("upstream_us", microseconds(time));
        }
        line.number("retries", self.retries);
        line.short("call", self.call);
        line.long("user_agent", self.user_agent);
        line.long("referer", self.referer);
        line.short("fault", self.fault);
        line.end();
    }
}

pub(super) fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

pub(super) struct Line<'a> {
    output: &'a mut BytesMut,
}

impl<'a> Line<'a> {
    pub(super) fn begin(time: SystemTime, date: &mut DateCache, output: &'a mut BytesMut) -> Self {
        output.extend_from_slice(b"{\"time\":\"");
        date.write(time, output);
        output.extend_from_slice(b"\"");
        Self { output }
    }

    pub(super) fn end(self) {
        self.output.extend_from_slice(b"}\n");
    }
}

impl Line<'_> {
    fn key(&mut self, key: &str) {
        self.output.extend_from_slice(b",\"");
        self.output.extend_from_slice(key.as_bytes());
        self.output.extend_from_slice(b"\":");
    }

    pub(super) fn number(&mut self, key: &str, value: impl itoa::Integer) {
        self.key(key);
        let mut digits = itoa::Buffer::new();
        self.output
            .extend_from_slice(digits.format(value).as_bytes());
    }

    pub(super) fn short<'a>(&mut self, key: &str, value: impl Into<Option<&'a str>>) {
        let value = value.into().map(str::as_bytes);
        self.text(key, value, SHORT_FIELD_BYTES_MAX);
    }

    fn long(&mut self, key: &str, value: Option<&[u8]>) {
        self.text(key, value, LONG_FIELD_BYTES_MAX);
    }

    fn text(&mut self, key: &str, value: Option<&[u8]>, bytes_max: usize) {
        let Some(value) = value else {
            return;
        };
        self.key(key);
        self.output.put_u8(b'"');
        let kept = cut(value, bytes_max);
        escape(kept, self.output);
        if kept.len() < value.len() {
            self.output.extend_from_slice("…".as_bytes());
        }
        self.output.put_u8(b'"');
    }
}

/// The first `bytes_max` bytes of `text`, less a character that would be split.
fn cut(text: &[u8], bytes_max: usize) -> &[u8] {
    if text.len() <= bytes_max {
        return text;
    }
    let is_continuation = |byte: u8| byte & 0b1100_0000 == 0b1000_0000;
    let mut end = bytes_max;
    while end > bytes_max.saturating_sub(3) && is_continuation(text[end]) {
        end -= 1;
    }
    &text[..end]
}

fn escape(text: &[u8], output: &mut BytesMut) {
    if text.is_ascii() {
        return escape_valid(text, output);
    }
    for chunk in text.utf8_chunks() {
        escape_valid(chunk.valid().as_bytes(), output);
        if !chunk.invalid().is_empty() {
            output.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
}

/// Copies runs that need no escape whole. DEL is legal JSON, but no terminal's friend.
fn escape_valid(text: &[u8], output: &mut BytesMut) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut copied = 0;
    for (at, &byte) in text.iter().enumerate() {
        if byte >= b' ' && !matches!(byte, b'"' | b'\\' | 0x7f) {
            continue;
        }
        output.extend_from_slice(&text[copied..at]);
        copied = at + 1;
        match byte {
            b'"' | b'\\' => output.extend_from_slice(&[b'\\', byte]),
            b'\n' => output.extend_from_slice(b"\\n"),
            b'\r' => output.extend_from_slice(b"\\r"),
            b'\t' => output.extend_from_slice(b"\\t"),
            _ => {
                output.extend_from_slice(b"\\u00");
                output.put_u8(DIGITS[usize::from(byte >> 4)]);
                output.put_u8(DIGITS[usize::from(byte & 15)]);
            }
        }
    }
    output.extend_from_slice(&text[copied..]);
}

//! The lines of a head, once the scanner has found its end. Called by the head
//! parsers and the trailer parser.
//!
//! The scanner lets `\r` and `\n` stand nowhere but at the end of a line, so a
//! line is what comes before the next `\r`. Methods and targets are validated where
//! they get their types; names and values are here.

use std::slice;

use memchr::memchr;

use super::ParseError;
use super::framing::Minor;
use super::scan::{LINE_END, LineEnds, Text};
use crate::headers::{Place, Spelling};

/// The longest name, as in the `http` crate.
const NAME_BYTES_MAX: usize = u16::MAX as usize;

/// The parts of a request line (RFC 9112 section 3).
#[derive(Debug)]
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a [u8],
    pub(super) target: &'a [u8],
    pub(super) minor: Minor,
    pub(super) fields: FieldLines<'a>,
}

/// The parts of a status line that mean something (RFC 9112 section 4).
#[derive(Debug)]
pub(super) struct StatusLine<'a> {
    pub(super) code: &'a [u8],
    pub(super) minor: Minor,
    pub(super) fields: FieldLines<'a>,
}

/// Field lines up to the empty line (RFC 9112 section 5).
#[derive(Clone, Debug)]
pub(super) struct FieldLines<'a> {
    lines: Lines<'a>,
    /// How many more there may be.
    left: usize,
    /// What they are made of.
    text: Text,
}

/// Lines of any kind.
#[derive(Clone, Debug)]
struct Lines<'a> {
    block: &'a [u8],
    /// Where the next one begins.
    at: usize,
    /// Where the first ones end.
    ends: slice::Iter<'a, u32>,
}

impl<'a> Lines<'a> {
    fn of(block: &'a [u8], ends: &'a [u32]) -> Self {
        Self {
            block,
            at: 0,
            ends: ends.iter(),
        }
    }

    /// The next line, without its end; empty behind the last.
    #[inline]
    fn next(&mut self) -> &'a [u8] {
        let rest = self.block.get(self.at..).unwrap_or(&[]);
        let length = match self.ends.next() {
            Some(&end) => end as usize - self.at,
            None => memchr(b'\r', rest).unwrap_or(rest.len()),
        };
        self.at += length + LINE_END;
        &rest[..length]
    }
}

/// One field line: everything before the colon, and after it without the white
/// space around.
#[derive(Clone, Copy, Debug)]
pub(super) struct FieldLine<'a> {
    pub(super) name: &'a [u8],
    pub(super) value: &'a [u8],
    /// Where the two stand in the block.
    pub(super) place: Place,
}

impl<'a> RequestLine<'a> {
    /// Takes a head apart, of which the scan has found `ends`; at most `count_max` of its
    /// fields will be read.
    pub(super) fn of(
        head: &'a [u8],
        ends: &'a LineEnds,
        count_max: usize,
    ) -> Result<Self, ParseError> {
        let mut fields = FieldLines::of(head, ends, count_max);
        let line = fields.lines.next();
        let minor = match line.last_chunk() {
            Some(b" HTTP/1.1") => Minor::Http11,
            Some(b" HTTP/1.0") => Minor::Http10,
            _ => return Err(refused_version(line)),
        };
        let line = &line[..line.len() - b" HTTP/1.x".len()];
        let method_end = memchr(b' ', line).ok_or(ParseError::RequestLine)?;
        Ok(Self {
            method: &line[..method_end],
            target: &line[method_end + 1..],
            minor,
            fields,
        })
    }

    /// A target that is empty or holds a space means that the line has other
    /// than three words.
    #[cold]
    pub(super) fn refused_target(&self, error: ParseError) -> ParseError {
        if self.target.is_empty() || self.target.contains(&b' ') {
            return ParseError::RequestLine;
        }
        error
    }
}

impl<'a> StatusLine<'a> {
    /// Takes a head apart, of which the scan has found `ends`; at most `count_max` of its
    /// fields will be read.
    pub(super) fn of(
        head: &'a [u8],
        ends: &'a LineEnds,
        count_max: usize,
    ) -> Result<Self, ParseError> {
        let mut fields = FieldLines::of(head, ends, count_max);
        let line = fields.lines.next();
        let (version, rest) = line.split_first_chunk().ok_or(ParseError::StatusLine)?;
        let minor = match version {
            b"HTTP/1.1" => Minor::Http11,
            b"HTTP/1.0" => Minor::Http10,
            _ => return Err(ParseError::Version),
        };
        match rest {
            [b' ', code @ ..] if code.len() == 3 => Ok(Self {
                code,
                minor,
                fields,
            }),
            [b' ', _, _, _, b' ', reason @ ..] if reason.iter().all(|&byte| is_text(byte)) => {
                Ok(Self {
                    code: &rest[1..4],
                    minor,
                    fields,
                })
            }
            _ => Err(ParseError::StatusLine),
        }
    }
}

impl<'a> FieldLines<'a> {
    /// The lines of a section, of which the scan has found `ends`; at most `count_max` of
    /// them will be read.
    pub(super) fn of(section: &'a [u8], ends: &'a LineEnds, count_max: usize) -> Self {
        Self {
            lines: Lines::of(section, ends.offsets()),
            left: count_max,
            text: ends.text(),
        }
    }

    /// The next line, or `None` after the last.
    ///
    /// # Errors
    ///
    /// A line without a name and a colon behind it, with something in its value that may
    /// not be there, or one too many. A line that continues the one before it
    /// (`obs-fold`) has a name that begins with white space, which no name does.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Result<Option<FieldLine<'a>>, ParseError> {
        let start = self.lines.at;
        let line = self.lines.next();
        if line.is_empty() {
            return Ok(None);
        }
        self.left = self.left.checked_sub(1).ok_or(ParseError::TooManyHeaders)?;
        let colon = name_length(line).ok_or(ParseError::HeaderName)?;
        let (value, leading) = trimmed(&line[colon + 1..]);
        if self.text == Text::Doubtful && !value.iter().all(|&byte| is_text(byte)) {
            return Err(ParseError::HeaderValue);
        }
        let value_start = colon + 1 + leading;
        let value_end = value_start + value.len();
        let is_plain = leading == 1 && line[colon + 1] == b' ' && value_end == line.len();
        Ok(Some(FieldLine {
            name: &line[..colon],
            value,
            place: Place {
                start,
                name_end: start + colon,
                value_start: start + value_start,
                value_end: start + value_end,
                spelling: match is_plain {
                    true => Spelling::Plain,
                    false => Spelling::Loose,
                },
            },
        }))
    }
}

/// The length of the token before the colon (RFC 9110 section 5.1), if it is one.
#[inline]
fn name_length(line: &[u8]) -> Option<usize> {
    let length = line.iter().position(|&byte| !is_in_token(byte))?;
    (line[length] == b':' && (1..=NAME_BYTES_MAX).contains(&length)).then_some(length)
}

/// RFC 9110 section 5.6.2.
#[inline]
const fn is_in_token(byte: u8) -> bool {
    const TOKEN: [bool; 256] = {
        let mut table = [false; 256];
        let mut byte = 0;
        while byte < 128 {
            let it = byte as u8;
            table[byte] = it.is_ascii_alphanumeric()
                || matches!(
                    it,
                    b'!' | b'#'
                        | b'$'
                        | b'%'
                        | b'&'
                        | b'\''
                        | b'*'
                        | b'+'
                        | b'-'
                        | b'.'
                        | b'^'
                        | b'_'
                        | b'`'
                        | b'|'
                        | b'~'
                );
            byte += 1;
        }
        table
    };
    TOKEN[byte as usize]
}

/// RFC 9110 section 5.5: white space around a value is no part of it. Also says how much
/// stood before it.
#[inline]
const fn trimmed(text: &[u8]) -> (&[u8], usize) {
    // As almost everybody writes it.
    if let [b' ', value @ ..] = text
        && let [first, .., last] = value
        && *first > b' '
        && *last > b' '
    {
        return (value, 1);
    }
    let mut value = text;
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    let leading = text.len() - value.len();
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    (value, leading)
}

/// What a value (RFC 9110 section 5.5) and a reason phrase (RFC 9112 section 4) are made of.
const fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

/// Only a well-formed request line with a well-formed version is answered with
/// `505`; anything else there is a malformed line.
#[cold]
fn refused_version(line: &[u8]) -> ParseError {
    let mut words = line.split(|&byte| byte == b' ');
    let method = words.next().map(http::Method::from_bytes);
    match (method, words.next(), words.next(), words.next()) {
        (
            Some(Ok(_)),
            Some([_, ..]),
            Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]),
            None,
        ) if major.is_ascii_digit() && minor.is_ascii_digit() => ParseError::Version,
        _ => ParseError::RequestLine,
    }
}

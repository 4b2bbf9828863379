//! Chunk-size lines and chunk ends (RFC 9112 section 7.1). Called by the body
//! decoder. Extensions are checked, counted and dropped (section 7.1.1).

use super::{Limits, ParseError};

/// Hexadecimal digits of a chunk size, leading zeros included: 64 bits.
const SIZE_DIGITS_MAX: usize = 16;

/// Reads chunk-size lines and keeps account of their extensions.
#[derive(Debug)]
pub(super) struct ChunkLines {
    /// Extension bytes of the current line already checked.
    extension_checked: usize,
    /// Extension bytes all further lines may have together.
    extension_left: usize,
    extension_line_max: usize,
}

/// A whole chunk-size line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkLine {
    /// Bytes of the line with its end.
    pub(super) length: usize,
    /// Bytes of chunk data announced.
    pub(super) size: u64,
}

impl ChunkLines {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self {
            extension_checked: 0,
            extension_left: limits.chunk_extension_bytes,
            extension_line_max: limits.chunk_line_bytes,
        }
    }

    /// The line at the start of `bytes`, or `None` while it is not whole.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<Option<ChunkLine>, ParseError> {
        let mut size = 0_u64;
        let mut digits = 0;
        while let Some(digit) = bytes.get(digits).and_then(|&byte| hex_digit(byte)) {
            if digits == SIZE_DIGITS_MAX {
                return Err(ParseError::ChunkSize);
            }
            size = size << 4 | u64::from(digit);
            digits += 1;
        }
        let end = match bytes.get(digits) {
            None => return Ok(None),
            Some(_) if digits == 0 => return Err(ParseError::ChunkSize),
            Some(b';') => match self.extension(&bytes[digits..])? {
                None => return Ok(None),
                Some(length) => digits + length,
            },
            Some(b'\r' | b'\n') => digits,
            Some(_) => return Err(ParseError::ChunkSize),
        };
        let Some(length) = line_end(&bytes[end..], ParseError::ChunkSize)? else {
            return Ok(None);
        };
        self.extension_checked = 0;
        self.extension_left -= end - digits;
        Ok(Some(ChunkLine {
            length: end + length,
            size,
        }))
    }

    /// The length of the extensions, which start with a semicolon.
    fn extension(&mut self, bytes: &[u8]) -> Result<Option<usize>, ParseError> {
        let limit = self.extension_left.min(self.extension_line_max);
        for (index, &byte) in bytes.iter().enumerate().skip(self.extension_checked) {
            match byte {
                b'\r' | b'\n' => {
                    self.extension_checked = index;
                    return Ok(Some(index));
                }
                _ if index >= limit => return Err(ParseError::ChunkExtensionTooLarge),
                b'\t' | b' '..=b'~' | 0x80.. => {}
                _ => return Err(ParseError::ChunkExtension),
            }
        }
        self.extension_checked = bytes.len();
        Ok(None)
    }
}

/// The length of the CRLF that `bytes` must start with, or `None` while it is
/// not whole; `other` is what anything else there means.
pub(super) fn line_end(bytes: &[u8], other: ParseError) -> Result<Option<usize>, ParseError> {
    match bytes {
        [] | [b'\r'] => Ok(None),
        [b'\r', b'\n', ..] => Ok(Some(2)),
        [b'\r', ..] => Err(ParseError::BareCarriageReturn),
        [b'\n', ..] => Err(ParseError::BareLineFeed),
        _ => Err(other),
    }
}

const fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

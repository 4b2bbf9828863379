//! UTF-8 encoded strings (MQTT 5.0 section 1.5.4), validated once when they arrive.

use std::fmt;

use bytes::Bytes;
use bytestring::ByteString;

/// A string of at most 65,535 bytes without U+0000, sliced from where it arrived.
///
/// Cloning it copies no bytes.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(ByteString);

/// Why bytes are no MQTT string.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Not well-formed UTF-8, surrogates included (MQTT-1.5.4-1).
    #[error("a string is not well-formed UTF-8")]
    NotUtf8,
    /// It contains U+0000 (MQTT-1.5.4-2).
    #[error("a string contains U+0000")]
    Null,
    /// More bytes than two bytes of length can say.
    #[error("a string is longer than 65,535 bytes")]
    TooLong,
}

impl Text {
    /// Checks the bytes and keeps them.
    ///
    /// # Errors
    ///
    /// When they are not well-formed, contain U+0000, or are too many.
    pub fn new(bytes: Bytes) -> Result<Self, TextError> {
        if bytes.len() > usize::from(u16::MAX) {
            return Err(TextError::TooLong);
        }
        if has_null(&bytes) {
            return Err(TextError::Null);
        }
        match ByteString::try_from(bytes) {
            Ok(text) => Ok(Self(text)),
            Err(_) => Err(TextError::NotUtf8),
        }
    }

    /// A copy of `text`.
    ///
    /// # Errors
    ///
    /// When it contains U+0000 or is too long.
    pub fn copy_from(text: &str) -> Result<Self, TextError> {
        check(text.as_bytes())?;
        Ok(Self(ByteString::from(text)))
    }

    /// As a string.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its UTF-8.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Its UTF-8, shared.
    #[must_use]
    pub fn into_bytes(self) -> Bytes {
        self.0.into_bytes()
    }

    /// The same text in memory of its own, so that it no longer holds the buffer it
    /// arrived in.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(ByteString::from(&*self.0))
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Whether the bytes are an MQTT string.
pub(super) fn check(bytes: &[u8]) -> Result<(), TextError> {
    if bytes.len() > usize::from(u16::MAX) {
        return Err(TextError::TooLong);
    }
    if has_null(bytes) {
        return Err(TextError::Null);
    }
    match str::from_utf8(bytes) {
        Ok(_) => Ok(()),
        Err(_) => Err(TextError::NotUtf8),
    }
}

/// Whether U+0000 is among the bytes. No early end: this loop vectorises.
fn has_null(bytes: &[u8]) -> bool {
    bytes.iter().fold(false, |found, &byte| found | (byte == 0))
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl TryFrom<&str> for Text {
    type Error = TextError;

    fn try_from(text: &str) -> Result<Self, TextError> {
        Self::copy_from(text)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn surrogates_nulls_and_overlong_forms_are_refused() {
        let error = |bytes: &'static [u8]| Text::new(Bytes::from_static(bytes)).unwrap_err();
        assert_eq!(error(b"\xed\xa0\x80"), TextError::NotUtf8);
        assert_eq!(error(b"\xc0\x80"), TextError::NotUtf8);
        assert_eq!(error(b"a\xff"), TextError::NotUtf8);
        assert_eq!(error(b"a\0b"), TextError::Null);
        assert_eq!(
            Text::copy_from(&"a".repeat(65_536)).unwrap_err(),
            TextError::TooLong
        );
    }

    #[test]
    fn a_byte_order_mark_and_the_last_ascii_character_are_kept() {
        let text = Text::new(Bytes::from_static(b"\xef\xbb\xbf\x7f\xf0\x9f\x8c\x8a")).unwrap();
        assert_eq!(text.as_str(), "\u{feff}\u{7f}\u{1f30a}");
    }
}

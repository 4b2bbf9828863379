//! Reads the fields of one whole packet, in their order.

use bytes::Bytes;

use super::error::DecodeError;
use super::packet::PacketIdentifier;
use super::text::{self, Text};
use super::topic::{TopicFilter, TopicName};

/// What is left of a packet, or of its properties.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    packet: &'a Bytes,
    at: usize,
    end: usize,
}

impl<'a> Fields<'a> {
    /// All of `packet` from `at` on.
    pub(super) fn new(packet: &'a Bytes, at: usize) -> Self {
        Self {
            packet,
            at,
            end: packet.len(),
        }
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.end
    }

    pub(super) fn left(&self) -> usize {
        self.end - self.at
    }

    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn between(&self, start: usize, end: usize) -> &'a [u8] {
        &self.packet[start..end]
    }

    pub(super) fn slice(&self, start: usize, end: usize) -> Bytes {
        self.packet.slice(start..end)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.packet[self.at..self.end]
            .get(..length)
            .ok_or(DecodeError::Truncated)?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.packet[self.at..self.end]
            .first_chunk()
            .ok_or(DecodeError::Truncated)?;
        self.at += N;
        Ok(*taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn two_bytes(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn four_bytes(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn packet_identifier(&mut self) -> Result<PacketIdentifier, DecodeError> {
        PacketIdentifier::new(self.two_bytes()?).ok_or(DecodeError::PacketIdentifier)
    }

    /// At most 268,435,455, in as few bytes as it needs (section 1.5.5).
    pub(super) fn variable(&mut self) -> Result<u32, DecodeError> {
        match variable(&self.packet[self.at..self.end])? {
            Some((value, bytes)) => {
                self.at += bytes;
                Ok(value)
            }
            None => Err(DecodeError::Truncated),
        }
    }

    /// Binary data (section 1.5.6), not copied.
    pub(super) fn binary(&mut self) -> Result<Bytes, DecodeError> {
        let length = self.two_bytes()?;
        let start = self.at;
        self.take(usize::from(length))?;
        Ok(self.slice(start, self.at))
    }

    /// Binary data that need not be kept apart.
    pub(super) fn skip_binary(&mut self) -> Result<(), DecodeError> {
        let length = self.two_bytes()?;
        self.take(usize::from(length)).map(|_| ())
    }

    pub(super) fn text(&mut self) -> Result<Text, DecodeError> {
        Ok(Text::new(self.binary()?)?)
    }

    /// A text that need not be kept apart.
    pub(super) fn skip_text(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.two_bytes()?;
        let bytes = self.take(usize::from(length))?;
        text::check(bytes)?;
        Ok(bytes)
    }

    pub(super) fn skip_text_pair(&mut self) -> Result<(), DecodeError> {
        self.skip_text()?;
        self.skip_text()?;
        Ok(())
    }

    pub(super) fn topic_name(&mut self) -> Result<TopicName, DecodeError> {
        TopicName::new(self.binary()?).map_err(DecodeError::TopicName)
    }

    pub(super) fn topic_filter(&mut self) -> Result<TopicFilter, DecodeError> {
        TopicFilter::new(self.binary()?).map_err(DecodeError::TopicFilter)
    }

    /// The properties that start here; what follows them is left.
    pub(super) fn properties(&mut self) -> Result<Self, DecodeError> {
        let length = self.variable()? as usize;
        let start = self.at;
        self.take(length)?;
        Ok(Self {
            packet: self.packet,
            at: start,
            end: self.at,
        })
    }
}

/// A variable byte integer at the start of `bytes` and its length; none if it goes on.
pub(super) fn variable(bytes: &[u8]) -> Result<Option<(u32, usize)>, DecodeError> {
    let mut value = 0;
    for (index, &byte) in bytes.iter().take(4).enumerate() {
        value |= u32::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            if byte == 0 && index > 0 {
                return Err(DecodeError::VariableByteInteger);
            }
            return Ok(Some((value, index + 1)));
        }
    }
    if bytes.len() >= 4 {
        return Err(DecodeError::VariableByteInteger);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_byte_integers_take_as_few_bytes_as_they_need() {
        assert_eq!(variable(&[0x7f]), Ok(Some((127, 1))));
        assert_eq!(variable(&[0x80, 0x01]), Ok(Some((128, 2))));
        assert_eq!(
            variable(&[0xff, 0xff, 0xff, 0x7f, 0]),
            Ok(Some((268_435_455, 4)))
        );
        assert_eq!(variable(&[0xff, 0xff, 0xff]), Ok(None));
        for wrong in [
            &[0x80, 0x00][..],
            &[0xff, 0x80, 0x00],
            &[0xff; 4],
            &[0x80; 5],
        ] {
            assert_eq!(variable(wrong), Err(DecodeError::VariableByteInteger));
        }
    }
}

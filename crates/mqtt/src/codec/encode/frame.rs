//! Lengths before what they measure, and the single fields.

use bytes::{BufMut, BytesMut};

use super::{EncodeError, REMAINING_BYTES_MAX};
use crate::codec::property::Property;
use crate::codec::text::Text;

/// The bytes that a variable byte integer takes.
pub(super) const fn variable_bytes(value: usize) -> usize {
    match value {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        _ => 4,
    }
}

/// Appends a variable byte integer of at most 268,435,455.
pub(super) fn put_variable(out: &mut BytesMut, mut value: usize) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Appends a packet: `first`, the length of what `body` writes, and that.
pub(super) fn framed(
    out: &mut BytesMut,
    first: u8,
    packet_bytes_max: u32,
    body: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let start = out.len();
    out.put_u8(first);
    measured(out, body)?;
    if out.len() - start > packet_bytes_max as usize {
        return Err(EncodeError::PacketTooLarge);
    }
    Ok(())
}

/// Appends properties with their length (section 2.2.2.1).
pub(super) fn put_properties(
    out: &mut BytesMut,
    properties: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    measured(out, properties)
}

/// Appends what `content` writes behind its length. Nearly always the length takes the one
/// byte that is left for it; otherwise the content is moved.
fn measured(
    out: &mut BytesMut,
    content: impl FnOnce(&mut BytesMut) -> Result<(), EncodeError>,
) -> Result<(), EncodeError> {
    let length_at = out.len();
    out.put_u8(0);
    content(out)?;
    let length = out.len() - length_at - 1;
    if length > REMAINING_BYTES_MAX as usize {
        return Err(EncodeError::PacketTooLarge);
    }
    let more = variable_bytes(length) - 1;
    if more > 0 {
        out.put_bytes(0, more);
        out.copy_within(length_at + 1..length_at + 1 + length, length_at + 1 + more);
    }
    let mut left = length;
    for byte in &mut out[length_at..=length_at + more] {
        *byte = left as u8 | 0x80;
        left >>= 7;
    }
    out[length_at + more] &= 0x7f;
    Ok(())
}

/// Appends binary data with its length.
pub(super) fn put_binary(out: &mut BytesMut, data: &[u8]) -> Result<(), EncodeError> {
    let length = u16::try_from(data.len()).map_err(|_| EncodeError::BinaryTooLong)?;
    out.put_u16(length);
    out.put_slice(data);
    Ok(())
}

/// Single properties, each with its identifier, if it has a value.
pub(super) trait PutProperty {
    fn put_flag_property(&mut self, property: Property, value: Option<bool>);
    fn put_two_byte_property(&mut self, property: Property, value: Option<u16>);
    fn put_four_byte_property(&mut self, property: Property, value: Option<u32>);
    fn put_text_property(
        &mut self,
        property: Property,
        value: Option<&Text>,
    ) -> Result<(), EncodeError>;
    fn put_binary_property(
        &mut self,
        property: Property,
        value: Option<&[u8]>,
    ) -> Result<(), EncodeError>;
}

impl PutProperty for BytesMut {
    fn put_flag_property(&mut self, property: Property, value: Option<bool>) {
        if let Some(value) = value {
            self.put_slice(&[property.to_byte(), u8::from(value)]);
        }
    }

    fn put_two_byte_property(&mut self, property: Property, value: Option<u16>) {
        if let Some(value) = value {
            self.put_u8(property.to_byte());
            self.put_u16(value);
        }
    }

    fn put_four_byte_property(&mut self, property: Property, value: Option<u32>) {
        if let Some(value) = value {
            self.put_u8(property.to_byte());
            self.put_u32(value);
        }
    }

    fn put_text_property(
        &mut self,
        property: Property,
        value: Option<&Text>,
    ) -> Result<(), EncodeError> {
        self.put_binary_property(property, value.map(Text::as_bytes))
    }

    fn put_binary_property(
        &mut self,
        property: Property,
        value: Option<&[u8]>,
    ) -> Result<(), EncodeError> {
        match value {
            Some(value) => {
                self.put_u8(property.to_byte());
                put_binary(self, value)
            }
            None => Ok(()),
        }
    }
}

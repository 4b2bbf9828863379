//! User properties (MQTT 5.0 section 2.2.2.2, property 0x26): pairs of texts in an
//! order that is kept (MQTT-3.1.3-10), held as they are on the wire.

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use super::text::Text;

/// The property identifier before each pair.
pub(super) const USER_PROPERTY: u8 = 0x26;

/// Pairs of texts. Cloning copies no bytes.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UserProperties(Bytes);

impl UserProperties {
    /// None.
    #[must_use]
    pub const fn new() -> Self {
        Self(Bytes::new())
    }

    /// From their encoding, which the caller has checked.
    pub(super) const fn from_encoded(encoded: Bytes) -> Self {
        Self(encoded)
    }

    /// From pairs.
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a Text, &'a Text)>) -> Self {
        let mut encoded = BytesMut::new();
        for (name, value) in pairs {
            encoded.put_u8(USER_PROPERTY);
            put_text(&mut encoded, name.as_bytes());
            put_text(&mut encoded, value.as_bytes());
        }
        Self(encoded.freeze())
    }

    /// The pairs, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut rest = &self.0[..];
        std::iter::from_fn(move || {
            rest = rest.strip_prefix(&[USER_PROPERTY])?;
            let name = take_text(&mut rest);
            let value = take_text(&mut rest);
            Some((name, value))
        })
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As they are on the wire, each with its identifier.
    #[must_use]
    pub fn as_encoded(&self) -> &[u8] {
        &self.0
    }

    /// The same in memory of their own.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

impl fmt::Debug for UserProperties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Appends a text of at most 65,535 bytes with its length.
pub(super) fn put_text(out: &mut BytesMut, text: &[u8]) {
    out.put_u16(u16::try_from(text.len()).expect("a text has at most 65,535 bytes"));
    out.put_slice(text);
}

/// Takes a checked text off bytes that are known to hold it.
pub(super) fn take_text<'a>(rest: &mut &'a [u8]) -> &'a str {
    str::from_utf8(take_field(rest)).expect("checked when it was decoded")
}

/// Takes a field with two bytes of length off bytes that are known to hold it.
pub(super) fn take_field<'a>(rest: &mut &'a [u8]) -> &'a [u8] {
    let (length, after) = rest
        .split_first_chunk::<2>()
        .expect("checked when it was decoded");
    let (field, after) = after.split_at(usize::from(u16::from_be_bytes(*length)));
    *rest = after;
    field
}

//! The fields of a record, written and read: big-endian numbers, and bytes behind their
//! length.

use bytes::Bytes;

use crate::broker::time::Moment;

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The bytes are not those that were written.
    #[error("the checksum is wrong")]
    Checksum,
    /// Written by a version of the program that writes records otherwise.
    #[error("an unknown format {0}")]
    Format(u8),
    /// It ends within a field.
    #[error("a record that is too short")]
    Short,
    /// Something follows its last field.
    #[error("a record that is too long")]
    Long,
    /// A key of no table.
    #[error("an unknown table {0}")]
    Table(u8),
    /// A field has a value that it cannot have.
    #[error("an impossible {0}")]
    Value(&'static str),
}

pub(super) fn put_u64(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub(super) fn put_u32(out: &mut Vec<u8>, number: u32) {
    out.extend_from_slice(&number.to_be_bytes());
}

pub(super) fn put_u16(out: &mut Vec<u8>, number: u16) {
    out.extend_from_slice(&number.to_be_bytes());
}

/// Bytes with their length before them.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).expect("no field is longer than a packet");
    put_u32(out, length);
    out.extend_from_slice(bytes);
}

/// A value that may be missing.
pub(super) fn put_option<T>(out: &mut Vec<u8>, value: Option<T>, put: impl Fn(&mut Vec<u8>, T)) {
    out.push(u8::from(value.is_some()));
    if let Some(value) = value {
        put(out, value);
    }
}

pub(super) fn put_moment(out: &mut Vec<u8>, moment: Moment) {
    put_u64(out, moment.as_millis());
}

/// What is left of a record.
pub(super) struct Fields(Bytes);

impl Fields {
    pub(super) fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<Bytes, RecordError> {
        match length <= self.0.len() {
            true => Ok(self.0.split_to(length)),
            false => Err(RecordError::Short),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let array = self.0.first_chunk().copied().ok_or(RecordError::Short)?;
        self.take(N)?;
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, RecordError> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, RecordError> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, RecordError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, RecordError> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn bytes(&mut self) -> Result<Bytes, RecordError> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    pub(super) fn text(&mut self) -> Result<Box<str>, RecordError> {
        let bytes = self.bytes()?;
        let text = str::from_utf8(&bytes).map_err(|_| RecordError::Value("text"))?;
        Ok(text.into())
    }

    pub(super) fn moment(&mut self) -> Result<Moment, RecordError> {
        self.u64().map(Moment::from_millis)
    }

    pub(super) fn flag(&mut self) -> Result<bool, RecordError> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(RecordError::Value("flag")),
        }
    }

    pub(super) fn option<T>(
        &mut self,
        read: impl Fn(&mut Self) -> Result<T, RecordError>,
    ) -> Result<Option<T>, RecordError> {
        match self.flag()? {
            true => read(self).map(Some),
            false => Ok(None),
        }
    }

    pub(super) fn rest(&mut self) -> Bytes {
        self.0.split_off(0)
    }

    /// Nothing may be left.
    pub(super) fn end(&self) -> Result<(), RecordError> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(RecordError::Long),
        }
    }
}

//! Reading forward through bytes that may not all be there yet.

use super::error::DecodeError;

/// Why reading stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes end before the value does.
    Short,
    /// The bytes are wrong.
    Bad(DecodeError),
}

impl From<DecodeError> for Stop {
    fn from(error: DecodeError) -> Self {
        Self::Bad(error)
    }
}

/// What is read, or why not.
pub(super) type Read<T> = Result<T, Stop>;

/// The same for bytes that are all there: what is missing now will never come.
pub(super) fn whole<T>(read: Read<T>) -> Result<T, DecodeError> {
    read.map_err(|stop| match stop {
        Stop::Short => DecodeError::Truncated,
        Stop::Bad(error) => error,
    })
}

/// A place in a slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn at(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where it is. May be beyond the end after [`Self::skip`].
    pub(super) const fn position(&self) -> usize {
        self.at
    }

    pub(super) const fn skip(&mut self, count: usize) {
        self.at = self.at.saturating_add(count);
    }

    #[inline]
    pub(super) fn take(&mut self, count: usize) -> Read<&'a [u8]> {
        let end = self.at.checked_add(count).ok_or(Stop::Short)?;
        let taken = self.bytes.get(self.at..end).ok_or(Stop::Short)?;
        self.at = end;
        Ok(taken)
    }

    #[inline]
    pub(super) fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let rest = self.bytes.get(self.at..).ok_or(Stop::Short)?;
        let array = rest.first_chunk().ok_or(Stop::Short)?;
        self.at += N;
        Ok(*array)
    }

    #[inline]
    pub(super) fn u8(&mut self) -> Read<u8> {
        self.array().map(|[byte]| byte)
    }

    #[inline]
    pub(super) fn u16(&mut self) -> Read<u16> {
        self.array().map(u16::from_be_bytes)
    }

    /// A length or count of the binary protocol: an `i32` that is not negative.
    pub(super) fn length(&mut self) -> Read<usize> {
        let length = i32::from_be_bytes(self.array()?);
        usize::try_from(length).map_err(|_| Stop::Bad(DecodeError::NegativeLength))
    }

    /// An unsigned integer of seven bits a byte, lowest first, of at most `bits` bits
    /// (compact protocol, "ULEB128").
    #[inline]
    pub(super) fn variable(&mut self, bits: u32) -> Read<u64> {
        let mut value = 0;
        let mut shift = 0;
        loop {
            let byte = self.u8()?;
            let part = u64::from(byte & 0x7f);
            let room = bits - shift;
            if room < 7 && part >> room != 0 {
                return Err(DecodeError::VariableLength.into());
            }
            value |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
            shift += 7;
            if shift >= bits {
                return Err(DecodeError::VariableLength.into());
            }
        }
    }

    /// A length or count of the compact protocol.
    pub(super) fn variable_length(&mut self) -> Read<usize> {
        // It is an `i32` by its type, and writers never send a negative one.
        let length = self.variable(32)?;
        match i32::try_from(length) {
            Ok(length) => Ok(length as usize),
            Err(_) => Err(DecodeError::NegativeLength.into()),
        }
    }
}

/// A signed integer from its zigzag form: small magnitudes are small.
#[inline]
pub(super) const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// A signed integer in its zigzag form.
#[inline]
pub(super) const fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn integers_longer_than_their_type_are_refused() {
        let read = |bytes: &[u8], bits| Cursor::at(bytes, 0).variable(bits);
        assert_eq!(read(b"\xff\xff\xff\xff\x0f", 32), Ok(u64::from(u32::MAX)));
        let refused = Err(Stop::Bad(DecodeError::VariableLength));
        assert_eq!(read(b"\xff\xff\xff\xff\x1f", 32), refused);
        assert_eq!(read(b"\xff\xff\xff\xff\x8f\0", 32), refused);
        assert_eq!(read(b"\x80", 32), Err(Stop::Short));
    }

    #[test]
    fn zigzag_is_undone_at_the_ends_of_the_range() {
        for value in [0, -1, 1, i64::MAX, i64::MIN] {
            assert_eq!(unzigzag(zigzag(value)), value);
        }
        assert_eq!(zigzag(-1), 1);
    }
}

//! The types that values name themselves by.

use super::error::DecodeError;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueType {
    Bool,
    Byte,
    Int16,
    Int32,
    Int64,
    Double,
    /// A text or bytes: the wire does not tell.
    Text,
    Struct,
    Map,
    Set,
    List,
    Uuid,
}

impl ValueType {
    /// From the binary protocol.
    #[inline]
    pub(super) const fn from_binary(code: u8) -> Result<Self, DecodeError> {
        Ok(match code {
            2 => Self::Bool,
            3 => Self::Byte,
            4 => Self::Double,
            6 => Self::Int16,
            8 => Self::Int32,
            10 => Self::Int64,
            11 => Self::Text,
            12 => Self::Struct,
            13 => Self::Map,
            14 => Self::Set,
            15 => Self::List,
            16 => Self::Uuid,
            _ => return Err(DecodeError::ValueType(code)),
        })
    }

    /// For the binary protocol.
    #[inline]
    pub(super) const fn binary(self) -> u8 {
        match self {
            Self::Bool => 2,
            Self::Byte => 3,
            Self::Double => 4,
            Self::Int16 => 6,
            Self::Int32 => 8,
            Self::Int64 => 10,
            Self::Text => 11,
            Self::Struct => 12,
            Self::Map => 13,
            Self::Set => 14,
            Self::List => 15,
            Self::Uuid => 16,
        }
    }

    /// From the compact protocol. Both truth values are types of their own there.
    #[inline]
    pub(super) const fn from_compact(code: u8) -> Result<Self, DecodeError> {
        Ok(match code {
            1 | 2 => Self::Bool,
            3 => Self::Byte,
            4 => Self::Int16,
            5 => Self::Int32,
            6 => Self::Int64,
            7 => Self::Double,
            8 => Self::Text,
            9 => Self::List,
            10 => Self::Set,
            11 => Self::Map,
            12 => Self::Struct,
            13 => Self::Uuid,
            _ => return Err(DecodeError::ValueType(code)),
        })
    }

    /// For the compact protocol; a boolean as an element, which is what `true` is as a field.
    #[inline]
    pub(super) const fn compact(self) -> u8 {
        match self {
            Self::Bool => 1,
            Self::Byte => 3,
            Self::Int16 => 4,
            Self::Int32 => 5,
            Self::Int64 => 6,
            Self::Double => 7,
            Self::Text => 8,
            Self::List => 9,
            Self::Set => 10,
            Self::Map => 11,
            Self::Struct => 12,
            Self::Uuid => 13,
        }
    }

    /// The fewest bytes a value has in the binary protocol.
    pub(super) const fn binary_bytes_min(self) -> usize {
        match self {
            Self::Bool | Self::Byte | Self::Struct => 1,
            Self::Int16 => 2,
            Self::Int32 | Self::Text => 4,
            Self::Int64 | Self::Double => 8,
            Self::Map => 6,
            Self::Set | Self::List => 5,
            Self::Uuid => 16,
        }
    }

    /// The bytes of every value in the binary protocol, if all have as many.
    pub(super) const fn binary_bytes(self) -> Option<usize> {
        match self {
            Self::Text | Self::Struct | Self::Map | Self::Set | Self::List => None,
            fixed => Some(fixed.binary_bytes_min()),
        }
    }
}

//! One field, and the value of one, as they are looked at.

use std::fmt;

use http::HeaderValue;

use super::role::Role;

/// A field of a message.
#[derive(Clone, Copy)]
pub struct Field<'a> {
    name: &'a [u8],
    value: FieldValue<'a>,
    role: Role,
}

/// The value of a field, without the white space around it.
///
/// It holds no control character but the tab; beyond ASCII its bytes may be anything
/// (RFC 9110 section 5.5).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FieldValue<'a>(&'a [u8]);

impl<'a> Field<'a> {
    pub(super) const fn new(name: &'a [u8], value: &'a [u8], role: Role) -> Self {
        Self {
            name,
            value: FieldValue(value),
            role,
        }
    }

    /// The name, as it was spelt.
    pub fn name(self) -> &'a str {
        // A name is a token, and so ASCII.
        std::str::from_utf8(self.name).unwrap_or_default()
    }

    /// The part it plays on the way of the message.
    pub const fn role(self) -> Role {
        self.role
    }

    /// Whether this is the name, in whatever case.
    #[inline]
    pub fn is(self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value.
    pub const fn value(self) -> FieldValue<'a> {
        self.value
    }
}

impl PartialEq for Field<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(other.name) && self.value == other.value
    }
}

impl Eq for Field<'_> {}

impl fmt::Debug for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {:?}", self.name(), self.value)
    }
}

impl<'a> FieldValue<'a> {
    pub(super) const fn new(value: &'a [u8]) -> Self {
        Self(value)
    }

    /// Its bytes.
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The value as text, if it is UTF-8.
    pub fn to_str(self) -> Option<&'a str> {
        std::str::from_utf8(self.0).ok()
    }

    /// A copy that stands for itself.
    pub fn to_value(self) -> HeaderValue {
        // What may be in a value has been checked where it arrived.
        HeaderValue::from_bytes(self.0).unwrap_or(HeaderValue::from_static(""))
    }
}

impl PartialEq<str> for FieldValue<'_> {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<&str> for FieldValue<'_> {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}

impl PartialEq<HeaderValue> for FieldValue<'_> {
    fn eq(&self, other: &HeaderValue) -> bool {
        self.0 == other.as_bytes()
    }
}

/// As text; what is not UTF-8 is replaced.
impl fmt::Display for FieldValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.0))
    }
}

impl fmt::Debug for FieldValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

//! The header fields of one message: what handlers look into and change.
//!
//! Those a peer sent stay where they arrived, as places in the received head; those that
//! are set here are written behind one another, as they will be sent. Nothing is hashed,
//! and nothing is counted by reference but the head as a whole: a message has some ten
//! fields, and looking at each is the fastest way to find one. (In the gateway the work
//! of an `http::HeaderMap` was a quarter of what a request costs in user space.) A
//! conversion leads to [`http::HeaderMap`] and back, for libraries that speak it.

mod convert;
mod field;
mod lines;
mod pool;
mod role;
#[cfg(test)]
mod tests;

use std::borrow::Borrow;
use std::fmt;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue};

pub use self::field::{Field, FieldValue};
use self::lines::Lines;
pub(crate) use self::lines::{Place, Spelling};
pub use self::role::{Role, Roles};

/// The fields of a message, in their order. Names are kept as they were spelt, and
/// compared without regard to case (RFC 9110 section 5.1).
///
/// A field may occur several times; each is a line of its own. Looking for a name takes
/// time in proportion to the number of fields, which the limits of a server keep small.
///
/// ```
/// use http::HeaderValue;
/// use http::header::{ACCEPT, HOST};
/// use tidegate_http::Headers;
///
/// let mut headers = Headers::new();
/// headers.insert(HOST, HeaderValue::from_static("example.com"));
/// headers.append(ACCEPT, HeaderValue::from_static("text/html"));
/// headers.append(ACCEPT, HeaderValue::from_static("text/plain"));
///
/// assert!(headers.get("Host").is_some_and(|host| host == "example.com"));
/// assert_eq!(headers.get_all(ACCEPT).count(), 2);
/// assert!(headers.remove(HOST));
/// assert_eq!(headers.len(), 2);
/// ```
#[derive(Default)]
pub struct Headers {
    /// Taken from the worker's pool, and given back to it.
    lines: Option<Box<Lines>>,
}

impl Headers {
    /// No fields. Allocates nothing.
    pub const fn new() -> Self {
        Self { lines: None }
    }

    /// For fields that stand in `head`, none of which is told yet.
    pub(crate) fn received(head: Bytes) -> Self {
        let mut lines = pool::take();
        lines.receive(head);
        Self { lines: Some(lines) }
    }

    /// Tells where in the received head the next field stands.
    #[inline]
    pub(crate) fn push_received(&mut self, place: Place, role: Role) {
        if let Some(lines) = &mut self.lines {
            lines.push_received(place, role);
        }
    }

    /// Whether there may be a field with one of these roles: `false` is certain, and found
    /// without a look at the fields.
    #[inline]
    pub fn may_have(&self, roles: Roles) -> bool {
        let lines = self.lines.as_ref();
        lines.is_some_and(|lines| lines.roles().meets(roles))
    }

    /// How many fields there are.
    pub fn len(&self) -> usize {
        self.lines.as_ref().map_or(0, |lines| lines.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All fields, in their order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> + Clone {
        self.lines.iter().flat_map(|lines| lines.iter())
    }

    /// Whether there is a field called `name`.
    pub fn contains_key(&self, name: impl AsRef<str>) -> bool {
        self.get(name).is_some()
    }

    /// The first value of `name`.
    pub fn get(&self, name: impl AsRef<str>) -> Option<FieldValue<'_>> {
        let lines = self.lines.as_ref()?;
        lines.get(name.as_ref())
    }

    /// All values of `name`, in their order.
    pub fn get_all<N: AsRef<str>>(
        &self,
        name: N,
    ) -> impl Iterator<Item = FieldValue<'_>> + use<'_, N> {
        self.iter()
            .filter(move |field| field.is(name.as_ref()))
            .map(|field| field.value())
    }

    /// Sets `name` to `value`, in place of all that is there.
    pub fn insert(&mut self, name: impl Borrow<HeaderName>, value: HeaderValue) {
        let name = name.borrow();
        self.remove(name);
        self.append(name, value);
    }

    /// Adds another `name` behind what is there.
    pub fn append(&mut self, name: impl Borrow<HeaderName>, value: HeaderValue) {
        let lines = self.lines.get_or_insert_with(pool::take);
        lines.add(name.borrow().as_str(), value.as_bytes());
    }

    /// Adds another `name`, with the first value of `source`; whether there is one.
    pub fn append_copy(&mut self, name: impl Borrow<HeaderName>, source: impl AsRef<str>) -> bool {
        let (name, source) = (name.borrow().as_str(), source.as_ref());
        let lines = self.lines.as_mut();
        lines.is_some_and(|lines| lines.add_copy(name, source))
    }

    /// Removes every `name`; whether there was one.
    pub fn remove(&mut self, name: impl AsRef<str>) -> bool {
        let name = name.as_ref();
        self.retain(|field| !field.is(name))
    }

    /// Removes the fields that `keep` does not want; whether there was one.
    pub fn retain(&mut self, keep: impl FnMut(Field<'_>) -> bool) -> bool {
        let lines = self.lines.as_mut();
        lines.is_some_and(|lines| lines.retain(keep))
    }

    /// Writes the fields as they are sent, each with its line end, but for those whose
    /// role `leaves_out` takes.
    #[inline]
    pub(crate) fn write(&self, out: &mut BytesMut, leaves_out: impl Fn(Role) -> bool) {
        if let Some(lines) = &self.lines {
            lines.write(out, leaves_out);
        }
    }

    /// Enough for what [`write`](Self::write) writes, in bytes.
    pub(crate) fn written_length_max(&self) -> usize {
        let lines = self.lines.as_ref();
        lines.map_or(0, |lines| lines.written_length_max())
    }
}

impl Drop for Headers {
    fn drop(&mut self) {
        if let Some(lines) = self.lines.take() {
            pool::give(lines);
        }
    }
}

impl Clone for Headers {
    fn clone(&self) -> Self {
        let Some(lines) = &self.lines else {
            return Self::new();
        };
        let mut copy = pool::take();
        copy.clone_from(lines);
        Self { lines: Some(copy) }
    }
}

/// The same fields in the same order; names may be spelt otherwise.
impl PartialEq for Headers {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Headers {}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.iter().map(|field| (field.name(), field.value()));
        f.debug_map().entries(fields).finish()
    }
}

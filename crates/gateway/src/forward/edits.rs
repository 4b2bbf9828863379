//! Header changes an operator asks for.

use http::header::{CONNECTION, CONTENT_LENGTH, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderName, HeaderValue};
use tidegate_http::Headers;

/// Fields to remove, then to set, then to add, on a request or a response.
///
/// Apply it after [`prepare_request`](super::prepare_request) or
/// [`prepare_response`](super::prepare_response): a peer can then undo none of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderEdits {
    remove: Vec<HeaderName>,
    set: Vec<(HeaderName, HeaderValue)>,
    add: Vec<(HeaderName, HeaderValue)>,
}

/// A field that is not the operator's to change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` frames the message and is set by the gateway; it cannot be edited")]
pub struct HeaderEditError {
    /// The field.
    pub name: HeaderName,
}

impl HeaderEdits {
    /// Removes every `name`.
    ///
    /// # Errors
    ///
    /// For a field that frames the message: `Connection`, `Content-Length`, `TE`,
    /// `Trailer`, `Transfer-Encoding`, `Upgrade`.
    pub fn remove(&mut self, name: HeaderName) -> Result<(), HeaderEditError> {
        self.remove.push(editable(name)?);
        Ok(())
    }

    /// Sets `name` to `value`, replacing what is there.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), HeaderEditError> {
        self.set.push((editable(name)?, value));
        Ok(())
    }

    /// Adds another `name` beside what is there.
    ///
    /// # Errors
    ///
    /// As [`remove`](Self::remove).
    pub fn add(&mut self, name: HeaderName, value: HeaderValue) -> Result<(), HeaderEditError> {
        self.add.push((editable(name)?, value));
        Ok(())
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }

    /// Makes the changes.
    pub fn apply(&self, headers: &mut Headers) {
        for name in &self.remove {
            headers.remove(name);
        }
        for (name, value) in &self.set {
            headers.insert(name, value.clone());
        }
        for (name, value) in &self.add {
            headers.append(name, value.clone());
        }
    }
}

fn editable(name: HeaderName) -> Result<HeaderName, HeaderEditError> {
    let framing = [
        CONNECTION,
        CONTENT_LENGTH,
        TE,
        TRAILER,
        TRANSFER_ENCODING,
        UPGRADE,
    ];
    if framing.contains(&name) {
        Err(HeaderEditError { name })
    } else {
        Ok(name)
    }
}

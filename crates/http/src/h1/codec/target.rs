//! The four forms of a request target (RFC 9112 section 3.2). Called by the
//! request parser.

use bytes::Bytes;
use http::{Method, Uri};

use super::ParseError;
use super::authority::{self, Port};

/// The longest URI the `http` crate holds.
const URI_BYTES_MAX: usize = u16::MAX as usize - 1;

/// Parses `target` in the form its method allows.
///
/// Origin-form is taken as it is. Absolute-form must be `http` or `https`;
/// authority-form belongs to CONNECT and `*` to OPTIONS alone. Only visible
/// ASCII passes, and no fragment.
pub(super) fn parse(method: &Method, target: Bytes) -> Result<Uri, ParseError> {
    if target.len() > URI_BYTES_MAX {
        return Err(ParseError::RequestLineTooLong);
    }
    if target
        .iter()
        .any(|&byte| !(0x21..=0x7e).contains(&byte) || byte == b'#')
    {
        return Err(ParseError::Target);
    }
    if method == Method::CONNECT {
        if !authority::is_valid(&target, Port::Required) {
            return Err(ParseError::TargetForm);
        }
        return uri(target);
    }
    match target.first() {
        Some(b'/') => uri(target),
        Some(b'*') if target.len() == 1 && method == Method::OPTIONS => uri(target),
        _ => absolute(target),
    }
}

fn absolute(target: Bytes) -> Result<Uri, ParseError> {
    // Without this the URI parser would take `host:port` for an authority.
    if memchr::memmem::find(&target, b"://").is_none() {
        return Err(ParseError::TargetForm);
    }
    let uri = uri(target)?;
    let web = matches!(uri.scheme_str(), Some("http" | "https"));
    match uri.authority() {
        Some(found) if web && authority::is_valid(found.as_str().as_bytes(), Port::Optional) => {
            Ok(uri)
        }
        _ => Err(ParseError::Target),
    }
}

fn uri(target: Bytes) -> Result<Uri, ParseError> {
    Uri::from_maybe_shared(target).map_err(|_| ParseError::Target)
}

//! Fields that are for one connection only (RFC 9110 section 7.6.1): the server
//! and client connections take them off before a handler sees the message.

use http::header::CONNECTION;

use crate::headers::{Headers, Role, Roles};

/// What becomes of `Upgrade`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpgradeField {
    /// It stays, to say which protocol is asked for or switched to.
    Stays,
    /// It goes.
    Goes,
}

/// Takes off what concerns the connection the message came in on.
pub(crate) fn take_off(headers: &mut Headers, upgrade: UpgradeField) {
    const CONCERNED: Roles = Roles::of(&[
        Role::Connection,
        Role::KeepAlive,
        Role::ProxyConnection,
        Role::TransferEncoding,
        Role::Upgrade,
    ]);
    // Most messages have none of these.
    if !headers.may_have(CONCERNED) {
        return;
    }
    if headers.contains_key(CONNECTION) {
        remove_named(headers);
    }
    headers.retain(|field| match field.role() {
        Role::KeepAlive | Role::ProxyConnection | Role::TransferEncoding => false,
        Role::Upgrade => upgrade == UpgradeField::Stays,
        _ => true,
    });
}

/// Removes `Connection` and the fields it names.
///
/// It cannot name fields meant for every recipient (framing, host, credentials,
/// cookies, forwarding): a peer that names them wants them to vanish between two
/// hops, and is ignored.
pub fn remove_named(headers: &mut Headers) {
    let values: Vec<&[u8]> = headers
        .get_all(CONNECTION)
        .map(|value| value.as_bytes())
        .collect();
    let options = values.join(&b","[..]);
    headers.retain(|field| {
        let name = field.name();
        let is_named = || {
            let mut options = options.split(|byte| *byte == b',');
            options.any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
        };
        let goes = || is_named() && !is_handled_apart(name) && !is_end_to_end(name);
        field.role() != Role::Connection && !goes()
    });
}

/// Options that are no field, or whose field has its own rule.
fn is_handled_apart(option: &str) -> bool {
    ["keep-alive", "close", "upgrade", "http2-settings", "te"]
        .iter()
        .any(|known| option.eq_ignore_ascii_case(known))
}

/// Fields that are for every recipient, so that no hop may ask for their removal.
fn is_end_to_end(name: &str) -> bool {
    const FIELDS: [&str; 20] = [
        "authorization",
        "cache-control",
        "content-encoding",
        "content-length",
        "content-location",
        "content-range",
        "content-type",
        "cookie",
        "date",
        "expect",
        "expires",
        "host",
        "location",
        "origin",
        "range",
        "set-cookie",
        "trailer",
        "vary",
        "via",
        "www-authenticate",
    ];
    FIELDS.iter().any(|known| name.eq_ignore_ascii_case(known)) || is_forwarding(name.as_bytes())
}

/// Whether a field tells where a request came from, in either spelling: an upstream
/// that turns names into variables reads `X_Forwarded_For` as `X-Forwarded-For`.
#[inline]
pub fn is_forwarding(name: &[u8]) -> bool {
    let starts_with = |prefix: &[u8]| {
        name.len() >= prefix.len()
            && name.iter().zip(prefix).all(|(byte, expected)| {
                byte.eq_ignore_ascii_case(expected) || (*byte == b'_' && *expected == b'-')
            })
    };
    match name.first() {
        Some(b'f' | b'F') => name.eq_ignore_ascii_case(b"forwarded"),
        Some(b'x' | b'X') => {
            starts_with(b"x-forwarded-") || (name.len() == 9 && starts_with(b"x-real-ip"))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http::{HeaderName, HeaderValue};

    use super::*;

    fn left_of(fields: &[(&'static str, &'static str)], upgrade: UpgradeField) -> Vec<String> {
        let mut headers = Headers::new();
        for (name, value) in fields {
            let name = HeaderName::from_static(name);
            headers.append(name, HeaderValue::from_static(value));
        }
        take_off(&mut headers, upgrade);
        headers.iter().map(|field| field.name().into()).collect()
    }

    #[test]
    fn handlers_see_no_field_of_the_connection() {
        let fields = [
            ("connection", "x-hop, close"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("accept", "*/*"),
        ];
        assert_eq!(left_of(&fields, UpgradeField::Goes), ["accept"]);
    }

    #[test]
    fn an_upgrade_that_is_honoured_names_its_protocol() {
        let fields = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(left_of(&fields, UpgradeField::Stays), ["upgrade"]);
    }

    #[test]
    fn a_peer_cannot_make_end_to_end_fields_vanish() {
        let fields = [
            ("connection", "host, cookie"),
            ("host", "a"),
            ("cookie", "b"),
        ];
        assert_eq!(left_of(&fields, UpgradeField::Goes), ["host", "cookie"]);
    }
}

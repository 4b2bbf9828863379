//! Fields that are for one connection only (RFC 9110 section 7.6.1); what goes and what
//! stays is told at [`prepare_request`](super::prepare_request).
//!
//! A peer that has `Connection` name an end-to-end field wants it to vanish between two
//! hops: the framing, to smuggle a request; an address or a credential, to pass for
//! somebody else. So those names are ignored.

use http::header::{
    CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::trust::PeerTrust;

/// Whether an `Upgrade` goes on to the next hop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UpgradePolicy {
    /// It ends here: the fields are removed.
    #[default]
    Remove,
    /// It goes on: `Upgrade` stays, with `Connection: upgrade` beside it.
    Forward,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// What the walk over the fields has seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Found {
    connection: bool,
    te: bool,
    upgrade: bool,
    simple: u8,
    /// Fields that tell where a request came from.
    pub(super) forwarded: bool,
}

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const PROXY_AUTHENTICATION_INFO: HeaderName = HeaderName::from_static("proxy-authentication-info");
const PROXY: HeaderName = HeaderName::from_static("proxy");
const HTTP2_SETTINGS: HeaderName = HeaderName::from_static("http2-settings");

/// Fields that are simply removed, by their bit in [`Found::simple`].
const SIMPLE: [HeaderName; 7] = [
    KEEP_ALIVE,
    PROXY_CONNECTION,
    TRANSFER_ENCODING,
    PROXY_AUTHORIZATION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHENTICATION_INFO,
    PROXY,
];

/// Removes what must not go on. Nothing is allocated unless `Connection` is repeated
/// or an untrusted peer sent forwarding fields.
pub(super) fn sweep(
    headers: &mut HeaderMap,
    direction: Direction,
    upgrade: UpgradePolicy,
    trust: PeerTrust,
) -> Found {
    let found = look(headers, direction);
    if found.connection {
        remove_named(headers);
    }
    if found.te {
        keep_trailers(headers);
    }
    for (bit, name) in SIMPLE.iter().enumerate() {
        if found.simple & (1 << bit) != 0 {
            headers.remove(name);
        }
    }
    if found.upgrade {
        match upgrade {
            UpgradePolicy::Remove => {
                headers.remove(UPGRADE);
                headers.remove(HTTP2_SETTINGS);
            }
            UpgradePolicy::Forward => {
                headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            }
        }
    }
    if found.forwarded && trust == PeerTrust::Untrusted {
        remove_forwarding(headers);
    }
    found
}

fn look(headers: &HeaderMap, direction: Direction) -> Found {
    let mut found = Found::default();
    for name in headers.keys() {
        let simple = match (name.as_str(), direction) {
            ("connection", _) => {
                found.connection = true;
                continue;
            }
            ("te", _) => {
                found.te = true;
                continue;
            }
            ("upgrade" | "http2-settings", _) => {
                found.upgrade = true;
                continue;
            }
            ("keep-alive", _) => 0,
            ("proxy-connection", _) => 1,
            ("transfer-encoding", _) => 2,
            ("proxy-authorization", Direction::Request) => 3,
            ("proxy-authenticate", Direction::Response) => 4,
            ("proxy-authentication-info", Direction::Response) => 5,
            ("proxy", Direction::Request) => 6,
            (other, Direction::Request) => {
                found.forwarded |= is_forwarding(other);
                continue;
            }
            _ => continue,
        };
        found.simple |= 1 << simple;
    }
    found
}

fn remove_named(headers: &mut HeaderMap) {
    let mut values = headers.get_all(CONNECTION).iter();
    let first = values.next().cloned();
    let others: Vec<HeaderValue> = values.cloned().collect();
    headers.remove(CONNECTION);
    for value in first.iter().chain(&others) {
        for option in value.as_bytes().split(|byte| *byte == b',') {
            let option = option.trim_ascii();
            let Ok(name) = std::str::from_utf8(option) else {
                continue;
            };
            if !is_handled_apart(name) && !is_end_to_end(name) {
                headers.remove(name);
            }
        }
    }
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
    FIELDS.iter().any(|known| name.eq_ignore_ascii_case(known)) || is_forwarding(name)
}

/// Whether a field tells where a request came from, in either spelling: an upstream
/// that turns names into variables reads `X_Forwarded_For` as `X-Forwarded-For`.
fn is_forwarding(name: &str) -> bool {
    let starts_with = |prefix: &[u8]| {
        let bytes = name.as_bytes();
        bytes.len() >= prefix.len()
            && bytes.iter().zip(prefix).all(|(byte, expected)| {
                byte.eq_ignore_ascii_case(expected) || (*byte == b'_' && *expected == b'-')
            })
    };
    match name.as_bytes().first() {
        Some(b'f' | b'F') => name.eq_ignore_ascii_case("forwarded"),
        Some(b'x' | b'X') => {
            starts_with(b"x-forwarded-") || (name.len() == 9 && starts_with(b"x-real-ip"))
        }
        _ => false,
    }
}

fn remove_forwarding(headers: &mut HeaderMap) {
    let sent = headers.keys().filter(|name| is_forwarding(name.as_str()));
    let sent: Vec<HeaderName> = sent.cloned().collect();
    for name in sent {
        headers.remove(name);
    }
}

/// Of transfer preferences only the wish for trailers is meaningful to the next hop.
fn keep_trailers(headers: &mut HeaderMap) {
    let wanted = headers.get_all(TE).iter().any(|value| {
        let mut codings = value.as_bytes().split(|byte| *byte == b',');
        codings.any(|coding| {
            let name = coding.split(|byte| *byte == b';').next().unwrap_or(coding);
            name.trim_ascii().eq_ignore_ascii_case(b"trailers")
        })
    });
    if wanted {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    } else {
        headers.remove(TE);
    }
}

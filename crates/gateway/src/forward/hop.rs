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

use tidegate_http::hop::{is_forwarding, remove_named};

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

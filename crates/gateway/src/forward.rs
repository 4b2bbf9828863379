//! Header work on a message that goes on to the next hop.
//!
//! The upstream handler calls [`prepare_request`] before sending and
//! [`prepare_response`] before answering. Both walk the fields once and allocate only
//! when there is something unusual to remove or to join. No hop-by-hop field goes on,
//! only a trusted peer's word on where a request came from counts, and the operator's
//! [`HeaderEdits`] come last.

mod edits;
mod hop;
mod trust;

use http::header::{HOST, VIA};
use http::{HeaderName, HeaderValue, Version};

use tidegate_http::Headers;

pub use edits::{HeaderEditError, HeaderEdits};
pub use hop::UpgradePolicy;
pub use tidegate_runtime::network::{IpNetwork, IpNetworkError};
pub use trust::{PeerTrust, Trust, forwarded_for_value};

/// `X-Forwarded-For`.
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// `X-Forwarded-Proto`.
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// `X-Forwarded-Host`.
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");

/// How the client's request reached the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedScheme {
    /// In clear.
    Http,
    /// Over TLS.
    Https,
}

/// Whether a hop leaves its mark in `Via`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ViaPolicy {
    /// It does: a gateway must on requests and may on responses.
    #[default]
    Append,
    /// It does not.
    Omit,
}

/// Whether upstreams are told where a request came from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XForwarded {
    /// `X-Forwarded-For`, `-Proto` and `-Host` are sent.
    #[default]
    Send,
    /// They are not, except those of a trusted peer.
    Omit,
}

/// What a request's new fields are made of.
#[derive(Clone, Copy, Debug)]
pub struct RequestHop<'a> {
    /// Whether the peer's own forwarding fields count; once per connection by
    /// [`Trust::of`].
    pub trust: PeerTrust,
    /// The peer, once per connection by [`forwarded_for_value`].
    pub peer: &'a HeaderValue,
    /// How the request came.
    pub scheme: ForwardedScheme,
    /// The version the request came in, for `Via`.
    pub version: Version,
    /// The host asked for, from `:authority` where there is no `Host` field.
    pub host: Option<&'a HeaderValue>,
    /// Whether an `Upgrade` goes on.
    pub upgrade: UpgradePolicy,
    /// Whether to append `Via`.
    pub via: ViaPolicy,
    /// Whether to write `X-Forwarded-*`.
    pub x_forwarded: XForwarded,
}

/// What a response's new fields are made of.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHop {
    /// The version the response came in, for `Via`.
    pub version: Version,
    /// [`UpgradePolicy::Forward`] for a 101 that is passed on.
    pub upgrade: UpgradePolicy,
    /// Whether to append `Via`.
    pub via: ViaPolicy,
}

/// Turns a received request's fields into those for the upstream.
///
/// Hop-by-hop fields end here (RFC 9110 section 7.6.1): `Connection` and what it names,
/// `Keep-Alive`, `Proxy-Connection`, `Transfer-Encoding`, `Upgrade` and
/// `HTTP2-Settings` unless an upgrade goes on, `TE` but for `trailers`,
/// `Proxy-Authorization`, and `Proxy`, which CGI would take for a setting. `Trailer`
/// stays. `Connection` cannot name fields meant for every recipient, such as
/// `Content-Length`, `Host`, `Authorization` or `Cookie`: such a name is ignored.
///
/// `X-Forwarded-For`, `-Proto` and `-Host` are set. A peer that is not trusted has every
/// `X-Forwarded-*` field, `X-Real-IP` and `Forwarded` of its own removed (also when
/// spelt with `_`, which CGI-like upstreams cannot tell apart); a trusted one has its
/// list of addresses continued, and its protocol and host kept. `Via` is appended (RFC
/// 9110 section 7.6.3).
pub fn prepare_request(headers: &mut Headers, hop: &RequestHop<'_>) {
    let found = hop::sweep(headers, hop::Direction::Request, hop.upgrade, hop.trust);
    if hop.via == ViaPolicy::Append {
        append_via(headers, hop.version);
    }
    if hop.x_forwarded == XForwarded::Omit {
        return;
    }
    if found.forwarded && hop.trust == PeerTrust::Trusted {
        continue_list(headers, hop.peer);
    } else {
        headers.insert(X_FORWARDED_FOR, hop.peer.clone());
    }
    let kept = |headers: &Headers, name: &HeaderName| {
        found.forwarded && hop.trust == PeerTrust::Trusted && headers.contains_key(name)
    };
    if !kept(headers, &X_FORWARDED_PROTO) {
        const HTTP: HeaderValue = HeaderValue::from_static("http");
        const HTTPS: HeaderValue = HeaderValue::from_static("https");
        let scheme = match hop.scheme {
            ForwardedScheme::Http => HTTP,
            ForwardedScheme::Https => HTTPS,
        };
        headers.insert(X_FORWARDED_PROTO, scheme);
    }
    if !kept(headers, &X_FORWARDED_HOST) {
        headers.remove(X_FORWARDED_HOST);
        match hop.host {
            Some(host) => headers.append(X_FORWARDED_HOST, host.clone()),
            None => {
                headers.append_copy(X_FORWARDED_HOST, HOST);
            }
        }
    }
}

/// Turns an upstream's response fields into those for the client: hop-by-hop fields as
/// in [`prepare_request`], with `Proxy-Authenticate` and `Proxy-Authentication-Info`,
/// end here, and `Via` is appended.
pub fn prepare_response(headers: &mut Headers, hop: &ResponseHop) {
    hop::sweep(
        headers,
        hop::Direction::Response,
        hop.upgrade,
        PeerTrust::Trusted,
    );
    if hop.via == ViaPolicy::Append {
        append_via(headers, hop.version);
    }
}

fn append_via(headers: &mut Headers, version: Version) {
    // Constants, or each would be looked at for what may not be in a value.
    const VIA_10: HeaderValue = HeaderValue::from_static("1.0 tidegate");
    const VIA_11: HeaderValue = HeaderValue::from_static("1.1 tidegate");
    const VIA_2: HeaderValue = HeaderValue::from_static("2 tidegate");
    const VIA_3: HeaderValue = HeaderValue::from_static("3 tidegate");
    let via = match version {
        Version::HTTP_10 => VIA_10,
        Version::HTTP_2 => VIA_2,
        Version::HTTP_3 => VIA_3,
        _ => VIA_11,
    };
    headers.append(VIA, via);
}

/// One field with the whole list: some upstreams read only the first.
fn continue_list(headers: &mut Headers, peer: &HeaderValue) {
    let mut list = Vec::with_capacity(64);
    for value in headers.get_all(X_FORWARDED_FOR) {
        list.extend_from_slice(value.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(peer.as_bytes());
    // Joined from valid values, so it is valid; the peer alone is the safe remainder.
    let list = HeaderValue::from_maybe_shared(bytes::Bytes::from(list));
    headers.insert(X_FORWARDED_FOR, list.unwrap_or_else(|_| peer.clone()));
}

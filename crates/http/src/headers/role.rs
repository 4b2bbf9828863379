//! What a field does on the way from one hop to the next, told once by its name.

use crate::hop::is_forwarding;

/// The part a field plays on the way of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// None: it is for whom the message is for.
    EndToEnd,
    /// `Host`.
    Host,
    /// `Expect`.
    Expect,
    /// `Content-Length`.
    ContentLength,
    /// `Transfer-Encoding`.
    TransferEncoding,
    /// `TE`.
    Te,
    /// `Connection`.
    Connection,
    /// `Keep-Alive`.
    KeepAlive,
    /// `Proxy-Connection`, which some clients send in the place of `Connection`.
    ProxyConnection,
    /// `Upgrade`.
    Upgrade,
    /// `HTTP2-Settings`, which goes with an `Upgrade`.
    Http2Settings,
    /// `Proxy`, which CGI would take for a setting.
    Proxy,
    /// `Proxy-Authorization`.
    ProxyAuthorization,
    /// `Proxy-Authenticate`.
    ProxyAuthenticate,
    /// `Proxy-Authentication-Info`.
    ProxyAuthenticationInfo,
    /// Tells where a request came from: `Forwarded`, `X-Real-IP` and all `X-Forwarded-*`.
    Forwarding,
}

impl Role {
    /// The role of a field with this name, in whatever case.
    #[inline]
    pub(crate) fn of(name: &[u8]) -> Self {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        // By the first letter, which settles it for most.
        match name {
            [b'c' | b'C', ..] if is(b"content-length") => Self::ContentLength,
            [b'c' | b'C', ..] if is(b"connection") => Self::Connection,
            [b'e' | b'E', ..] if is(b"expect") => Self::Expect,
            [b'h' | b'H', ..] if is(b"host") => Self::Host,
            [b'h' | b'H', ..] if is(b"http2-settings") => Self::Http2Settings,
            [b'k' | b'K', ..] if is(b"keep-alive") => Self::KeepAlive,
            [b'p' | b'P', ..] => Self::of_proxies(name),
            [b't' | b'T', ..] if is(b"transfer-encoding") => Self::TransferEncoding,
            [b't' | b'T', ..] if is(b"te") => Self::Te,
            [b'u' | b'U', ..] if is(b"upgrade") => Self::Upgrade,
            [b'f' | b'F' | b'x' | b'X', ..] if is_forwarding(name) => Self::Forwarding,
            _ => Self::EndToEnd,
        }
    }

    fn of_proxies(name: &[u8]) -> Self {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match name.len() {
            5 if is(b"proxy") => Self::Proxy,
            16 if is(b"proxy-connection") => Self::ProxyConnection,
            18 if is(b"proxy-authenticate") => Self::ProxyAuthenticate,
            19 if is(b"proxy-authorization") => Self::ProxyAuthorization,
            25 if is(b"proxy-authentication-info") => Self::ProxyAuthenticationInfo,
            _ => Self::EndToEnd,
        }
    }
}

/// Several roles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Roles(u16);

impl Roles {
    /// These.
    pub const fn of(roles: &[Role]) -> Self {
        let mut bits = 0;
        let mut at = 0;
        while at < roles.len() {
            bits |= 1 << roles[at] as u16;
            at += 1;
        }
        Self(bits)
    }

    /// Adds one.
    #[inline]
    pub(super) const fn add(&mut self, role: Role) {
        self.0 |= 1 << role as u16;
    }

    /// Whether one is in both.
    #[inline]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

//! Requests that a page in a browser made.
//!
//! A browser on this machine reaches what listens on loopback, and acts for pages from
//! anywhere: one that posts here says so in `Origin`, and one that had its own name resolve
//! to loopback asks for that name.

use std::net::IpAddr;

use http::header::{HOST, ORIGIN};
use tidegate_http::{ConnectionInfo, Headers};
use tidegate_runtime::io::PeerAddr;

/// Whether a request with these fields, on this connection, may come from a page. Nothing
/// but a browser asks over TCP with an `Origin`, or for a name that is not this machine's.
pub(super) fn may_have_asked(headers: &Headers, connection: &ConnectionInfo) -> bool {
    connection.local != PeerAddr::Unix
        && (headers.contains_key(ORIGIN) || !names_this_machine(headers))
}

/// Whether an address or `localhost` is asked for, or nothing, as HTTP/1.0 may.
fn names_this_machine(headers: &Headers) -> bool {
    let Some(host) = headers.get(HOST) else {
        return true;
    };
    let Some(host) = host.to_str() else {
        return false;
    };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use http::HeaderName;
    use tidegate_http::Scheme;

    use super::*;

    fn asked(local: PeerAddr, fields: &[(HeaderName, &str)]) -> bool {
        let connection = ConnectionInfo::new(PeerAddr::Unix, local, Scheme::Http);
        let fields = fields.iter();
        let headers = fields.map(|(name, value)| (name.clone(), value.parse().unwrap()));
        may_have_asked(&headers.collect(), &connection)
    }

    #[test]
    fn pages_are_known_by_their_origin_or_by_the_name_they_ask_for() {
        let loopback = PeerAddr::Tcp("127.0.0.1:9901".parse().unwrap());
        for host in ["localhost:9901", "127.0.0.1:9901", "[::1]:9901", "[::1]"] {
            assert!(!asked(loopback, &[(HOST, host)]), "{host}");
        }
        assert!(!asked(loopback, &[]));
        assert!(asked(loopback, &[(HOST, "evil.example:9901")]));
        let page = [(HOST, "127.0.0.1:9901"), (ORIGIN, "https://evil.example")];
        assert!(asked(loopback, &page));
        assert!(!asked(PeerAddr::Unix, &[(HOST, "anything")]));
    }
}

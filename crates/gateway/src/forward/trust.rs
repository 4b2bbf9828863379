//! Whose word counts on where a request came from.

use std::net::IpAddr;

use http::HeaderValue;
use tidegate_runtime::network::IpNetwork;

/// Whether a peer's own forwarding fields count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PeerTrust {
    /// They do not: anybody could have written them.
    #[default]
    Untrusted,
    /// They do: the peer is a proxy of ours.
    Trusted,
}

/// The peers whose forwarding fields count. By default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    /// Peers by address.
    pub networks: Vec<IpNetwork>,
    /// Peers on a Unix socket, which have no address.
    pub unix_peers: PeerTrust,
}

impl Trust {
    /// Whether the peer at `address` is trusted; `None` is one on a Unix socket.
    /// Ask once per connection.
    pub fn of(&self, address: Option<IpAddr>) -> PeerTrust {
        let Some(address) = address else {
            return self.unix_peers;
        };
        if self
            .networks
            .iter()
            .any(|network| network.contains(address))
        {
            PeerTrust::Trusted
        } else {
            PeerTrust::Untrusted
        }
    }
}

/// What `X-Forwarded-For` says about a peer; one on a Unix socket is `unknown`
/// (RFC 7239 section 6.2). Build it once per connection.
pub fn forwarded_for_value(address: Option<IpAddr>) -> HeaderValue {
    let text = address.map(|address| address.to_canonical().to_string());
    text.and_then(|text| HeaderValue::try_from(text).ok())
        .unwrap_or_else(|| HeaderValue::from_static("unknown"))
}

//! What an endpoint is told of the client, ahead of the client's first byte.

use bytes::{Bytes, BytesMut};
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::io::PeerAddr;
use tidegate_runtime::proxy_protocol::{Proxied, ProxyVersion, encode};

/// The PROXY protocol header for a connection, if one is sent.
pub(super) fn of(version: Option<ProxyVersion>, accepted: &Accepted) -> Bytes {
    let Some(version) = version else {
        return Bytes::new();
    };
    let proxied = match (accepted.peer, accepted.local) {
        (PeerAddr::Tcp(source), PeerAddr::Tcp(destination)) => Proxied::Tcp {
            source,
            destination,
        },
        // A client that came through a Unix socket has no address to tell.
        _ => Proxied::Unix,
    };
    let mut header = BytesMut::new();
    encode(version, &proxied, &mut header);
    header.freeze()
}

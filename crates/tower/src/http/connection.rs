//! What a handler of tower's is told of the connection.

use tidegate_http::{Context, Scheme};
use tidegate_runtime::io::PeerAddr;

/// The connection a request came in on: an extension of every request a
/// [`TowerHandler`](super::TowerHandler) is given.
///
/// With the feature `axum` the peer is there as `axum::extract::ConnectInfo`, too:
/// `ConnectInfo<PeerAddr>` always, `ConnectInfo<SocketAddr>` for TCP.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connection {
    /// The client.
    pub peer: PeerAddr,
    /// The address the client reached.
    pub local: PeerAddr,
    /// With TLS or without.
    pub scheme: Scheme,
    /// The deployed generation that serves the connection.
    pub generation: u64,
    /// The name the TLS client asked for, if any.
    pub server_name: Option<Box<str>>,
}

impl Connection {
    /// The connection of a request with this context.
    pub fn of(context: &Context) -> Self {
        let connection = context.connection();
        Self {
            peer: connection.peer,
            local: connection.local,
            scheme: connection.scheme,
            generation: connection.generation,
            server_name: connection.server_name.clone(),
        }
    }
}

/// Puts what is known of the connection where handlers look for it.
pub(super) fn describe(extensions: &mut http::Extensions, context: &Context) {
    let connection = Connection::of(context);
    #[cfg(feature = "axum")]
    {
        use axum::extract::ConnectInfo;
        extensions.insert(ConnectInfo(connection.peer));
        if let PeerAddr::Tcp(address) = connection.peer {
            extensions.insert(ConnectInfo(address));
        }
    }
    extensions.insert(connection);
}

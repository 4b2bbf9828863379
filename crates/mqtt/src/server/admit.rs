//! Who a client is, before the core hears of it.

use tidegate_runtime::io::PeerAddr;

use super::settings::{Anonymous, ServerSettings};
use crate::broker::access::Identity;
use crate::codec::{Connect, ReasonCode};

/// The identity of whoever sent `connect`.
///
/// Nothing here checks a password, so a user name proves nothing and is not taken over:
/// who brings one is treated as one who brings none.
pub(super) fn identity(
    settings: &ServerSettings,
    peer: PeerAddr,
    _connect: &Connect,
) -> Result<Identity, ReasonCode> {
    let local = peer.ip().is_none_or(|address| address.is_loopback());
    match settings.anonymous {
        Anonymous::Local if !local => Err(ReasonCode::NotAuthorized),
        Anonymous::Local | Anonymous::Everybody => Ok(Identity {
            user: None,
            address: peer.ip(),
        }),
    }
}

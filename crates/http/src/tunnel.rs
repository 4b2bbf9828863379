//! Two streams joined, when a connection has switched to another protocol.

use std::time::Duration;

use tidegate_runtime::io::Io;
use tidegate_runtime::limit::{self, Limit};
use tidegate_runtime::relay::{Relay, RelayError, RelayLimits};

/// Joins two streams until both have ended, one fails, or nothing has moved
/// either way for `idle`.
///
/// A side that finishes sending is passed on as such and can still receive. A
/// direction holds a buffer only while it has bytes to pass on.
pub async fn join(left: Io, right: Io, idle: Duration) {
    let limits = RelayLimits { idle, total: None };
    match Relay::new(left, right).run(&limits).await {
        Ok(()) => {}
        Err(RelayError::Idle) => limit::hit(Limit::TunnelIdleTimeout),
        Err(error) => tracing::debug!(%error, "tunnel broke"),
    }
}

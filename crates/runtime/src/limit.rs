//! How often each limit bit, counted by worker.
//!
//! Whoever enforces a limit says so with [`hit`], on the worker where it happened. That is
//! rare, and not on the path of a request that is well: a count may cost an atomic.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::worker;

macro_rules! limits {
    ($($(#[$doc:meta])* $limit:ident = $name:literal,)*) => {
        /// Something there may only be so much of, under its name in the settings.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Limit {
            $($(#[$doc])* $limit,)*
        }

        impl Limit {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$limit),*];

            /// A stable name for metrics.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$limit => $name,)*
                }
            }
        }
    };
}

limits! {
    /// A site's connections: somebody had to leave, or was refused.
    Connections = "connections",
    /// Bytes of a request line.
    RequestLineBytes = "request_line_bytes",
    /// Bytes of a message's fields, trailers among them.
    HeaderBytes = "header_bytes",
    /// Fields of a message.
    HeaderCount = "header_count",
    /// Bytes of a request's body.
    BodyBytes = "body_bytes",
    /// Bytes of chunk extensions.
    ChunkExtensionBytes = "chunk_extension_bytes",
    /// Requests of one connection.
    RequestsPerConnection = "requests_per_connection",
    /// The time a request's head may take.
    HeaderTimeout = "header_timeout",
    /// The time a request's body may stall.
    BodyTimeout = "body_timeout",
    /// The time a connection may go without a request.
    IdleTimeout = "idle_timeout",
    /// The time a client may stall reading.
    WriteTimeout = "write_timeout",
    /// The time a PROXY protocol header may take.
    ProxyHeaderTimeout = "proxy_header_timeout",
    /// The time a TLS handshake may take.
    TlsHandshakeTimeout = "tls_handshake_timeout",
    /// The time connecting to an upstream may take.
    UpstreamConnectTimeout = "upstream_connect_timeout",
    /// The time an upstream's response may take to begin.
    UpstreamResponseTimeout = "upstream_response_timeout",
    /// The time an upstream's response may stall.
    UpstreamIdleTimeout = "upstream_idle_timeout",
    /// The time a tunnel may be silent.
    TunnelIdleTimeout = "tunnel_idle_timeout",
    /// Bytes of a Thrift message.
    MessageBytes = "message_bytes",
    /// Bytes of a Thrift method's name.
    MethodBytes = "method_bytes",
    /// How deep the values of a Thrift message lie in each other.
    MessageDepth = "message_depth",
    /// The time a Thrift message may take to arrive.
    MessageTimeout = "message_timeout",
    /// Thrift calls of one connection.
    CallsPerConnection = "calls_per_connection",
    /// The time a connection may last in all.
    TotalTimeout = "total_timeout",
    /// The time a client may take to say what it wants, where that is looked at.
    OpeningTimeout = "opening_timeout",
}

const COUNT: usize = Limit::ALL.len();

/// Counts that `limit` bit, for the calling worker.
#[cold]
pub fn hit(limit: Limit) {
    worker::counters().limits().hits[limit as usize].fetch_add(1, Ordering::Relaxed);
}

/// How often each limit bit on one worker.
#[derive(Debug, Default)]
pub struct LimitCounters {
    hits: [AtomicU64; COUNT],
}

impl LimitCounters {
    /// How often `limit` did.
    pub fn hits(&self, limit: Limit) -> u64 {
        self.hits[limit as usize].load(Ordering::Relaxed)
    }

    /// The counts of all limits, as they are now.
    pub fn snapshot(&self) -> LimitHits {
        LimitHits(std::array::from_fn(|at| {
            self.hits[at].load(Ordering::Relaxed)
        }))
    }
}

/// How often each limit had bitten at some moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitHits([u64; COUNT]);

impl LimitHits {
    /// How often `limit` had.
    pub fn of(&self, limit: Limit) -> u64 {
        self.0[limit as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hit_is_counted_under_its_own_limit_alone() {
        let before = worker::counters().limits().snapshot();
        hit(Limit::BodyBytes);
        let after = worker::counters().limits().snapshot();
        for &limit in Limit::ALL {
            let hits = after.of(limit) - before.of(limit);
            assert_eq!(hits, u64::from(limit == Limit::BodyBytes), "{limit:?}");
        }
    }
}

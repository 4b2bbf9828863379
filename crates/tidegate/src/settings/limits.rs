//! `timeouts` and `limits` of a server. All are on by default.

use super::scalars::Zero;
use super::section::Section;
use std::time::Duration;
use tidegate_gateway::site::RouteTimeouts;

/// How long things may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// From the first byte of a request to the end of its head.
    pub header: Duration,
    /// The longest silence while a request body is awaited.
    pub body: Duration,
    /// How long a connection may stay without a request.
    pub idle: Duration,
    /// The longest a client may stall reading.
    pub write: Duration,
    /// From accepting a connection to the end of its TLS handshake.
    pub tls_handshake: Duration,
    /// Connecting to an upstream, TLS included.
    pub upstream_connect: Duration,
    /// From the end of the request to the head of the response.
    pub upstream_response: Duration,
    /// The longest silence within a response body.
    pub upstream_idle: Duration,
    /// The longest silence in both directions of an upgraded connection.
    pub tunnel_idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let upstream = RouteTimeouts::default();
        Self {
            header: Duration::from_secs(10),
            body: Duration::from_secs(30),
            idle: Duration::from_secs(75),
            write: Duration::from_secs(30),
            tls_handshake: Duration::from_secs(10),
            upstream_connect: upstream.connect,
            upstream_response: upstream.response,
            upstream_idle: upstream.idle,
            tunnel_idle: upstream.tunnel_idle,
        }
    }
}

impl Timeouts {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let default = Self::default();
        let mut read = |key, default| section.duration(key, Zero::Refused).or(default);
        Some(Self {
            header: read("header", default.header),
            body: read("body", default.body),
            idle: read("idle", default.idle),
            write: read("write", default.write),
            tls_handshake: read("tls_handshake", default.tls_handshake),
            upstream_connect: read("upstream_connect", default.upstream_connect),
            upstream_response: read("upstream_response", default.upstream_response),
            upstream_idle: read("upstream_idle", default.upstream_idle),
            tunnel_idle: read("tunnel_idle", default.tunnel_idle),
        })
    }
}

/// How much there may be of things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Open connections of the whole server, all workers together.
    pub connections: usize,
    /// Bytes of a request line; 414 beyond.
    pub request_line_bytes: usize,
    /// Bytes of all header fields of a message, and of its trailers; 431 beyond.
    pub header_bytes: usize,
    /// Header fields of a message; 431 beyond.
    pub header_count: usize,
    /// Bytes of a request body; 413 beyond.
    pub body_bytes: u64,
    /// Bytes of all chunk extensions of a body.
    pub chunk_extension_bytes: usize,
    /// Requests on one connection before it is closed politely.
    pub requests_per_connection: u64,
    /// Concurrent HTTP/2 streams of a connection.
    pub http2_streams: u32,
    /// How much of a request body nobody wanted is read off before the connection is
    /// closed instead.
    pub drain_body_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            request_line_bytes: 8 << 10,
            header_bytes: 32 << 10,
            header_count: 100,
            body_bytes: 64 << 20,
            chunk_extension_bytes: 4 << 10,
            requests_per_connection: 1_000_000,
            http2_streams: 128,
            drain_body_bytes: 64 << 10,
        }
    }
}

impl Limits {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let default = Self::default();
        Some(Self {
            connections: section
                .integer("connections", 1..=10_000_000_u32)
                .or(10_000) as usize,
            request_line_bytes: section
                .memory("request_line_bytes", Zero::Refused)
                .or(default.request_line_bytes),
            header_bytes: section
                .memory("header_bytes", Zero::Refused)
                .or(default.header_bytes),
            header_count: section.integer("header_count", 1..=10_000_u32).or(100) as usize,
            body_bytes: section
                .size("body_bytes", Zero::Refused)
                .or(default.body_bytes),
            chunk_extension_bytes: section
                .memory("chunk_extension_bytes", Zero::Allowed)
                .or(default.chunk_extension_bytes),
            requests_per_connection: section
                .integer("requests_per_connection", 1..=u64::from(u32::MAX))
                .or(default.requests_per_connection),
            http2_streams: section
                .integer("http2_streams", 1..=10_000_u32)
                .or(default.http2_streams),
            drain_body_bytes: section
                .size("drain_body_bytes", Zero::Allowed)
                .or(default.drain_body_bytes),
        })
    }
}

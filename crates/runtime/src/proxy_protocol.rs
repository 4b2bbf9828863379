//! The PROXY protocol, versions 1 and 2: what a proxy in front says of the connection that
//! it passes on, ahead of the first byte of it.
//!
//! The codec does no I/O: [`parse`] is given all bytes that have come so far, [`encode`]
//! writes what our own proxies send. [`ProxyProtocolService`] reads the header off a
//! connection that a listener accepted. Source of all rules: "The PROXY protocol, Versions
//! 1 & 2", `doc/proxy-protocol.txt` of HAProxy, sections 2.1 and 2.2.

mod checksum;
mod service;
mod v1;
mod v2;

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use bytes::BytesMut;
use thiserror::Error;

#[cfg(test)]
mod tests;

pub use service::{
    DEFAULT_HEADER_TIMEOUT, OtherPeers, ProxyProtocolFactory, ProxyProtocolMode,
    ProxyProtocolOptions, ProxyProtocolService, ProxyProtocolServiceError,
};
pub use v1::V1_BYTES_MAX;
pub use v2::{V2_BODY_BYTES_MAX, V2_BYTES_MAX};

/// The most bytes a header of either version may take.
pub const HEADER_BYTES_MAX: usize = V2_BYTES_MAX;

/// A version of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyVersion {
    /// A line of text (section 2.1).
    V1,
    /// Binary (section 2.2).
    V2,
}

/// What a header says of a connection's ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proxied {
    /// Nothing: the proxy connected on its own account (to see whether we live), or does
    /// not know. The ends of the connection that carries the header count.
    Nothing,
    /// A TCP connection. Both addresses are of one family.
    Tcp {
        /// The client.
        source: SocketAddr,
        /// What the client connected to.
        destination: SocketAddr,
    },
    /// A Unix stream socket at the proxy. Its path names nothing here.
    Unix,
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ProxyHeader {
    /// How it was written.
    pub version: ProxyVersion,
    /// What it says.
    pub proxied: Proxied,
}

/// Why bytes are not a header, whatever may follow them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProxyHeaderError {
    /// They begin with the signature of neither version.
    #[error("no PROXY protocol header")]
    Signature,
    /// A line of version 1 that is not one: too long, or not in the one form it may have.
    #[error("malformed PROXY protocol version 1 line")]
    Line,
    /// A command of version 2 other than LOCAL and PROXY, or a version beyond it.
    #[error("unknown PROXY protocol command {0:#04x}")]
    Command(u8),
    /// A family or transport other than TCP and Unix streams.
    #[error("PROXY protocol address family {0:#04x} on a stream")]
    Family(u8),
    /// Addresses or extensions (TLVs) that do not fit the length.
    #[error("the PROXY protocol header does not fit its length")]
    Length,
    /// Longer than is read: see [`V2_BODY_BYTES_MAX`].
    #[error("a PROXY protocol header of {0} bytes is too long")]
    TooLong(usize),
    /// The checksum is of something else (section 2.2.3).
    #[error("wrong checksum of the PROXY protocol header")]
    Checksum,
}

/// Reads a header from the start of `bytes`: all that has come of the connection so far.
///
/// Gives the header and how many bytes it took, or nothing when more have to come. Bytes
/// that can never become a header are refused at the first that is wrong.
///
/// # Errors
///
/// The bytes are not the beginning of a header, or of one that is accepted here.
///
/// ```
/// use tidegate_runtime::proxy_protocol::{Proxied, parse};
///
/// let line = b"PROXY TCP4 192.0.2.7 198.51.100.1 40000 443\r\nGET /";
/// let (header, bytes) = parse(line)?.ok_or("not all of it")?;
/// assert_eq!(&line[bytes..], b"GET /");
/// assert!(matches!(header.proxied, Proxied::Tcp { source, .. } if source.port() == 40000));
/// assert!(parse(b"PRO")?.is_none());
/// assert!(parse(b"GET").is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn parse(bytes: &[u8]) -> Result<Option<(ProxyHeader, usize)>, ProxyHeaderError> {
    let with = |version| move |(proxied, bytes)| (ProxyHeader { version, proxied }, bytes);
    if begins(bytes, v2::SIGNATURE) {
        return Ok(v2::parse(bytes)?.map(with(ProxyVersion::V2)));
    }
    if begins(bytes, v1::SIGNATURE) {
        return Ok(v1::parse(bytes)?.map(with(ProxyVersion::V1)));
    }
    Err(ProxyHeaderError::Signature)
}

/// Whether `bytes` begin with `signature`, or may when more have come.
fn begins(bytes: &[u8], signature: &[u8]) -> bool {
    bytes.iter().zip(signature).all(|(one, other)| one == other)
}

/// Appends a header that says `proxied`.
///
/// Addresses of two families are both written as IPv6, the IPv4 one mapped (RFC 4291
/// section 2.5.5.2). Version 1 has no word for a Unix socket and says `UNKNOWN`.
pub fn encode(version: ProxyVersion, proxied: &Proxied, out: &mut BytesMut) {
    let proxied = match *proxied {
        Proxied::Tcp {
            source,
            destination,
        } if source.is_ipv4() != destination.is_ipv4() => Proxied::Tcp {
            source: mapped(source),
            destination: mapped(destination),
        },
        other => other,
    };
    match version {
        ProxyVersion::V1 => v1::encode(&proxied, out),
        ProxyVersion::V2 => v2::encode(&proxied, out),
    }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddrV6::new(ip.to_ipv6_mapped(), address.port(), 0, 0).into(),
        IpAddr::V6(_) => address,
    }
}

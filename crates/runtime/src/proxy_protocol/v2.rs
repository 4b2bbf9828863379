//! Version 2: binary (section 2.2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::{Buf, BufMut, BytesMut};

use super::checksum::crc32c;
use super::{Proxied, ProxyHeaderError};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The most bytes of addresses and extensions. The protocol has room for 65,535; a TLS
/// client's certificate among the extensions takes one or two thousand.
pub const V2_BODY_BYTES_MAX: usize = 4096;

/// The most bytes of a header.
pub const V2_BYTES_MAX: usize = HEAD_BYTES + V2_BODY_BYTES_MAX;

/// The signature, command, family and length.
const HEAD_BYTES: usize = SIGNATURE.len() + 4;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

const UNSPECIFIED: u8 = 0x00;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UNIX_STREAM: u8 = 0x31;

/// Two paths of `sun_path`'s size.
const UNIX_BYTES: usize = 2 * 108;

/// The type of the extension that carries the header's checksum (section 2.2.3).
const TYPE_CRC32C: u8 = 0x03;

pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Proxied, usize)>, ProxyHeaderError> {
    let Some(&command) = bytes.get(SIGNATURE.len()) else {
        return Ok(None);
    };
    if command != LOCAL && command != PROXY {
        return Err(ProxyHeaderError::Command(command));
    }
    let Some(mut rest) = bytes.get(SIGNATURE.len() + 1..HEAD_BYTES) else {
        return Ok(None);
    };
    let (family, length) = (rest.get_u8(), usize::from(rest.get_u16()));
    if length > V2_BODY_BYTES_MAX {
        return Err(ProxyHeaderError::TooLong(HEAD_BYTES + length));
    }
    let Some(header) = bytes.get(..HEAD_BYTES + length) else {
        return Ok(None);
    };
    let proxied = match command {
        // The family is to be ignored, and with it whatever the bytes mean.
        LOCAL => Proxied::Nothing,
        _ => {
            let mut body = &header[HEAD_BYTES..];
            let proxied = addresses(family, &mut body)?;
            check_extensions(header, body)?;
            proxied
        }
    };
    Ok(Some((proxied, header.len())))
}

/// Takes the addresses off the front of `body`.
fn addresses(family: u8, body: &mut &[u8]) -> Result<Proxied, ProxyHeaderError> {
    let bytes = match family {
        UNSPECIFIED => 0,
        TCP4 => 12,
        TCP6 => 36,
        UNIX_STREAM => UNIX_BYTES,
        other => return Err(ProxyHeaderError::Family(other)),
    };
    let (mut addresses, rest) = body
        .split_at_checked(bytes)
        .ok_or(ProxyHeaderError::Length)?;
    *body = rest;
    let (source, destination) = match family {
        UNSPECIFIED => return Ok(Proxied::Nothing),
        TCP4 => (
            Ipv4Addr::from_bits(addresses.get_u32()).into(),
            Ipv4Addr::from_bits(addresses.get_u32()).into(),
        ),
        TCP6 => (
            Ipv6Addr::from_bits(addresses.get_u128()).into(),
            Ipv6Addr::from_bits(addresses.get_u128()).into(),
        ),
        _ => return Ok(Proxied::Unix),
    };
    Ok(Proxied::Tcp {
        source: SocketAddr::new(source, addresses.get_u16()),
        destination: SocketAddr::new(destination, addresses.get_u16()),
    })
}

/// The extensions have to fill the header to its end, and a checksum among them to be right.
fn check_extensions(header: &[u8], mut rest: &[u8]) -> Result<(), ProxyHeaderError> {
    while !rest.is_empty() {
        let (kind, value, behind) = extension(rest).ok_or(ProxyHeaderError::Length)?;
        if kind == TYPE_CRC32C {
            let said = value.try_into().map_err(|_| ProxyHeaderError::Length)?;
            let after = behind.len();
            let before = header.len() - after - value.len();
            // It was computed with zeroes in its own place.
            let sum = crc32c(&[&header[..before], &[0; 4], &header[header.len() - after..]]);
            if sum != u32::from_be_bytes(said) {
                return Err(ProxyHeaderError::Checksum);
            }
        }
        rest = behind;
    }
    Ok(())
}

fn extension(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[kind, high, low], rest) = bytes.split_first_chunk()?;
    let length = u16::from_be_bytes([high, low]);
    let (value, behind) = rest.split_at_checked(length.into())?;
    Some((kind, value, behind))
}

pub(super) fn encode(proxied: &Proxied, out: &mut BytesMut) {
    out.put_slice(SIGNATURE);
    match *proxied {
        Proxied::Nothing => {
            out.put_slice(&[LOCAL, UNSPECIFIED]);
            out.put_u16(0);
        }
        Proxied::Unix => {
            out.put_slice(&[PROXY, UNIX_STREAM]);
            out.put_u16(UNIX_BYTES as u16);
            out.put_bytes(0, UNIX_BYTES);
        }
        Proxied::Tcp {
            source,
            destination,
        } => {
            let (family, length) = if source.is_ipv4() {
                (TCP4, 12)
            } else {
                (TCP6, 36)
            };
            out.put_slice(&[PROXY, family]);
            out.put_u16(length);
            for address in [source, destination] {
                match address {
                    SocketAddr::V4(address) => out.put_u32(address.ip().to_bits()),
                    SocketAddr::V6(address) => out.put_u128(address.ip().to_bits()),
                }
            }
            out.put_u16(source.port());
            out.put_u16(destination.port());
        }
    }
}

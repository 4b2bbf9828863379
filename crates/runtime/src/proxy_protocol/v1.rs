//! Version 1: one line of text (section 2.1).

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use bytes::BytesMut;

use super::{Proxied, ProxyHeaderError};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// The longest line, with its end: two IPv6 addresses without a zero to be left out.
pub const V1_BYTES_MAX: usize = 107;

const END: &[u8] = b"\r\n";

pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Proxied, usize)>, ProxyHeaderError> {
    let line = &bytes[..bytes.len().min(V1_BYTES_MAX)];
    let Some(length) = line.iter().position(|byte| END.contains(byte)) else {
        return if line.len() < V1_BYTES_MAX {
            Ok(None)
        } else {
            Err(ProxyHeaderError::Line)
        };
    };
    match &line[length..] {
        [b'\r', b'\n', ..] => {}
        [b'\r'] if line.len() < V1_BYTES_MAX => return Ok(None),
        _ => return Err(ProxyHeaderError::Line),
    }
    let said = &line[SIGNATURE.len()..length];
    // Whatever a proxy adds to the word is to be ignored.
    if said == b"UNKNOWN" || said.starts_with(b"UNKNOWN ") {
        return Ok(Some((Proxied::Nothing, length + END.len())));
    }
    let proxied = addresses(said).ok_or(ProxyHeaderError::Line)?;
    Ok(Some((proxied, length + END.len())))
}

fn addresses(said: &[u8]) -> Option<Proxied> {
    let mut words = std::str::from_utf8(said).ok()?.split(' ');
    let ip: fn(&str) -> Option<IpAddr> = match words.next()? {
        "TCP4" => |word| word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |word| word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return None,
    };
    let (source, destination) = (ip(words.next()?)?, ip(words.next()?)?);
    let (source_port, destination_port) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then_some(Proxied::Tcp {
        source: SocketAddr::new(source, source_port),
        destination: SocketAddr::new(destination, destination_port),
    })
}

/// Digits without a leading zero; the standard parser takes `+80` and `080` as well.
fn port(word: &str) -> Option<u16> {
    let plain = word.bytes().all(|byte| byte.is_ascii_digit());
    let short = word == "0" || !word.starts_with('0');
    word.parse().ok().filter(|_| plain && short)
}

pub(super) fn encode(proxied: &Proxied, out: &mut BytesMut) {
    let written = match proxied {
        Proxied::Nothing | Proxied::Unix => out.write_str("PROXY UNKNOWN\r\n"),
        Proxied::Tcp {
            source,
            destination,
        } => {
            let family = if source.is_ipv4() { "TCP4" } else { "TCP6" };
            write!(
                out,
                "PROXY {family} {} {} {} {}\r\n",
                source.ip(),
                destination.ip(),
                source.port(),
                destination.port()
            )
        }
    };
    written.expect("memory takes whatever is written");
}

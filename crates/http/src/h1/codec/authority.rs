//! Validates `Host` and the authority of a request target (RFC 3986 section
//! 3.2, RFC 9110 section 7.2). Called by the request parser.

use std::net::Ipv6Addr;

/// Whether a port has to follow the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Port {
    Optional,
    Required,
}

/// Bytes of a registered name or IPv4 address: unreserved and sub-delims of
/// RFC 3986. `@`, which would start a host over, is not among them.
const NAME_BYTES: [bool; 256] = {
    let mut table = [false; 256];
    let allowed = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~!$&'()*+,;=";
    let mut index = 0;
    while index < allowed.len() {
        table[allowed[index] as usize] = true;
        index += 1;
    }
    table
};

/// `uri-host [ ":" port ]` with a host that is not empty and a port below
/// 65536; without user information.
pub(super) fn is_valid(authority: &[u8], port: Port) -> bool {
    let Some(host_length) = host_length(authority) else {
        return false;
    };
    match authority[host_length..].split_first() {
        None => port == Port::Optional,
        Some((b':', digits)) => is_port(digits, port),
        Some(_) => false,
    }
}

fn host_length(authority: &[u8]) -> Option<usize> {
    if authority.first() == Some(&b'[') {
        let end = memchr::memchr(b']', authority)?;
        let address = std::str::from_utf8(&authority[1..end]).ok()?;
        address.parse::<Ipv6Addr>().ok()?;
        return Some(end + 1);
    }
    let mut index = 0;
    while let Some(&byte) = authority.get(index) {
        if NAME_BYTES[usize::from(byte)] {
            index += 1;
        } else if byte == b'%' {
            let escaped = authority.get(index + 1..index + 3)?;
            if !escaped.iter().all(u8::is_ascii_hexdigit) {
                return None;
            }
            index += 3;
        } else {
            break;
        }
    }
    (index > 0).then_some(index)
}

fn is_port(digits: &[u8], port: Port) -> bool {
    if digits.is_empty() {
        return port == Port::Optional;
    }
    // Leading zeros are legal; five digits are enough for any port.
    digits.len() <= 5
        && digits.iter().all(u8::is_ascii_digit)
        && digits.iter().fold(0_u32, |number, &digit| {
            number * 10 + u32::from(digit - b'0')
        }) <= u32::from(u16::MAX)
}

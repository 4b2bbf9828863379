//! Hosts: what a route may name, and how a request's host is compared with it.
//!
//! Comparison ignores case, the port and one trailing dot (RFC 9110 section 4.2.3,
//! RFC 1034 section 3.1). Normalizing allocates nothing.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hasher};
use std::str::FromStr;

/// The longest host a named route can match, in bytes: DNS allows 253, and an IPv6
/// literal with a zone stays below. A longer one meets the routes without a host.
pub(super) const HOST_BYTES_MAX: usize = 255;

/// Routes by host. Keys are the operator's, so a peer cannot make them collide and
/// the quick hash is safe.
pub(super) type HostMap<V> = HashMap<Box<str>, V, BuildHasherDefault<Fnv>>;

/// The host a route is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum HostPattern {
    /// This host only: lower case, without port or trailing dot.
    Exact(Box<str>),
    /// `*.parent`: every host below `parent`, one label or more; not `parent` itself.
    Wildcard(Box<str>),
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => formatter.write_str(host),
            Self::Wildcard(parent) => write!(formatter, "*.{parent}"),
        }
    }
}

/// Why a text is no host pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostPatternError {
    /// Nothing there.
    #[error("a host must not be empty; leave it out to serve every host")]
    Empty,
    /// A bare `*`.
    #[error("`*` alone is no host; leave the host out to serve every host")]
    BareWildcard,
    /// A `*` other than as the whole first label.
    #[error("`*` may only be the whole first label, as in `*.example.com`")]
    MisplacedWildcard,
    /// A port.
    #[error("a host is matched without its port; write it without one")]
    Port,
    /// Two dots in a row, or a dot at the start.
    #[error("a label between two dots must not be empty")]
    EmptyLabel,
    /// A character no host name has.
    #[error("`{0}` cannot be in a host name; write other scripts in their `xn--` form")]
    Character(char),
    /// More than 253 bytes.
    #[error("a host name has at most 253 characters")]
    TooLong,
}

impl FromStr for HostPattern {
    type Err = HostPatternError;

    fn from_str(text: &str) -> Result<Self, HostPatternError> {
        if text == "*" {
            return Err(HostPatternError::BareWildcard);
        }
        match text.strip_prefix("*.") {
            Some(parent) => parse_name(parent).map(Self::Wildcard),
            None => parse_host(text).map(Self::Exact),
        }
    }
}

fn parse_host(text: &str) -> Result<Box<str>, HostPatternError> {
    let Some(literal) = text.strip_prefix('[') else {
        return parse_name(text);
    };
    let (address, after) = literal
        .split_once(']')
        .ok_or(HostPatternError::Character('['))?;
    if !after.is_empty() {
        return Err(HostPatternError::Port);
    }
    let known = |character: &char| character.is_ascii_hexdigit() || matches!(character, ':' | '.');
    match address.chars().find(|character| !known(character)) {
        Some(character) => Err(HostPatternError::Character(character)),
        None => Ok(text.to_ascii_lowercase().into()),
    }
}

fn parse_name(text: &str) -> Result<Box<str>, HostPatternError> {
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() {
        return Err(HostPatternError::Empty);
    }
    if name.len() > 253 {
        return Err(HostPatternError::TooLong);
    }
    for character in name.chars() {
        match character {
            '*' => return Err(HostPatternError::MisplacedWildcard),
            ':' => return Err(HostPatternError::Port),
            '.' | '-' | '_' => {}
            _ if character.is_ascii_alphanumeric() => {}
            _ => return Err(HostPatternError::Character(character)),
        }
    }
    if name.split('.').any(str::is_empty) {
        return Err(HostPatternError::EmptyLabel);
    }
    Ok(name.to_ascii_lowercase().into())
}

/// `host` without port and trailing dot, in lower case; `None` when nothing is left
/// or it is too long to be any route's.
pub(super) fn normalize<'a>(
    host: &'a str,
    scratch: &'a mut [u8; HOST_BYTES_MAX],
) -> Option<&'a str> {
    let name = if host.starts_with('[') {
        &host[..=host.find(']')?]
    } else {
        let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
        name.strip_suffix('.').unwrap_or(name)
    };
    if name.is_empty() || name.len() > HOST_BYTES_MAX {
        return None;
    }
    if !name.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Some(name);
    }
    let lower = &mut scratch[..name.len()];
    lower.copy_from_slice(name.as_bytes());
    lower.make_ascii_lowercase();
    std::str::from_utf8(lower).ok()
}

/// How many labels `name` has.
pub(super) fn labels(name: &str) -> usize {
    name.split('.').count()
}

/// The domains above `host` of at most `labels_max` labels, longest first.
pub(super) fn parents(host: &str, labels_max: usize) -> impl Iterator<Item = &str> {
    let skip = labels(host).saturating_sub(labels_max + 1);
    let dots = host.match_indices('.').filter(|(at, _)| *at > 0);
    dots.skip(skip).map(|(at, _)| &host[at + 1..])
}

/// FNV-1a, 64 bit.
#[derive(Debug)]
pub(super) struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_request_host_loses_case_port_and_trailing_dot() {
        for (host, expected) in [
            ("example.com", Some("example.com")),
            ("EXAMPLE.com:8080", Some("example.com")),
            ("example.com.", Some("example.com")),
            ("Example.com.:443", Some("example.com")),
            ("[::1]:80", Some("[::1]")),
            ("[FE80::1]", Some("[fe80::1]")),
            ("", None),
            (":80", None),
            ("[::1", None),
        ] {
            let mut scratch = [0; HOST_BYTES_MAX];
            assert_eq!(normalize(host, &mut scratch), expected, "{host}");
        }
        let long = "a".repeat(HOST_BYTES_MAX + 1);
        assert_eq!(normalize(&long, &mut [0; HOST_BYTES_MAX]), None);
    }

    #[test]
    fn parents_are_longest_first_and_bounded() {
        let of = |host, max| parents(host, max).collect::<Vec<_>>();
        assert_eq!(
            of("a.b.example.com", 9),
            ["b.example.com", "example.com", "com"]
        );
        assert_eq!(of("a.b.example.com", 2), ["example.com", "com"]);
        assert_eq!(of("com", 2), [""; 0]);
        assert_eq!(of(".example.com", 5), ["com"]);
    }

    #[test]
    fn patterns_say_what_is_wrong() {
        use HostPatternError as Error;
        for (text, error) in [
            ("", Error::Empty),
            (".", Error::Empty),
            ("*", Error::BareWildcard),
            ("*.", Error::Empty),
            ("a.*.com", Error::MisplacedWildcard),
            ("*a.com", Error::MisplacedWildcard),
            ("example.com:80", Error::Port),
            ("[::1]:80", Error::Port),
            ("a..com", Error::EmptyLabel),
            (".com", Error::EmptyLabel),
            ("exa mple.com", Error::Character(' ')),
            ("bücher.de", Error::Character('ü')),
        ] {
            assert_eq!(text.parse::<HostPattern>(), Err(error), "{text}");
        }
        let host: HostPattern = "Example.COM.".parse().unwrap();
        assert_eq!(host, HostPattern::Exact("example.com".into()));
        let host: HostPattern = "*.Example.COM".parse().unwrap();
        assert_eq!(host.to_string(), "*.example.com");
        assert!("[::1]".parse::<HostPattern>().is_ok());
    }
}

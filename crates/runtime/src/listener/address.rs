//! Where to listen, as operators write it.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The longest path a Unix socket can be bound to: `sun_path` less its final zero (unix(7)).
const UNIX_PATH_BYTES_MAX: usize = 107;

const UNIX_PREFIX: &str = "unix:";

const PASSED_PREFIX: &str = "systemd:";

/// An address to listen at: `127.0.0.1:80`, `[::1]:80`, `unix:/run/app.sock`, or `systemd:web`
/// for the socket of that name that was [passed](super::take_over) to the process.
///
/// Port 0 lets the kernel choose. `[::]:80` listens to IPv6 alone; name `0.0.0.0:80`
/// too to have both.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ListenAddr {
    /// A TCP address.
    Tcp(SocketAddr),
    /// The path of a Unix stream socket.
    Unix(PathBuf),
    /// The name of a socket that was passed to the process.
    Passed(Box<str>),
}

impl ListenAddr {
    /// The TCP address, if it is one.
    pub const fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            Self::Unix(_) | Self::Passed(_) => None,
        }
    }

    /// The Unix socket's path, if it is one.
    pub fn unix(&self) -> Option<&Path> {
        match self {
            Self::Tcp(_) | Self::Passed(_) => None,
            Self::Unix(path) => Some(path),
        }
    }

    /// Whether the kernel chooses the port.
    pub(super) fn is_port_open(&self) -> bool {
        self.tcp().is_some_and(|address| address.port() == 0)
    }

    /// Whether both cover some address and port, without being the same.
    pub(super) fn overlaps(&self, other: &Self) -> bool {
        let (Self::Tcp(mine), Self::Tcp(theirs)) = (self, other) else {
            return false;
        };
        mine != theirs
            && mine.port() == theirs.port()
            && mine.is_ipv4() == theirs.is_ipv4()
            && (mine.ip().is_unspecified() || theirs.ip().is_unspecified())
    }
}

/// A text that names no address to listen at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no address to listen at: {problem}")]
pub struct ParseListenAddrError {
    text: String,
    problem: &'static str,
}

impl FromStr for ListenAddr {
    type Err = ParseListenAddrError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |problem| {
            Err(ParseListenAddrError {
                text: text.to_owned(),
                problem,
            })
        };
        if let Some(path) = text.strip_prefix(UNIX_PREFIX) {
            return match path.len() {
                0 => refuse("the path after `unix:` is missing"),
                length if length > UNIX_PATH_BYTES_MAX => {
                    refuse("the path of a Unix socket has at most 107 bytes")
                }
                _ => Ok(Self::Unix(path.into())),
            };
        }
        if let Some(name) = text.strip_prefix(PASSED_PREFIX) {
            return match name {
                "" => refuse("the name after `systemd:` is missing"),
                name => Ok(Self::Passed(name.into())),
            };
        }
        match text.parse() {
            Ok(address) => Ok(Self::Tcp(address)),
            Err(_) if text.starts_with('/') => refuse("a Unix socket is written `unix:/path`"),
            Err(_) => refuse("expected `127.0.0.1:80`, `[::1]:80` or `unix:/path`"),
        }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{UNIX_PREFIX}{}", path.display()),
            Self::Passed(name) => write!(f, "{PASSED_PREFIX}{name}"),
        }
    }
}

impl From<SocketAddr> for ListenAddr {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn parse(text: &str) -> Result<ListenAddr, String> {
        text.parse()
            .map_err(|error: ParseListenAddrError| error.to_string())
    }

    #[test]
    fn what_is_shown_is_what_was_written() {
        for text in [
            "127.0.0.1:80",
            "[::1]:80",
            "[::]:0",
            "unix:/run/web.sock",
            "systemd:web",
        ] {
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_bad_address_says_what_was_expected() {
        let expected = [
            ("localhost:80", "expected `127.0.0.1:80`"),
            (":80", "expected `127.0.0.1:80`"),
            ("127.0.0.1:70000", "expected"),
            ("", "expected"),
            ("/run/web.sock", "`unix:/path`"),
            ("unix:", "missing"),
            ("systemd:", "missing"),
        ];
        for (text, hint) in expected {
            let error = parse(text).unwrap_err();
            assert!(error.contains(hint) && error.contains(text), "{error}");
        }
        assert!(parse(&format!("unix:/{}", "a".repeat(107))).is_err());
    }

    #[test]
    fn a_wildcard_overlaps_its_family_and_port_only() {
        let overlaps =
            |left: &str, right: &str| parse(left).unwrap().overlaps(&parse(right).unwrap());
        assert!(overlaps("0.0.0.0:80", "127.0.0.1:80"));
        assert!(overlaps("127.0.0.1:80", "0.0.0.0:80"));
        assert!(!overlaps("0.0.0.0:80", "127.0.0.1:81"));
        assert!(!overlaps("[::]:80", "127.0.0.1:80"));
        assert!(!overlaps("127.0.0.1:80", "127.0.0.1:80"));
    }
}

//! Addresses: where servers listen, where upstreams are.

use super::found::quoted;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use tidegate_runtime::listener::ListenAddr;

pub(super) const LISTEN: &str =
    "an address such as \"0.0.0.0:8080\", \"[::]:8080\" or \"unix:/run/web.sock\"";

/// Before the name of a socket that systemd passes.
const PASSED: &str = "systemd:";

/// A listen address; a relative socket path starts at the directory of the file.
pub(super) fn parse_listen(
    text: &str,
    resolve: &dyn Fn(&str) -> PathBuf,
) -> Result<ListenAddr, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix_path(path, resolve).map(ListenAddr::Unix);
    }
    if let Some(name) = text.strip_prefix(PASSED) {
        return match name {
            "" => Err("the name of the passed socket is missing".to_owned()),
            name => Ok(ListenAddr::Passed(name.into())),
        };
    }
    let shown = quoted(text);
    text.parse().map_err(|_| match text.parse::<IpAddr>() {
        Ok(_) => format!("the address {shown} has no port"),
        Err(_) if text.starts_with('/') => format!("a Unix socket is written \"unix:{text}\""),
        Err(_) => format!("{shown} is not an IP address with a port"),
    })
}

/// The longest socket path the kernel takes (`sun_path`, with its closing zero).
const UNIX_PATH_BYTES_MAX: usize = 107;

fn unix_path(path: &str, resolve: &dyn Fn(&str) -> PathBuf) -> Result<PathBuf, String> {
    if path.is_empty() || path.contains('\0') {
        return Err("the path of the socket is empty or contains a zero byte".to_owned());
    }
    let path = resolve(path);
    match path.as_os_str().len() {
        ..=UNIX_PATH_BYTES_MAX => Ok(path),
        bytes => Err(format!(
            "the path of the socket is {bytes} bytes long, at most {UNIX_PATH_BYTES_MAX} work"
        )),
    }
}

/// Whether two servers cannot both listen: the same place, or the same port where
/// one address covers the other. IPv4 and IPv6 wildcards are apart.
pub(super) fn overlap(left: &ListenAddr, right: &ListenAddr) -> bool {
    match (left, right) {
        (ListenAddr::Unix(left), ListenAddr::Unix(right)) => left == right,
        (ListenAddr::Passed(left), ListenAddr::Passed(right)) => left == right,
        (ListenAddr::Tcp(left), ListenAddr::Tcp(right)) => {
            // Port 0 is a different port each time.
            left.port() == right.port()
                && left.port() != 0
                && left.is_ipv4() == right.is_ipv4()
                && (left.ip() == right.ip()
                    || left.ip().is_unspecified()
                    || right.ip().is_unspecified())
        }
        _ => false,
    }
}

/// Where an endpoint of an upstream is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointAddress {
    /// `"127.0.0.1:9000"`, `"[::1]:9000"`
    Socket(SocketAddr),
    /// `"app.internal:9000"`: looked up again and again, see [`super::Dns`].
    Name {
        /// The name, in lower case.
        host: String,
        /// The port.
        port: u16,
    },
    /// `"unix:/run/app.sock"`
    Unix(PathBuf),
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(address) => address.fmt(formatter),
            Self::Name { host, port } => write!(formatter, "{host}:{port}"),
            Self::Unix(path) => write!(formatter, "unix:{}", path.display()),
        }
    }
}

pub(super) const ENDPOINT: &str =
    "an address such as \"127.0.0.1:9000\", \"app.internal:9000\" or \"unix:/run/app.sock\"";

/// The address of an endpoint.
pub(super) fn parse_endpoint(
    text: &str,
    resolve: &dyn Fn(&str) -> PathBuf,
) -> Result<EndpointAddress, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return unix_path(path, resolve).map(EndpointAddress::Unix);
    }
    let shown = quoted(text);
    if text.contains("://") {
        return Err(format!(
            "{shown} is a URL; write host and port only, `tls = {{}}` turns TLS on"
        ));
    }
    if let Ok(address) = SocketAddr::from_str(text) {
        return match address.port() {
            0 => Err(format!("nobody listens on port 0, in {shown}")),
            _ => Ok(EndpointAddress::Socket(address)),
        };
    }
    if text.parse::<IpAddr>().is_ok() {
        return Err(format!("the address {shown} has no port"));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return Err(format!("the address {shown} has no port"));
    };
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits && port > 0 => Ok(EndpointAddress::Name {
            host: parse_host(host)?,
            port,
        }),
        _ => Err(format!("{port:?} is not a port")),
    }
}

/// A DNS name (RFC 1123, with underscores, which are in use), in lower case.
pub(super) fn parse_host(text: &str) -> Result<String, String> {
    let shown = quoted(text);
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.is_empty() || name.len() > 253 {
        return Err(format!("{shown} is not a host name"));
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    let label_fits = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    // All digits would be a mistyped IP address.
    let last_is_number = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.parse::<u64>().is_ok());
    if !name.split('.').all(label_fits) || last_is_number {
        return Err(format!("{shown} is not a host name"));
    }
    Ok(name.to_ascii_lowercase())
}

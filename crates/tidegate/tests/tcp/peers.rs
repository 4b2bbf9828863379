//! Clients, endpoints, and the settings between them.

use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::harness::DEADLINE;

/// Settings of a server `db` that passes everything on to the upstream `app`; `server` and
/// `upstream` follow their keys.
pub(crate) fn proxy(
    listen: SocketAddr,
    endpoints: &[SocketAddr],
    server: &str,
    upstream: &str,
) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(|it| format!("\"{it}\"")).collect();
    let endpoints = endpoints.join(", ");
    format!(
        r#"
[runtime]
workers = 1
pin = false
[servers.db]
protocol = "tcp"
listen = "{listen}"
upstream = "app"
{server}
[upstreams.app]
endpoints = [{endpoints}]
{upstream}
"#
    )
}

/// A listener at a free port, and its address.
pub(crate) fn endpoint() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address where nobody listens.
pub(crate) fn nowhere() -> SocketAddr {
    endpoint().1
}

/// The next connection of a listener. Reading from it fails rather than waits for ever.
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    bounded(listener.accept().unwrap().0)
}

/// A connection to `address`. Reading from it fails rather than waits for ever.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    bounded(TcpStream::connect(address).unwrap())
}

fn bounded(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

/// The next `count` bytes.
pub(crate) fn read(stream: &mut impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Whether nothing comes for a while that is long beside what is tested.
pub(crate) fn is_silent(stream: &TcpStream, time: Duration) -> bool {
    stream.set_read_timeout(Some(time)).unwrap();
    let silent = stream
        .peek(&mut [0])
        .is_err_and(|error| matches!(error.kind(), std::io::ErrorKind::WouldBlock));
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    silent
}

//! Where answers come from.

use std::io;
use std::net::SocketAddr;

/// A source of answers. A lookup that is dropped must stop costing anything soon.
pub trait Lookup {
    /// All addresses of `host` with `port` filled in, best first.
    ///
    /// # Errors
    ///
    /// Whatever kept it from an answer; an empty answer is one too.
    fn lookup(&self, host: &str, port: u16) -> impl Future<Output = io::Result<Vec<SocketAddr>>>;
}

/// The system's resolver (`getaddrinfo`), on tokio's pool for blocking work.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    async fn lookup(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        Ok(tokio::net::lookup_host((host, port)).await?.collect())
    }
}

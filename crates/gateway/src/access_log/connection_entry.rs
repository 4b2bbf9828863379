//! One line about a connection that a TCP proxy passed on, or did not.

use std::time::{Duration, SystemTime};

use bytes::BytesMut;

use super::date::DateCache;
use super::entry::{Line, microseconds};

/// A connection as the log tells it, when it has ended. Texts are cut and escaped as those of
/// an [`Entry`](super::Entry) are; absent values leave their key out.
#[derive(Clone, Debug)]
pub struct ConnectionEntry<'a> {
    /// When it was accepted, or had said what protocol it speaks.
    pub time: SystemTime,
    /// The site that served it.
    pub site: &'a str,
    /// The peer's address.
    pub peer: &'a str,
    /// The name that the client asked for in its ClientHello, where that was read.
    pub server_name: Option<&'a str>,
    /// The upstream's name, once a route was found.
    pub upstream: Option<&'a str>,
    /// The endpoint that took the connection.
    pub endpoint: Option<&'a str>,
    /// Bytes passed on to the endpoint.
    pub forth_bytes: u64,
    /// Bytes passed on to the client.
    pub back_bytes: u64,
    /// From accepting it to its end.
    pub duration: Duration,
    /// From accepting it to having an endpoint.
    pub connect_time: Option<Duration>,
    /// How it ended: `finished`, or what cut it short.
    pub end: &'a str,
}

impl ConnectionEntry<'_> {
    /// Appends the line with its newline.
    pub(super) fn encode(&self, date: &mut DateCache, output: &mut BytesMut) {
        let mut line = Line::begin(self.time, date, output);
        line.short("site", self.site);
        line.short("peer", self.peer);
        line.short("protocol", "tcp");
        line.short("server_name", self.server_name);
        line.short("upstream", self.upstream);
        line.short("endpoint", self.endpoint);
        line.number("forth_bytes", self.forth_bytes);
        line.number("back_bytes", self.back_bytes);
        line.number("duration_us", microseconds(self.duration));
        if let Some(time) = self.connect_time {
            line.number("connect_us", microseconds(time));
        }
        line.short("end", self.end);
        line.end();
    }
}

//! One line about a Thrift call.

use std::time::{Duration, SystemTime};

use bytes::BytesMut;

use super::date::DateCache;
use super::entry::{Line, microseconds};

/// A call as the log tells it. Texts are cut and escaped as those of an
/// [`Entry`](super::Entry) are; absent values leave their key out.
#[derive(Clone, Debug)]
pub struct CallEntry<'a> {
    /// When the call was complete.
    pub time: SystemTime,
    /// The site that served it.
    pub site: &'a str,
    /// The peer's address.
    pub peer: &'a str,
    /// The method, with the service's name where the client put that in front.
    pub method: &'a str,
    /// Transport and protocol, as `framed/binary`.
    pub protocol: &'a str,
    /// The call's sequence id.
    pub sequence_id: i32,
    /// What became of it: `reply`, `exception`, `fault` or `one_way`.
    pub outcome: &'a str,
    /// Bytes of its arguments.
    pub request_bytes: u64,
    /// Bytes of its result, as the upstream sent it.
    pub response_bytes: u64,
    /// From the whole call to the whole answer.
    pub duration: Duration,
    /// The route's name.
    pub route: Option<&'a str>,
    /// The upstream's name.
    pub upstream: Option<&'a str>,
    /// The endpoint that answered, or was tried last.
    pub endpoint: Option<&'a str>,
    /// From sending the call upstream to the answer.
    pub upstream_time: Option<Duration>,
    /// How often the call was made again.
    pub retries: u32,
    /// What went wrong, if something did.
    pub fault: Option<&'a str>,
}

impl CallEntry<'_> {
    /// Appends the line with its newline.
    pub(super) fn encode(&self, date: &mut DateCache, output: &mut BytesMut) {
        let mut line = Line::begin(self.time, date, output);
        line.short("site", self.site);
        line.short("peer", self.peer);
        line.short("method", self.method);
        line.short("protocol", self.protocol);
        line.number("sequence_id", self.sequence_id);
        line.short("outcome", self.outcome);
        line.number("request_bytes", self.request_bytes);
        line.number("response_bytes", self.response_bytes);
        line.number("duration_us", microseconds(self.duration));
        line.short("route", self.route);
        line.short("upstream", self.upstream);
        line.short("endpoint", self.endpoint);
        if let Some(time) = self.upstream_time {
            line.number("upstream_us", microseconds(time));
        }
        line.number("retries", self.retries);
        line.short("fault", self.fault);
        line.end();
    }
}

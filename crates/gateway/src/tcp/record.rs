//! What is known of a connection so far; a line of the access log when it is dropped, however
//! the connection ends.

use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime};

use tidegate_runtime::clock;
use tidegate_runtime::io::PeerAddr;
use tidegate_runtime::opening::OpeningError;
use tidegate_runtime::relay::{RelayError, Relayed};

use super::TcpProxyError;
use crate::access_log::{ConnectionEntry, LogBuffer};
use crate::upstream::{ConnectError, DialError};

/// Of one connection.
#[derive(Debug)]
pub(super) struct Record {
    site: Rc<str>,
    buffer: Rc<LogBuffer>,
    time: SystemTime,
    begun: Instant,
    peer: PeerAddr,
    pub(super) server_name: Option<Box<str>>,
    pub(super) upstream: Option<Rc<str>>,
    endpoint: Option<Rc<str>>,
    connect_time: Option<Duration>,
    relayed: Relayed,
    end: &'static str,
}

impl Record {
    pub(super) fn begin(site: &Rc<str>, buffer: &Rc<LogBuffer>, peer: PeerAddr) -> Self {
        Self {
            site: Rc::clone(site),
            buffer: Rc::clone(buffer),
            time: clock::wall(),
            begun: clock::precise(),
            peer,
            server_name: None,
            upstream: None,
            endpoint: None,
            connect_time: None,
            relayed: Relayed::default(),
            // What a connection comes to that is dropped: at the end of its drain time.
            end: "dropped",
        }
    }

    pub(super) fn joined(&mut self, endpoint: &Rc<str>) {
        self.endpoint = Some(Rc::clone(endpoint));
        self.connect_time = Some(clock::precise().duration_since(self.begun));
    }

    /// As far as it has come, should the connection be dropped.
    pub(super) const fn passed(&mut self, relayed: Relayed) {
        self.relayed = relayed;
    }

    /// It has ended, because of `error` if there is one.
    pub(super) const fn ended(&mut self, error: Option<&TcpProxyError>) {
        self.end = match error {
            None => "finished",
            Some(error) => name_of(error),
        };
    }
}

/// A stable name for the log.
const fn name_of(error: &TcpProxyError) -> &'static str {
    match error {
        TcpProxyError::Opening(OpeningError::Late) => "client_hello_timeout",
        TcpProxyError::Opening(OpeningError::Io(_)) => "client_gone",
        TcpProxyError::Opening(OpeningError::Refused(_)) => "client_hello_invalid",
        TcpProxyError::NoRoute(_) => "no_route",
        TcpProxyError::Dial(DialError::NoEndpoint) => "no_endpoint",
        TcpProxyError::Dial(DialError::Connect(error)) => match error {
            ConnectError::Late { .. } => "connect_timeout",
            ConnectError::Unresolved { .. } => "no_endpoint",
            ConnectError::Failed { .. } => "connect_failed",
        },
        TcpProxyError::Relay { source, .. } => match source {
            RelayError::Idle => "idle_timeout",
            RelayError::Overdue => "total_timeout",
            RelayError::First(_) => "client_reset",
            RelayError::Second(_) => "endpoint_reset",
        },
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let peer = self.peer.to_string();
        let entry = ConnectionEntry {
            time: self.time,
            site: &self.site,
            peer: &peer,
            server_name: self.server_name.as_deref(),
            upstream: self.upstream.as_deref(),
            endpoint: self.endpoint.as_deref(),
            forth_bytes: self.relayed.forth_bytes,
            back_bytes: self.relayed.back_bytes,
            duration: clock::precise().duration_since(self.begun),
            connect_time: self.connect_time,
            end: self.end,
        };
        self.buffer.record_connection(&entry, clock::now());
    }
}

//! What a chain knows about a request besides the request itself.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use http::{HeaderValue, StatusCode};
use tidegate_runtime::clock::{self, Tick};
use tidegate_runtime::io::PeerAddr;

use crate::headers::Headers;

/// The most informational responses that wait to be sent; more are dropped.
const INFORMATIONAL_MAX: usize = 8;

/// How the client reached this server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// The connection a request came in on.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// The client.
    pub peer: PeerAddr,
    /// The address the client reached.
    pub local: PeerAddr,
    /// With TLS or without.
    pub scheme: Scheme,
    /// The deployed generation that serves the connection.
    pub generation: u64,
    /// The name the TLS client asked for, if any.
    pub server_name: Option<Box<str>>,
    peer_ip: OnceCell<HeaderValue>,
}

impl ConnectionInfo {
    /// Describes a connection.
    pub fn new(peer: PeerAddr, local: PeerAddr, scheme: Scheme) -> Self {
        Self {
            peer,
            local,
            scheme,
            generation: 0,
            server_name: None,
            peer_ip: OnceCell::new(),
        }
    }

    /// The client's address as `X-Forwarded-For` has it, made once a connection.
    ///
    /// A Unix peer has no address and is `unknown` (RFC 7239 section 6.2).
    pub fn peer_ip_value(&self) -> &HeaderValue {
        self.peer_ip.get_or_init(|| {
            self.peer
                .ip()
                .and_then(address_value)
                .unwrap_or(HeaderValue::from_static("unknown"))
        })
    }
}

/// An address in its usual spelling. IPv4 without the formatting machinery, which costs
/// a connection with one request more than routing it does.
fn address_value(ip: IpAddr) -> Option<HeaderValue> {
    let IpAddr::V4(ip) = ip else {
        return HeaderValue::try_from(ip.to_string()).ok();
    };
    let mut text = BytesMut::with_capacity("255.255.255.255".len());
    for (position, octet) in ip.octets().into_iter().enumerate() {
        if position > 0 {
            text.extend_from_slice(b".");
        }
        text.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
    }
    HeaderValue::from_maybe_shared(text.freeze()).ok()
}

/// An informational (1xx) response on its way to the client.
#[derive(Debug)]
pub struct Informational {
    /// 100 to 199, but never 101.
    pub status: StatusCode,
    /// Its fields.
    pub headers: Headers,
}

/// What the handlers of a chain note about a request, for the access log.
#[derive(Debug, Default)]
pub struct Facts {
    /// The route taken.
    pub route: Option<Rc<str>>,
    /// The upstream asked.
    pub upstream: Option<Rc<str>>,
    /// The endpoint of it that answered last.
    pub endpoint: Option<Rc<str>>,
    /// From the first attempt to the head of the response.
    pub upstream_time: Option<Duration>,
    /// Attempts after the first.
    pub retries: u32,
    /// The method of a service that was called, where a request is a call.
    pub call: Option<Rc<str>>,
}

/// A handle on what is known about one request. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Context(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Rc<ConnectionInfo>,
    started: Tick,
    asks_upgrade: Cell<bool>,
    facts: RefCell<Facts>,
    informational: RefCell<VecDeque<Informational>>,
}

impl Context {
    /// The context of a request that begins now on `connection`.
    pub fn new(connection: Rc<ConnectionInfo>) -> Self {
        Self(Rc::new(Inner {
            connection,
            started: clock::now(),
            asks_upgrade: Cell::new(false),
            facts: RefCell::default(),
            informational: RefCell::default(),
        }))
    }

    /// The context of the next request on the same connection; takes over the
    /// memory of the last one's if nobody holds it any more.
    pub fn renew(&mut self) {
        match Rc::get_mut(&mut self.0) {
            Some(inner) => {
                inner.started = clock::now();
                inner.asks_upgrade.set(false);
                *inner.facts.get_mut() = Facts::default();
                inner.informational.get_mut().clear();
            }
            None => *self = Self::new(self.0.connection.clone()),
        }
    }

    /// The connection the request came in on.
    pub fn connection(&self) -> &ConnectionInfo {
        &self.0.connection
    }

    /// When the request's head was complete.
    pub fn started(&self) -> Tick {
        self.0.started
    }

    /// Whether the request asks to switch protocols, by `Upgrade` or `CONNECT`, and a
    /// response that does so ([`Body::upgrade`](crate::Body::upgrade)) would be honoured.
    pub fn asks_upgrade(&self) -> bool {
        self.0.asks_upgrade.get()
    }

    pub(crate) fn set_asks_upgrade(&self, asks: bool) {
        self.0.asks_upgrade.set(asks);
    }

    /// Notes something about the request.
    pub fn note(&self, note: impl FnOnce(&mut Facts)) {
        note(&mut self.0.facts.borrow_mut());
    }

    /// Looks at what has been noted so far.
    pub fn facts<T>(&self, look: impl FnOnce(&Facts) -> T) -> T {
        look(&self.0.facts.borrow())
    }

    /// Sends an informational response ahead of the final one (RFC 9110 section 15.2).
    ///
    /// Never 100 (the server sends that itself, when the body is first pulled)
    /// nor 101 (that is a final response here): those are ignored, and so is
    /// whatever exceeds what may wait.
    pub fn inform(&self, status: StatusCode, headers: Headers) {
        let forwardable = status.is_informational()
            && status != StatusCode::CONTINUE
            && status != StatusCode::SWITCHING_PROTOCOLS;
        if forwardable {
            self.push_informational(Informational { status, headers });
        }
    }

    /// Tells a client that waits for it to send its body (RFC 9110 section 10.1.1).
    pub(crate) fn give_leave(&self) {
        self.push_informational(Informational {
            status: StatusCode::CONTINUE,
            headers: Headers::new(),
        });
    }

    fn push_informational(&self, informational: Informational) {
        let mut waiting = self.0.informational.borrow_mut();
        if waiting.len() < INFORMATIONAL_MAX {
            waiting.push_back(informational);
        }
    }

    /// The next informational response to send, if one waits.
    pub(crate) fn next_informational(&self) -> Option<Informational> {
        self.0.informational.borrow_mut().pop_front()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn addresses_are_spelt_as_everybody_spells_them() {
        for address in [
            "0.0.0.0",
            "10.200.3.45",
            "255.255.255.255",
            "::1",
            "2001:db8::7",
        ] {
            let ip: IpAddr = address.parse().unwrap();
            assert_eq!(address_value(ip).unwrap(), address);
        }
    }
}

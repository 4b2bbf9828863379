//! What a chain knows about a call besides the call itself.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tidegate_runtime::clock::{self, Tick};
use tidegate_runtime::io::PeerAddr;

/// The connection a call came in on.
#[derive(Debug)]
pub struct ConnectionInfo {
    /// The client.
    pub peer: PeerAddr,
    /// The address the client reached.
    pub local: PeerAddr,
    /// The name the TLS client asked for, if any.
    pub server_name: Option<Box<str>>,
}

/// What the handlers of a chain note about a call, for the access log.
#[derive(Debug, Default)]
pub struct Facts {
    /// The route taken.
    pub route: Option<Rc<str>>,
    /// The upstream asked.
    pub upstream: Option<Rc<str>>,
    /// The endpoint of it that was asked last.
    pub endpoint: Option<Rc<str>>,
    /// From the first attempt to the answer.
    pub upstream_time: Option<Duration>,
    /// Attempts after the first.
    pub retries: u32,
}

/// A handle on what is known about one call. Cloning it is cheap.
#[derive(Clone, Debug)]
pub struct Context(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Rc<ConnectionInfo>,
    started: Tick,
    facts: RefCell<Facts>,
}

impl Context {
    /// The context of a call that begins now on `connection`.
    #[must_use]
    pub fn new(connection: Rc<ConnectionInfo>) -> Self {
        Self(Rc::new(Inner {
            connection,
            started: clock::now(),
            facts: RefCell::default(),
        }))
    }

    /// The context of the next call on the same connection; takes over the memory of the
    /// last one's if nobody holds it any more.
    pub(crate) fn renew(&mut self) {
        match Rc::get_mut(&mut self.0) {
            Some(inner) => {
                inner.started = clock::now();
                *inner.facts.get_mut() = Facts::default();
            }
            None => *self = Self::new(Rc::clone(&self.0.connection)),
        }
    }

    /// The connection the call came in on.
    #[must_use]
    pub fn connection(&self) -> &ConnectionInfo {
        &self.0.connection
    }

    /// When the call was complete.
    #[must_use]
    pub fn started(&self) -> Tick {
        self.0.started
    }

    /// Notes something about the call.
    pub fn note(&self, note: impl FnOnce(&mut Facts)) {
        note(&mut self.0.facts.borrow_mut());
    }

    /// Looks at what has been noted so far.
    pub fn facts<T>(&self, look: impl FnOnce(&Facts) -> T) -> T {
        look(&self.0.facts.borrow())
    }
}

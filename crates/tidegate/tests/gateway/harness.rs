//! What the tests are made of: a running gateway, scripted origins, raw clients.
//! Whatever is started here is stopped when it is dropped.

mod gateway;
mod message;
mod origin;
mod peer;
mod tls;

use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

pub(crate) use self::gateway::{Gateway, Launch, proxy_to};
pub(crate) use self::message::{Framing, Message};
pub(crate) use self::origin::Origin;
pub(crate) use self::peer::{End, Peer};
pub(crate) use self::tls::Authority;

/// The longest anything may take that is expected to happen.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Waits until `holds`, which is asked again and again.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < DEADLINE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A plain `GET` of `path`.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: example.com\r\n\r\n")
}

/// A whole answer with `body`.
pub(crate) fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// Something a test and a script wait for each other with. Clones are the same gate.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// Lets everybody through from now on.
    pub(crate) fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }

    /// Waits until it is open.
    #[track_caller]
    pub(crate) fn wait(&self) {
        let open = self.open.0.lock().unwrap();
        let waiting = self
            .open
            .1
            .wait_timeout_while(open, DEADLINE, |open| !*open);
        assert!(!waiting.unwrap().1.timed_out(), "the gate never opened");
    }
}

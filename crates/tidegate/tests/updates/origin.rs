//! A server behind the gateway that counts connections and can be held up.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use crate::harness::{DEADLINE, eventually, thread};

#[derive(Default)]
struct State {
    connections: usize,
    open: usize,
    requests: usize,
    /// How many held responses may go on.
    released: usize,
}

struct Shared {
    name: String,
    state: Mutex<State>,
    changed: Condvar,
}

/// An origin. `/slow` waits for [`Origin::release`] before its response, `/body` in the
/// middle of it; a request to upgrade gets a tunnel that echoes; anything else the name.
pub(crate) struct Origin {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

impl Origin {
    pub(crate) fn start(name: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let own = shared.clone();
        // Ends with the test process: nothing can stop an accept.
        thread("origin", move || {
            for stream in listener.incoming().flatten() {
                own.change(|state| {
                    state.connections += 1;
                    state.open += 1;
                });
                let own = own.clone();
                thread("origin connection", move || {
                    // The end of a connection, however it came.
                    let _ = own.serve(&stream);
                    own.change(|state| state.open -= 1);
                });
            }
        });
        Self { address, shared }
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.shared.state.lock().unwrap().connections
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.shared.state.lock().unwrap().open
    }

    /// Waits until this many requests have arrived.
    pub(crate) fn await_requests(&self, count: usize) {
        let arrived = || self.shared.state.lock().unwrap().requests >= count;
        eventually("requests at the origin", || arrived().then_some(()));
    }

    /// Waits until nobody is connected.
    pub(crate) fn await_alone(&self) {
        let what = format!("the end of connections to {}", self.shared.name);
        eventually(&what, || (self.open() == 0).then_some(()));
    }

    /// Lets one held response go on.
    pub(crate) fn release(&self) {
        self.shared.change(|state| state.released += 1);
    }
}

impl Shared {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    fn hold(&self) {
        let state = self.state.lock().unwrap();
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, DEADLINE, |state| state.released == 0)
            .unwrap();
        state.released = state.released.saturating_sub(1);
    }

    fn serve(&self, stream: &TcpStream) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut writer = stream;
        let mut reader = BufReader::new(stream);
        loop {
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if reader.read_line(&mut head)? == 0 {
                    return Ok(());
                }
            }
            self.change(|state| state.requests += 1);
            let lower = head.to_ascii_lowercase();
            if lower.contains("upgrade: echo") {
                writer.write_all(
                    b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n",
                )?;
                let mut buffer = [0; 1024];
                loop {
                    match reader.read(&mut buffer)? {
                        0 => return Ok(()),
                        count => writer.write_all(&buffer[..count])?,
                    }
                }
            }
            let path = head.split(' ').nth(1).unwrap_or_default();
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{}",
                self.name.len(),
                self.name
            );
            if path.starts_with("/slow") {
                self.hold();
            }
            if path.starts_with("/body") {
                let (first, rest) = answer.as_bytes().split_at(answer.len() - 1);
                writer.write_all(first)?;
                self.hold();
                writer.write_all(rest)?;
            } else {
                writer.write_all(answer.as_bytes())?;
            }
        }
    }
}

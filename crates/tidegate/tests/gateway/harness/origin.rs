//! Origins that do what a script says, connection by connection.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use rustls::{ServerConnection, StreamOwned};

use super::message::Message;
use super::ok;
use super::peer::{Peer, Stream};
use super::tls::Identity;

/// One connection as a script sees it.
pub(crate) struct Visit {
    /// The connection.
    pub(crate) peer: Peer,
    /// Which of the origin's connections it is, from 0.
    pub(crate) number: usize,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<Message>>,
    stopping: AtomicBool,
    failed: AtomicBool,
}

/// A server for the gateway to send requests to.
pub(crate) struct Origin {
    address: String,
    seen: Arc<Seen>,
    wake: Box<dyn Fn() + Send>,
}

impl Visit {
    /// Reads a whole request, and counts it; `None` if there is none.
    pub(crate) fn request(&mut self) -> Option<Message> {
        let request = self.peer.request()?;
        self.seen.requests.lock().unwrap().push(request.clone());
        Some(request)
    }

    /// Sends bytes to a gateway that may have gone.
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // Its absence shows in what the test looks at.
        let _ = self.peer.try_send(bytes);
    }
}

impl Origin {
    /// An origin on a TCP port of the kernel's choice that runs `script` on a thread
    /// of its own for each connection.
    pub(crate) fn start(script: impl Fn(&mut Visit) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let accept = move || {
            listener.accept().map(|(stream, _)| {
                stream.set_nodelay(true).unwrap();
                stream
            })
        };
        let wake = move || drop(TcpStream::connect(address));
        Self::serve(address.to_string(), accept, wake, script)
    }

    /// The same behind TLS.
    pub(crate) fn start_tls(
        identity: &Identity,
        script: impl Fn(&mut Visit) + Send + Sync + 'static,
    ) -> Self {
        let config = identity.server();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let accept = move || {
            let session = ServerConnection::new(config.clone()).unwrap();
            Ok(StreamOwned::new(session, listener.accept()?.0))
        };
        let wake = move || drop(TcpStream::connect(address));
        Self::serve(address.to_string(), accept, wake, script)
    }

    /// The same at a Unix socket.
    pub(crate) fn start_unix(
        path: &Path,
        script: impl Fn(&mut Visit) + Send + Sync + 'static,
    ) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let own = path.to_owned();
        let wake = move || drop(std::os::unix::net::UnixStream::connect(&own));
        let accept = move || listener.accept().map(|(stream, _)| stream);
        Self::serve(format!("unix:{}", path.display()), accept, wake, script)
    }

    /// An origin that answers every whole request by `answer`, connections kept.
    pub(crate) fn answering<A: AsRef<[u8]>>(
        answer: impl Fn(&Message) -> A + Send + Sync + 'static,
    ) -> Self {
        Self::start(move |visit| {
            while let Some(request) = visit.request() {
                visit.send(answer(&request));
            }
        })
    }

    /// An origin whose answers name it, and the path asked for.
    pub(crate) fn named(name: &'static str) -> Self {
        Self::answering(move |request| ok(&format!("{name} {}", request.path())))
    }

    fn serve<S: Stream + 'static>(
        address: String,
        accept: impl Fn() -> std::io::Result<S> + Send + 'static,
        wake: impl Fn() + Send + 'static,
        script: impl Fn(&mut Visit) + Send + Sync + 'static,
    ) -> Self {
        let seen = Arc::new(Seen::default());
        let script = Arc::new(script);
        let accepting = seen.clone();
        let accept_all = move || {
            loop {
                let stream = match accept() {
                    Ok(stream) => stream,
                    Err(error) if error.kind() == ErrorKind::ConnectionAborted => continue,
                    Err(error) => panic!("the origin cannot accept: {error}"),
                };
                if accepting.stopping.load(Ordering::SeqCst) {
                    return;
                }
                let mut visit = Visit {
                    peer: Peer::new(stream),
                    number: accepting.connections.fetch_add(1, Ordering::SeqCst),
                    seen: accepting.clone(),
                };
                let script = script.clone();
                run_named("origin", move || {
                    let run = AssertUnwindSafe(|| script(&mut visit));
                    if catch_unwind(run).is_err() {
                        visit.seen.failed.store(true, Ordering::SeqCst);
                    }
                });
            }
        };
        run_named("origin accepting", accept_all);
        Self {
            address,
            seen,
            wake: Box::new(wake),
        }
    }

    /// The address for the settings.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The TCP port.
    pub(crate) fn port(&self) -> u16 {
        self.address.parse::<SocketAddr>().unwrap().port()
    }

    /// How many connections were made to it.
    pub(crate) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// The whole requests it was sent.
    pub(crate) fn requests(&self) -> Vec<Message> {
        self.seen.requests.lock().unwrap().clone()
    }
}

/// A thread that ends with what it serves.
fn run_named(name: &str, work: impl FnOnce() + Send + 'static) {
    let thread = thread::Builder::new().name(name.to_owned());
    drop(thread.spawn(work).unwrap());
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.seen.stopping.store(true, Ordering::SeqCst);
        (self.wake)();
        let failed = self.seen.failed.load(Ordering::SeqCst);
        assert!(!failed || thread::panicking(), "the origin's script failed");
    }
}

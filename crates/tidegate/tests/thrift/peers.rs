//! Clients, servers behind the gateway, and the settings between them.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};

use bytes::{Bytes, BytesMut};
use tidegate_thrift::codec::{
    ApplicationException, Decoder, Envelope, Limits, Message, MessageKind, Protocol, Transport,
    Wire, encode,
};

use crate::harness::{DEADLINE, thread};

/// Settings of a server `calls` that passes everything on to the upstream `app`; `server`
/// and `upstream` follow their keys.
pub(crate) fn gateway(
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
[servers.calls]
protocol = "thrift"
listen = "{listen}"
upstream = "app"
{server}
[upstreams.app]
endpoints = [{endpoints}]
{upstream}
"#
    )
}

pub(crate) const fn wire(transport: Transport, protocol: Protocol) -> Wire {
    Wire {
        transport,
        protocol,
    }
}

pub(crate) const FRAMED: Wire = wire(Transport::Framed, Protocol::Binary);

/// A struct with one i32 of five, in either protocol.
pub(crate) const FIVE: &[u8] = b"\x08\0\x01\0\0\0\x05\0";
pub(crate) const FIVE_COMPACT: &[u8] = b"\x15\x0a\0";

pub(crate) fn call(wire: Wire, method: &str, sequence_id: i32) -> Message {
    let body = match wire.protocol {
        Protocol::Compact => FIVE_COMPACT,
        Protocol::Binary | Protocol::BinaryOld => FIVE,
    };
    Message {
        wire,
        envelope: Envelope {
            method: method.into(),
            kind: MessageKind::Call,
            sequence_id,
        },
        headers: None,
        body: Bytes::from_static(body),
    }
}

/// One end of a connection. Reading from it fails rather than waits for ever.
pub(crate) struct Peer<S = TcpStream> {
    pub(crate) stream: S,
    decoder: Decoder,
    read: BytesMut,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self::of(stream)
    }
}

impl<S: Read + Write> Peer<S> {
    /// One end of any stream, with the time limits that this has.
    pub(crate) fn of(stream: S) -> Self {
        Self {
            stream,
            decoder: Decoder::new(Limits::default()),
            read: BytesMut::new(),
        }
    }

    pub(crate) fn send(&mut self, message: &Message) {
        self.stream.write_all(&encode(message).unwrap()).unwrap();
    }

    /// The next message; none when the other side has finished.
    pub(crate) fn receive(&mut self) -> Option<Message> {
        self.try_receive().unwrap()
    }

    fn try_receive(&mut self) -> io::Result<Option<Message>> {
        loop {
            if let Some(message) = self.decoder.decode(&mut self.read).unwrap() {
                return Ok(Some(message));
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes)? {
                0 => return Ok(None),
                count => self.read.extend_from_slice(&bytes[..count]),
            }
        }
    }

    pub(crate) fn ask(&mut self, message: &Message) -> Message {
        self.send(message);
        self.receive().expect("the gateway answers")
    }

    /// Asks, and is answered with an exception.
    pub(crate) fn ask_in_vain(&mut self, message: &Message) -> ApplicationException {
        let answer = self.ask(message);
        assert_eq!(answer.envelope.kind, MessageKind::Exception);
        assert_eq!(answer.envelope.sequence_id, message.envelope.sequence_id);
        let protocol = answer.wire.protocol;
        ApplicationException::decode(&answer.body, protocol, &Limits::default()).unwrap()
    }
}

#[derive(Default)]
struct Seen {
    calls: Vec<Message>,
    connections: usize,
    is_released: bool,
}

/// A server that answers with what it was sent, and remembers it. The method `stall` is
/// answered once [`Backend::release`] was called, `hang_up` never.
#[derive(Clone)]
pub(crate) struct Backend {
    pub(crate) address: SocketAddr,
    seen: Arc<(Mutex<Seen>, Condvar)>,
}

impl Backend {
    pub(crate) fn start() -> Self {
        Self::start_over(|stream| stream)
    }

    /// The same, talking over what `wrap` makes of each connection.
    pub(crate) fn start_over<S: Read + Write + 'static>(
        wrap: impl Fn(TcpStream) -> S + Send + Sync + Clone + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let backend = Self {
            address: listener.local_addr().unwrap(),
            seen: Arc::default(),
        };
        let serving = backend.clone();
        let connections = move || {
            let stream = listener.accept().unwrap().0;
            stream.set_nodelay(true).unwrap();
            stream
        };
        serving.serve_all(connections, wrap);
        backend
    }

    /// The same at a Unix socket; it has no address.
    pub(crate) fn start_at(path: &Path) -> Self {
        let listener = UnixListener::bind(path).unwrap();
        let backend = Self {
            address: ([0; 4], 0).into(),
            seen: Arc::default(),
        };
        let connections = move || listener.accept().unwrap().0;
        backend.clone().serve_all(connections, |stream| stream);
        backend
    }

    fn serve_all<C: Send + 'static, S: Read + Write + 'static>(
        self,
        connections: impl Fn() -> C + Send + 'static,
        wrap: impl Fn(C) -> S + Send + Sync + Clone + 'static,
    ) {
        thread("backend", move || {
            loop {
                let stream = connections();
                self.seen.0.lock().unwrap().connections += 1;
                let (serving, wrap) = (self.clone(), wrap.clone());
                thread("backend connection", move || serving.serve(wrap(stream)));
            }
        });
    }

    fn serve(&self, stream: impl Read + Write) {
        let mut peer = Peer::of(stream);
        loop {
            // An idle connection may be reset with the process that kept it.
            let Ok(Some(message)) = peer.try_receive() else {
                return;
            };
            let method = message.envelope.method.clone();
            let kind = message.envelope.kind;
            let answer = Message {
                envelope: message.envelope.answer(MessageKind::Reply),
                ..message.clone()
            };
            let (seen, news) = &*self.seen;
            let mut seen = seen.lock().unwrap();
            seen.calls.push(message);
            news.notify_all();
            if method == "stall" {
                let wait = |seen: &mut Seen| !seen.is_released;
                let (_seen, timeout) = news.wait_timeout_while(seen, DEADLINE, wait).unwrap();
                assert!(!timeout.timed_out());
            }
            if method == "hang_up" {
                return;
            }
            if kind == MessageKind::Call {
                peer.send(&answer);
            }
        }
    }

    /// Waits until it has been sent as many calls, and gives them.
    pub(crate) fn calls(&self, count: usize) -> Vec<Message> {
        let (seen, news) = &*self.seen;
        let seen = seen.lock().unwrap();
        let wait = |seen: &mut Seen| seen.calls.len() < count;
        let (seen, timeout) = news.wait_timeout_while(seen, DEADLINE, wait).unwrap();
        assert!(!timeout.timed_out(), "{} calls came", seen.calls.len());
        seen.calls.clone()
    }

    pub(crate) fn connections(&self) -> usize {
        self.seen.0.lock().unwrap().connections
    }

    pub(crate) fn release(&self) {
        self.seen.0.lock().unwrap().is_released = true;
        self.seen.1.notify_all();
    }
}

/// An address where nobody listens.
pub(crate) fn nowhere() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

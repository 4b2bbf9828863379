//! A server on this thread, and clients that say exactly what a test wants said.

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tidegate_runtime::connections::{Accepted, Connections};
use tidegate_runtime::io::Io;
use tidegate_service::Service;
use tidegate_thrift::codec::{
    ApplicationException, Decoder, Envelope, Limits, Message, MessageKind, Protocol, Transport,
    Wire, encode,
};
use tidegate_thrift::server::{ServerSettings, ThriftServer};
use tidegate_thrift::{Answer, Call, Fault, FaultKind};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::timeout;

/// Longer than anything here takes on the busiest machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const FRAMED: Wire = Wire {
    transport: Transport::Framed,
    protocol: Protocol::Binary,
};

/// An empty struct, in either protocol.
pub(crate) const EMPTY: Bytes = Bytes::from_static(b"\0");

/// Does what the method's name says.
#[derive(Debug)]
pub(crate) struct Doer {
    pub(crate) name: &'static str,
    pub(crate) calls: Cell<u32>,
    pub(crate) gate: Rc<Notify>,
}

impl Doer {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            calls: Cell::new(0),
            gate: Rc::default(),
        }
    }
}

impl Service<Call> for Doer {
    type Response = Answer;
    type Error = Fault;

    async fn call(&self, call: Call) -> Result<Answer, Fault> {
        self.calls.set(self.calls.get() + 1);
        let message = call.message;
        let reply = Message {
            envelope: message.envelope.answer(MessageKind::Reply),
            ..message.clone()
        };
        match message.envelope.method_name() {
            "echo" => Ok(Answer::Message(reply)),
            "nothing" => Ok(Answer::Nothing),
            "wait" => {
                self.gate.notified().await;
                Ok(Answer::Message(reply))
            }
            // A struct with one i32 of five, in the compact protocol.
            "compact" => Ok(Answer::Message(Message {
                wire: Wire {
                    transport: Transport::Framed,
                    protocol: Protocol::Compact,
                },
                headers: None,
                body: Bytes::from_static(b"\x15\x0a\0"),
                ..reply
            })),
            "whoami" => Ok(Answer::Message(Message {
                envelope: Envelope {
                    method: self.name.into(),
                    ..reply.envelope
                },
                ..reply
            })),
            _ => Err(Fault::new(FaultKind::UnknownMethod, "secret detail")),
        }
    }
}

pub(crate) type Server = ThriftServer<Doer>;

pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) connections: Connections,
    pub(crate) server: Rc<Server>,
}

/// Must be called on a worker's runtime, whose end is the server's.
pub(crate) async fn serve(settings: ServerSettings) -> Rig {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Connections::of_generation(1);
    let make = async { Rc::new(ThriftServer::new(settings, Doer::new("first"))) };
    let server = connections.while_made(make).await;
    let (serving, group) = (Rc::clone(&server), connections.clone());
    tokio::task::spawn_local(async move {
        loop {
            let (stream, peer) = listener.accept().await.unwrap();
            let server = Rc::clone(&serving);
            group.spawn(peer.into(), None, move |handle| async move {
                let accepted = Accepted {
                    io: Io::from_tcp(stream),
                    peer: peer.into(),
                    local: address.into(),
                    handle,
                };
                server.call(accepted).await
            });
        }
    });
    Rig {
        address,
        connections,
        server,
    }
}

/// What must happen in time does.
pub(crate) async fn in_time<F: Future>(work: F) -> F::Output {
    timeout(PATIENCE, work).await.expect("it happens in time")
}

pub(crate) fn call(wire: Wire, method: &str, sequence_id: i32) -> Message {
    Message {
        wire,
        envelope: Envelope {
            method: method.into(),
            kind: MessageKind::Call,
            sequence_id,
        },
        headers: None,
        body: EMPTY,
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    decoder: Decoder,
    read: BytesMut,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            decoder: Decoder::new(Limits::default()),
            read: BytesMut::new(),
        }
    }

    pub(crate) async fn send(&mut self, message: &Message) {
        self.send_bytes(&encode(message).unwrap()).await;
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next message; none when the server has finished.
    pub(crate) async fn receive(&mut self) -> Option<Message> {
        in_time(async {
            loop {
                if let Some(message) = self.decoder.decode(&mut self.read).unwrap() {
                    return Some(message);
                }
                if self.stream.read_buf(&mut self.read).await.unwrap() == 0 {
                    return None;
                }
            }
        })
        .await
    }

    pub(crate) async fn ask(&mut self, message: &Message) -> Message {
        self.send(message).await;
        self.receive().await.expect("the server answers")
    }

    /// The exception that comes next.
    pub(crate) async fn exception(&mut self) -> (Envelope, ApplicationException) {
        let message = self.receive().await.expect("the server answers");
        assert_eq!(message.envelope.kind, MessageKind::Exception);
        let read =
            ApplicationException::decode(&message.body, message.wire.protocol, &Limits::default());
        (message.envelope, read.unwrap())
    }
}

//! MQTT over WebSocket: on listeners of its own and as a route of an HTTP server, with TLS
//! and without, by clients that end up on either worker.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::process::Signal;
use tidegate_mqtt::codec::{Packet, QualityOfService, ReasonCode};
use tungstenite::client::ClientRequestBuilder;
use tungstenite::protocol::WebSocket;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, HandshakeError, Message};

use crate::harness::{Place, Tidegate, eventually, free_address};
use crate::mqtt::{Client, encoded, published, tcp};
use crate::talk;
use crate::tls::{self, PAIR, write_pair};

/// Bytes in binary frames, one frame a write.
struct Framed<S> {
    socket: WebSocket<S>,
    unread: Vec<u8>,
}

impl<S: Read + Write> Read for Framed<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.unread.is_empty() {
            match self.socket.read() {
                Ok(Message::Binary(bytes)) => self.unread = bytes.to_vec(),
                Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => return Ok(0),
                Ok(_) => {}
                Err(Error::Io(error)) => return Err(error),
                Err(other) => return Err(io::Error::other(other)),
            }
        }
        let count = buffer.len().min(self.unread.len());
        buffer[..count].copy_from_slice(&self.unread[..count]);
        self.unread.drain(..count);
        Ok(count)
    }
}

impl<S: Read + Write> Write for Framed<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let message = Message::Binary(bytes.to_vec().into());
        self.socket.send(message).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush().map_err(io::Error::other)
    }
}

/// Asks for a switch; the status if it is refused.
fn switched<S: Read + Write>(
    stream: S,
    path: &str,
    protocol: Option<&str>,
) -> Result<WebSocket<S>, u16> {
    let uri = format!("ws://localhost{path}").parse().unwrap();
    let mut request = ClientRequestBuilder::new(uri);
    if let Some(protocol) = protocol {
        request = request.with_sub_protocol(protocol);
    }
    match tungstenite::client(request, stream) {
        Ok((socket, _)) => Ok(socket),
        Err(HandshakeError::Failure(Error::Http(response))) => Err(response.status().as_u16()),
        Err(other) => panic!("no answer: {other}"),
    }
}

fn framed<S: Read + Write>(stream: S, path: &str) -> Framed<S> {
    Framed {
        socket: switched(stream, path, Some("mqtt")).unwrap(),
        unread: Vec::new(),
    }
}

const WORKERS: &str = "[runtime]\nworkers = 2\npin = false\n";

fn listener(listen: SocketAddr, more: &str) -> String {
    format!(
        "{WORKERS}\n[servers.broker]\nprotocol = \"mqtt\"\nlisten = \"{listen}\"\n\
         drain = \"10s\"\nwebsocket = {{ frame_bytes = \"300KiB\" }}\n{more}\n"
    )
}

#[test]
fn clients_of_both_workers_talk_in_frames_and_are_told_of_the_end() {
    let listen = free_address();
    let mut process = Tidegate::start(&listener(listen, ""));
    let mut clients = talk::all_hear_each_other(|| Box::new(framed(tcp(listen), "/mqtt")));
    process.signal(Signal::TERM);
    for client in &mut clients {
        match client.receive() {
            Some(Packet::Disconnect(last)) => {
                assert_eq!(last.reason, ReasonCode::ServerShuttingDown);
            }
            other => panic!("DISCONNECT is awaited, not {other:?}"),
        }
        assert_eq!(client.receive(), None);
    }
    drop(clients);
    assert_eq!(process.ended().code(), Some(0), "{}", process.log_text());
}

#[test]
fn clients_of_both_workers_talk_in_frames_over_tls() {
    let place = Place::new();
    let (chain, listen) = (write_pair(&place, "web"), free_address());
    let mut process = place.start(&listener(listen, PAIR));
    let stream = || tls::over(tcp(listen), &chain);
    drop(talk::all_hear_each_other(|| {
        Box::new(framed(stream(), "/mqtt"))
    }));
    process.stop();
}

/// An HTTP server with a route into a broker that has a plain listener as well.
fn route(web: SocketAddr, broker: SocketAddr, body: &str, packet_kib: u32) -> String {
    format!(
        r#"
{WORKERS}
[servers.web]
protocol = "http"
listen = "{web}"
drain = "200ms"
[[servers.web.routes]]
path = "/chat"
broker = "broker"
[[servers.web.routes]]
prefix = "/"
respond = {{ status = 200, body = "{body}" }}
[servers.broker]
protocol = "mqtt"
listen = "{broker}"
drain = "10s"
limits = {{ packet_bytes = "{packet_kib}KiB" }}
"#
    )
}

/// A connection that has been served, and may be again.
fn idle_request(web: SocketAddr) -> TcpStream {
    let mut idle = tcp(web);
    idle.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    let mut reply = Vec::new();
    while !reply.ends_with(b"\r\n\r\none") && !reply.ends_with(b"\r\n\r\ntwo") {
        let mut byte = [0];
        idle.read_exact(&mut byte).unwrap();
        reply.push(byte[0]);
    }
    idle
}

#[test]
fn a_route_leads_into_the_broker_and_its_clients_outlive_the_route() {
    let (web, broker) = (free_address(), free_address());
    let mut process = Tidegate::start(&route(web, broker, "one", 1024));
    let mut plain = true;
    let mut clients = talk::all_hear_each_other(|| {
        plain = !plain;
        match plain {
            true => Box::new(tcp(broker)),
            false => Box::new(framed(tcp(web), "/chat")),
        }
    });
    let mut sender = clients.pop().unwrap();
    // The HTTP server is replaced, then the broker, then the first is gone altogether.
    let first = route(web, broker, "two", 1024);
    let second = route(web, broker, "two", 512);
    let start = second.find("[servers.web]").unwrap();
    let end = second.find("[servers.broker]").unwrap();
    let third = [&second[..start], &second[end..]].concat();
    for (round, text) in [first, second, third].iter().enumerate() {
        let mut idle = idle_request(web);
        process.update(text);
        if round != 1 {
            // An HTTP connection that idles goes at the latest when its drain is over.
            assert!(matches!(idle.read(&mut [0; 1]), Ok(0) | Err(_)));
        }
        let text = format!("round {round}");
        sender.publish("news/today", text.clone());
        for client in &mut clients {
            assert_eq!(client.message(), text.as_bytes());
        }
    }
    process.signal(Signal::TERM);
    for client in clients.iter_mut().chain([&mut sender]) {
        assert!(matches!(client.receive(), Some(Packet::Disconnect(_))));
        assert_eq!(client.receive(), None);
    }
    drop((clients, sender));
    assert_eq!(process.ended().code(), Some(0), "{}", process.log_text());
}

#[test]
fn who_does_not_ask_for_mqtt_is_refused() {
    let (web, broker, listen) = (free_address(), free_address(), free_address());
    let _first = Tidegate::start(&listener(listen, ""));
    let _second = Tidegate::start(&route(web, broker, "one", 1024));
    for (address, path) in [(listen, "/mqtt"), (web, "/chat")] {
        assert_eq!(switched(tcp(address), path, None).err(), Some(400));
        assert_eq!(switched(tcp(address), path, Some("wamp")).err(), Some(400));
        let mut plain = tcp(address);
        let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        plain.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        plain.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 426 "), "{reply}");
    }
    assert_eq!(
        switched(tcp(listen), "/other", Some("mqtt")).err(),
        Some(404)
    );
}

/// The next packet in binary frames, and how many pongs came before it.
fn next_binary<S: Read + Write>(socket: &mut WebSocket<S>) -> (Vec<u8>, usize) {
    let mut pongs = 0;
    loop {
        match socket.read().unwrap() {
            Message::Binary(bytes) => return (bytes.to_vec(), pongs),
            Message::Pong(_) => pongs += 1,
            other => panic!("not expected: {other:?}"),
        }
    }
}

#[test]
fn packets_are_cut_by_frames_as_the_client_likes() {
    let listen = free_address();
    let _process = Tidegate::start(&listener(listen, ""));
    let mut client = Client::connected(framed(tcp(listen), "/mqtt"), "reader");
    client.subscribe("cut", QualityOfService::AtMostOnce);
    let mut raw = switched(tcp(listen), "/mqtt", Some("mqtt")).unwrap();
    let connect = crate::mqtt::connect("cutter");
    // One byte a frame, with pings between them.
    for byte in &encoded(&connect)[..] {
        raw.send(Message::Binary(vec![*byte].into())).unwrap();
        raw.send(Message::Ping(vec![*byte].into())).unwrap();
    }
    let (ack, pongs) = next_binary(&mut raw);
    assert_eq!((ack[0], ack[3]), (0x20, 0), "CONNACK, accepted");
    assert!(pongs > 0);
    // Many packets a frame.
    let packets: Vec<u8> = (1..=50_u16)
        .flat_map(|number| encoded(&published("cut", number.to_be_bytes().into(), number)))
        .collect();
    raw.send(Message::Binary(packets.into())).unwrap();
    eventually("a first message", || {
        (client.message() == 50_u16.to_be_bytes()).then_some(())
    });
    // The end is asked for and answered.
    raw.close(None).unwrap();
    loop {
        match raw.read() {
            Ok(Message::Close(_)) | Err(Error::ConnectionClosed) => break,
            Ok(_) => {}
            Err(error) => panic!("no answer to the close frame: {error}"),
        }
    }
}

#[test]
fn who_sends_text_or_too_much_is_closed_with_the_status_for_it() {
    let listen = free_address();
    let _process = Tidegate::start(&listener(listen, ""));
    for (message, expected) in [
        (Message::Text("hello".into()), CloseCode::Unsupported),
        (
            Message::Binary(vec![0; 300 * 1024 + 1].into()),
            CloseCode::Size,
        ),
    ] {
        let mut raw = switched(tcp(listen), "/mqtt", Some("mqtt")).unwrap();
        // It may be closed before all of it is written.
        let _ = raw.send(message);
        match raw.read() {
            Ok(Message::Close(Some(close))) => assert_eq!(close.code, expected),
            // What was under way then makes the network drop the frame with the status.
            Err(Error::Io(_)) if expected == CloseCode::Size => {}
            other => panic!("a close frame is awaited, not {other:?}"),
        }
    }
}

//! MQTT over WebSocket (section 6): frames as RFC 6455 has them, written here.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Child;
use std::sync::OnceLock;
use std::time::Duration;

use crate::client::unique;
use crate::packet::{Packet, Publish};
use crate::request::{Connect, Subscribe, Version};
use crate::server::{free_address, start};

const DEADLINE: Duration = Duration::from_secs(20);

/// Opcodes (RFC 6455, section 5.2).
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;

/// A broker that listens for WebSocket and nothing else.
fn listen() -> SocketAddr {
    static BROKER: OnceLock<(SocketAddr, Child)> = OnceLock::new();
    BROKER
        .get_or_init(|| {
            let address = free_address();
            let configuration = format!(
                "[servers.web]\nprotocol = \"mqtt\"\nlisten = [\"{address}\"]\n\
                 drain = \"1s\"\nwebsocket = {{}}\n"
            );
            (address, start("websocket", &configuration, &[address]))
        })
        .0
}

/// A client's end of a WebSocket.
struct Socket {
    stream: TcpStream,
    read: Vec<u8>,
    /// Payloads of binary frames that are not a whole packet yet.
    packets: Vec<u8>,
}

impl Socket {
    /// Makes the handshake with these subprotocols; the answer's head as well.
    fn offer(protocols: &str) -> (Self, String) {
        let mut stream = TcpStream::connect(listen()).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let request = format!(
            "GET /mqtt HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocols}\r\n"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.push(byte[0]);
        }
        let socket = Self {
            stream,
            read: Vec::new(),
            packets: Vec::new(),
        };
        (socket, String::from_utf8(head).unwrap().to_lowercase())
    }

    fn open() -> Self {
        let (socket, head) = Self::offer("Sec-WebSocket-Protocol: mqtt\r\n");
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        socket
    }

    /// A client that was let in.
    fn connect() -> Self {
        let mut socket = Self::open();
        socket.send(BINARY, &Connect::new(unique()).bytes());
        assert!(matches!(socket.packet(), Packet::ConnectAck(ack) if ack.reason == 0));
        socket
    }

    /// One frame, final and masked.
    fn send(&mut self, opcode: u8, payload: &[u8]) {
        const MASK: [u8; 4] = [7, 77, 177, 27];
        let mut frame = vec![0x80 | opcode];
        match u8::try_from(payload.len()) {
            Ok(length @ ..126) => frame.push(0x80 | length),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
            }
        }
        frame.extend(MASK);
        let masked = payload.iter().zip(MASK.iter().cycle());
        frame.extend(masked.map(|(byte, mask)| byte ^ mask));
        self.stream.write_all(&frame).unwrap();
    }

    /// At least so many bytes; false at the end.
    fn fill(&mut self, count: usize) -> bool {
        while self.read.len() < count {
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).unwrap() {
                0 => return false,
                read => self.read.extend_from_slice(&buffer[..read]),
            }
        }
        true
    }

    /// The opcode and the payload of the next frame, none at the end.
    fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        if !self.fill(2) {
            return None;
        }
        let (first, second) = (self.read[0], self.read[1]);
        assert!(second < 0x80, "a server does not mask");
        let (start, length) = match second {
            126 => {
                assert!(self.fill(4));
                (
                    4,
                    usize::from(u16::from_be_bytes([self.read[2], self.read[3]])),
                )
            }
            127 => panic!("larger than anything that was sent"),
            length => (2, length.into()),
        };
        assert!(self.fill(start + length));
        let payload = self.read.drain(..start + length).skip(start).collect();
        Some((first & 0x0f, payload))
    }

    /// The next packet, which must come in binary frames.
    fn packet(&mut self) -> Packet {
        loop {
            // None here is longer than what fits one byte of length.
            if let [first, length, rest @ ..] = &*self.packets
                && let Some((body, rest)) = rest.split_at_checked(usize::from(*length))
            {
                assert!(*length < 0x80);
                let packet = Packet::read(*first, body, Version::V5);
                self.packets = rest.to_vec();
                return packet;
            }
            let (opcode, payload) = self.frame().expect("the broker closed the connection");
            assert!(matches!(opcode, BINARY | 0), "not binary: {opcode:#x}");
            self.packets.extend(payload);
        }
    }

    /// The broker closes the connection, with a Close frame or without, and sends no
    /// packet before but DISCONNECT.
    fn closed(&mut self) {
        while let Some((opcode, payload)) = self.frame() {
            match opcode {
                BINARY => assert_eq!(payload.first(), Some(&0xe0), "{payload:x?}"),
                CLOSE => {}
                other => panic!("a frame of kind {other:#x}"),
            }
        }
    }
}

#[test]
fn mqtt_6_0_0_1_packets_come_in_binary_frames_and_others_are_refused() {
    let mut socket = Socket::connect();
    socket.send(BINARY, &[0xc0, 0]);
    assert_eq!(socket.packet(), Packet::PingResponse);
    // A packet that is well-formed text as well.
    socket.send(TEXT, &Publish::new("t", "x").bytes(Version::V5));
    socket.closed();
    // So is this CONNECT.
    let mut socket = Socket::open();
    let connect = Connect {
        keep_alive: 0x2020,
        ..Connect::new(unique())
    };
    socket.send(TEXT, &connect.bytes());
    socket.closed();
}

#[test]
fn mqtt_6_0_0_2_packets_and_frames_need_not_begin_together() {
    let mut socket = Socket::open();
    // A byte a frame.
    for byte in Connect::new(unique()).bytes() {
        socket.send(BINARY, &[byte]);
    }
    assert!(matches!(socket.packet(), Packet::ConnectAck(_)));
    // Many packets in one frame, the last of them only begun.
    let topic = unique();
    let subscribe = Subscribe::new(1).to(&topic, 0).bytes(Version::V5);
    let publish = Publish::new(&topic, "x").bytes(Version::V5);
    let (begun, rest) = publish.split_at(5);
    socket.send(BINARY, &[&*subscribe, &publish, &[0xc0, 0], begun].concat());
    // PUBLISH may go before SUBACK.
    let answers = [socket.packet(), socket.packet(), socket.packet()];
    assert!(answers.contains(&Packet::PingResponse), "{answers:?}");
    let has = |is_it: fn(&Packet) -> bool| answers.iter().any(is_it);
    assert!(has(|packet| matches!(packet, Packet::SubscribeAck(_))));
    assert!(has(|packet| matches!(packet, Packet::Publish(_))));
    socket.send(BINARY, rest);
    assert!(matches!(socket.packet(), Packet::Publish(_)));
}

#[test]
fn mqtt_6_0_0_3_a_client_that_does_not_offer_mqtt_is_refused() {
    for protocols in ["", "Sec-WebSocket-Protocol: chat\r\n"] {
        let (_, head) = Socket::offer(protocols);
        assert!(head.starts_with("http/1.1 4"), "{head}");
    }
    Socket::connect();
}

#[test]
fn mqtt_6_0_0_4_the_subprotocol_chosen_is_mqtt() {
    for protocols in ["mqtt", "chat, mqtt", "mqtt, mqttv3.1"] {
        let offer = format!("Sec-WebSocket-Protocol: {protocols}\r\n");
        let (_, head) = Socket::offer(&offer);
        assert!(head.starts_with("http/1.1 101 "), "{head}");
        assert!(
            head.contains("\r\nsec-websocket-protocol: mqtt\r\n"),
            "{head}"
        );
    }
}

//! MQTT clients of the real binary notice no update, and are told of a stop.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::BytesMut;
use rustix::process::Signal;
use tidegate_mqtt::codec::{
    Connect, ConnectProperties, Decoder, Delivery, Encoder, MessageProperties,
    PACKET_BYTES_LARGEST, Packet, PacketIdentifier, ProtocolVersion, Publish, ReasonCode,
    Subscribe, Subscription, SubscriptionOptions, Text, TopicFilter, TopicName, UserProperties,
};

use crate::harness::{DEADLINE, Tidegate, eventually, free_address};

struct Client {
    stream: TcpStream,
    decoder: Decoder,
    read: BytesMut,
}

impl Client {
    fn connect(address: SocketAddr, id: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut client = Self {
            stream,
            decoder: Decoder::client(ProtocolVersion::V5, PACKET_BYTES_LARGEST),
            read: BytesMut::new(),
        };
        client.send(&Packet::Connect(Box::new(Connect {
            version: ProtocolVersion::V5,
            clean_start: true,
            keep_alive_seconds: 60,
            client_identifier: Text::copy_from(id).unwrap(),
            will: None,
            user_name: None,
            password: None,
            properties: ConnectProperties::default(),
        })));
        match client.receive() {
            Some(Packet::ConnectAck(ack)) => assert_eq!(ack.reason, ReasonCode::Success),
            other => panic!("CONNACK is awaited, not {other:?}"),
        }
        client
    }

    fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        let encoder = Encoder::new(ProtocolVersion::V5, PACKET_BYTES_LARGEST);
        encoder.encode(packet, &mut bytes).unwrap();
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next packet; none at the end.
    fn receive(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.read).unwrap() {
                return Some(packet);
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes) {
                Ok(0) => return None,
                Ok(count) => self.read.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => panic!("nothing comes: {error}"),
            }
        }
    }

    fn subscribe(&mut self) {
        self.send(&Packet::Subscribe(Subscribe {
            packet_identifier: PacketIdentifier::FIRST,
            subscription_identifier: None,
            user_properties: UserProperties::new(),
            subscriptions: vec![Subscription {
                filter: TopicFilter::try_from("news/#").unwrap(),
                options: SubscriptionOptions::default(),
            }],
        }));
        assert!(matches!(self.receive(), Some(Packet::SubscribeAck(_))));
    }

    fn publish(&mut self, payload: &str) {
        self.send(&Packet::Publish(Publish {
            delivery: Delivery::AtLeastOnce(PacketIdentifier::FIRST),
            duplicate: false,
            retain: false,
            topic: Some(TopicName::try_from("news/today").unwrap()),
            topic_alias: None,
            message_expiry_seconds: None,
            subscription_identifiers: Vec::new(),
            properties: MessageProperties::new(),
            payload: payload.to_owned().into(),
        }));
        assert!(matches!(self.receive(), Some(Packet::PublishAck(_))));
    }
}

fn settings(listen: SocketAddr, connections: usize) -> String {
    format!(
        r#"
[runtime]
workers = 2
pin = false
[servers.broker]
protocol = "mqtt"
listen = "{listen}"
drain = "10s"
limits = {{ connections = {connections} }}
"#
    )
}

#[test]
fn mqtt_clients_stay_through_updates_and_hear_of_the_stop() {
    let listen = free_address();
    let mut process = Tidegate::start(&settings(listen, 100));
    // Enough that both workers accept some, and have sessions of others.
    let mut clients: Vec<_> = (0..12)
        .map(|number| Client::connect(listen, &format!("client-{number}")))
        .collect();
    clients.iter_mut().for_each(Client::subscribe);
    let mut sender = Client::connect(listen, "sender");
    // What a subscriber wants takes a moment to be known to the other worker.
    eventually("the first message everywhere", || {
        sender.publish("hello");
        let heard = clients.iter_mut().all(|client| {
            client.stream.set_nonblocking(true).unwrap();
            let mut byte = [0];
            let heard = matches!(client.stream.peek(&mut byte), Ok(1));
            client.stream.set_nonblocking(false).unwrap();
            heard
        });
        heard.then_some(())
    });

    for round in 0..3 {
        process.update(&settings(listen, 200 + round));
        let text = format!("round {round}");
        sender.publish(&text);
        for client in &mut clients {
            loop {
                match client.receive() {
                    Some(Packet::Publish(publish)) if publish.payload == "hello" => {}
                    Some(Packet::Publish(publish)) => break assert_eq!(publish.payload, text),
                    other => panic!("a message is awaited, not {other:?}"),
                }
            }
        }
        // New ones come in as well.
        drop(Client::connect(listen, &format!("late-{round}")));
    }

    process.signal(Signal::TERM);
    for client in clients.iter_mut().chain([&mut sender]) {
        match client.receive() {
            Some(Packet::Disconnect(last)) => {
                assert_eq!(last.reason, ReasonCode::ServerShuttingDown);
            }
            other => panic!("DISCONNECT is awaited, not {other:?}"),
        }
        assert_eq!(client.receive(), None);
    }
    drop((clients, sender));
    assert_eq!(process.ended().code(), Some(0), "{}", process.log_text());
}

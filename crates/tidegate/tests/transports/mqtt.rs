//! An MQTT client over whatever carries bytes, that takes every packet seriously.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::BytesMut;
use tidegate_mqtt::codec::{
    Connect, ConnectProperties, Decoder, Delivery, Encoder, MessageProperties,
    PACKET_BYTES_LARGEST, Packet, PacketIdentifier, ProtocolVersion, Publish, QualityOfService,
    ReasonCode, Subscribe, Subscription, SubscriptionOptions, Text, TopicFilter, TopicName,
    UserProperties,
};

use crate::harness::DEADLINE;

/// What carries bytes.
pub(crate) trait Carrier: Read + Write {}
impl<S: Read + Write> Carrier for S {}

pub(crate) struct Client {
    carrier: Box<dyn Carrier>,
    decoder: Decoder,
    unread: BytesMut,
}

pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, DEADLINE).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_write_timeout(Some(DEADLINE)).unwrap();
    stream
}

impl Client {
    /// A client that has not said anything.
    pub(crate) fn over(carrier: impl Carrier + 'static) -> Self {
        Self {
            carrier: Box::new(carrier),
            decoder: Decoder::client(ProtocolVersion::V5, PACKET_BYTES_LARGEST),
            unread: BytesMut::new(),
        }
    }

    /// A client that was let in.
    pub(crate) fn connected(carrier: impl Carrier + 'static, id: &str) -> Self {
        let mut client = Self::over(carrier);
        client.connect(id);
        client
    }

    pub(crate) fn connect(&mut self, id: &str) {
        assert_eq!(self.try_connect(id), ReasonCode::Success);
    }

    /// What the server answers to CONNECT.
    pub(crate) fn try_connect(&mut self, id: &str) -> ReasonCode {
        self.send(&connect(id));
        match self.receive() {
            Some(Packet::ConnectAck(ack)) => ack.reason,
            other => panic!("CONNACK is awaited, not {other:?}"),
        }
    }

    pub(crate) fn send(&mut self, packet: &Packet) {
        let bytes = encoded(packet);
        self.carrier.write_all(&bytes).unwrap();
        self.carrier.flush().unwrap();
    }

    /// The next packet; none at the end, which has to be in order.
    pub(crate) fn receive(&mut self) -> Option<Packet> {
        self.try_receive()
            .unwrap_or_else(|error| panic!("nothing comes: {error}"))
    }

    pub(crate) fn try_receive(&mut self) -> io::Result<Option<Packet>> {
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.unread).unwrap() {
                return Ok(Some(packet));
            }
            let mut bytes = [0; 4096];
            match self.carrier.read(&mut bytes) {
                Ok(0) => return Ok(None),
                Ok(count) => self.unread.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(crate) fn subscribe(&mut self, filter: &str, qos: QualityOfService) {
        self.send(&Packet::Subscribe(Subscribe {
            packet_identifier: PacketIdentifier::FIRST,
            subscription_identifier: None,
            user_properties: UserProperties::new(),
            subscriptions: vec![Subscription {
                filter: TopicFilter::try_from(filter).unwrap(),
                options: SubscriptionOptions {
                    quality_of_service: qos,
                    ..SubscriptionOptions::default()
                },
            }],
        }));
        assert!(matches!(self.receive(), Some(Packet::SubscribeAck(_))));
    }

    /// Publishes at QualityOfService 1 and waits for PUBACK.
    pub(crate) fn publish(&mut self, topic: &str, payload: impl Into<Vec<u8>>) {
        self.send(&published(topic, payload.into(), 1));
        match self.receive() {
            Some(Packet::PublishAck(_)) => {}
            other => panic!("PUBACK is awaited, not {other:?}"),
        }
    }

    /// The payload of the PUBLISH that comes next.
    pub(crate) fn message(&mut self) -> Vec<u8> {
        match self.receive() {
            Some(Packet::Publish(publish)) => publish.payload.to_vec(),
            other => panic!("PUBLISH is awaited, not {other:?}"),
        }
    }
}

/// A CONNECT that begins a new session.
pub(crate) fn connect(id: &str) -> Packet {
    Packet::Connect(Box::new(Connect {
        version: ProtocolVersion::V5,
        clean_start: true,
        keep_alive_seconds: 60,
        client_identifier: Text::copy_from(id).unwrap(),
        will: None,
        user_name: None,
        password: None,
        properties: ConnectProperties::default(),
    }))
}

/// A PUBLISH at QualityOfService 1.
pub(crate) fn published(topic: &str, payload: Vec<u8>, packet: u16) -> Packet {
    Packet::Publish(Publish {
        delivery: Delivery::AtLeastOnce(PacketIdentifier::new(packet).unwrap()),
        duplicate: false,
        retain: false,
        topic: Some(TopicName::try_from(topic).unwrap()),
        topic_alias: None,
        message_expiry_seconds: None,
        subscription_identifiers: Vec::new(),
        properties: MessageProperties::new(),
        payload: payload.into(),
    })
}

pub(crate) fn encoded(packet: &Packet) -> BytesMut {
    let mut bytes = BytesMut::new();
    let encoder = Encoder::new(ProtocolVersion::V5, PACKET_BYTES_LARGEST);
    encoder.encode(packet, &mut bytes).unwrap();
    bytes
}

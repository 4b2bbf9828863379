//! An MQTT client that says what a test wants said.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::BytesMut;
use tidegate_mqtt::codec::{
    Connect, ConnectProperties, Decoder, Delivery, Encoder, MessageProperties,
    PACKET_BYTES_LARGEST, Packet, PacketIdentifier, ProtocolVersion, Publish, ReasonCode,
    Subscribe, Subscription, SubscriptionOptions, Text, TopicFilter, TopicName, UserProperties,
};

use crate::harness::DEADLINE;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    decoder: Decoder,
    read: BytesMut,
}

impl Client {
    pub(crate) fn connect(address: SocketAddr, id: &str) -> Self {
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

    pub(crate) fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        let encoder = Encoder::new(ProtocolVersion::V5, PACKET_BYTES_LARGEST);
        encoder.encode(packet, &mut bytes).unwrap();
        self.stream.write_all(&bytes).unwrap();
    }

    /// The next packet; none at the end.
    pub(crate) fn receive(&mut self) -> Option<Packet> {
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

    pub(crate) fn subscribe(&mut self, filter: &str) {
        self.send(&Packet::Subscribe(Subscribe {
            packet_identifier: PacketIdentifier::FIRST,
            subscription_identifier: None,
            user_properties: UserProperties::new(),
            subscriptions: vec![Subscription {
                filter: TopicFilter::try_from(filter).unwrap(),
                options: SubscriptionOptions::default(),
            }],
        }));
        assert!(matches!(self.receive(), Some(Packet::SubscribeAck(_))));
    }

    pub(crate) fn publish(&mut self, topic: &str, payload: &str) {
        self.try_publish(topic, payload);
    }

    /// At QoS 1; what PUBACK says.
    pub(crate) fn try_publish(&mut self, topic: &str, payload: &str) -> ReasonCode {
        self.send(&Packet::Publish(Publish {
            delivery: Delivery::AtLeastOnce(PacketIdentifier::FIRST),
            duplicate: false,
            retain: false,
            topic: Some(TopicName::try_from(topic).unwrap()),
            topic_alias: None,
            message_expiry_seconds: None,
            subscription_identifiers: Vec::new(),
            properties: MessageProperties::new(),
            payload: payload.to_owned().into(),
        }));
        match self.receive() {
            Some(Packet::PublishAck(ack)) => ack.reason,
            other => panic!("PUBACK is awaited, not {other:?}"),
        }
    }
}

//! A client that says who it is, and tells what it was answered.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use bytes::{Bytes, BytesMut};
use tidegate_mqtt::codec::{
    Auth, Connect, ConnectAck, ConnectProperties, Decoder, Delivery, Encoder, MessageProperties,
    PACKET_BYTES_LARGEST, Packet, PacketIdentifier, ProtocolVersion, Publish, QualityOfService,
    ReasonCode, ReasonDetail, Subscribe, Subscription, SubscriptionOptions, Text, TopicFilter,
    TopicName, UserProperties,
};

use crate::harness::DEADLINE;

pub(crate) trait Stream: Read + Write {}

impl<S: Read + Write> Stream for S {}

/// Who a client says that it is.
#[derive(Clone, Copy)]
pub(crate) struct Login<'a> {
    pub(crate) version: ProtocolVersion,
    pub(crate) id: &'a str,
    pub(crate) user: Option<&'a str>,
    pub(crate) password: Option<&'a str>,
    /// Authentication Method and Data.
    pub(crate) method: Option<(&'a str, &'a [u8])>,
}

impl<'a> Login<'a> {
    pub(crate) fn anonymous(id: &'a str) -> Self {
        Self {
            version: ProtocolVersion::V5,
            id,
            user: None,
            password: None,
            method: None,
        }
    }

    /// With its own name for a Client Identifier.
    pub(crate) fn user(user: &'a str, password: &'a str) -> Self {
        Self {
            user: Some(user),
            password: Some(password),
            ..Self::anonymous(user)
        }
    }

    pub(crate) fn in_version(self, version: ProtocolVersion) -> Self {
        Self { version, ..self }
    }

    fn packet(self) -> Packet {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        Packet::Connect(Box::new(Connect {
            version: self.version,
            clean_start: true,
            keep_alive_seconds: 60,
            client_identifier: Text::copy_from(self.id).unwrap(),
            will: None,
            user_name: self.user.map(|user| Text::copy_from(user).unwrap()),
            password: self.password.map(bytes),
            properties: ConnectProperties {
                authentication_method: self.method.map(|it| Text::copy_from(it.0).unwrap()),
                authentication_data: self.method.map(|it| Bytes::copy_from_slice(it.1)),
                ..ConnectProperties::default()
            },
        }))
    }
}

pub(crate) struct MqttClient {
    stream: Box<dyn Stream>,
    version: ProtocolVersion,
    decoder: Decoder,
    read: BytesMut,
}

pub(crate) fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream
}

impl MqttClient {
    /// Sends CONNECT, and waits for nothing.
    pub(crate) fn begin(stream: impl Stream + 'static, login: Login<'_>) -> Self {
        let mut client = Self {
            stream: Box::new(stream),
            version: login.version,
            decoder: Decoder::client(login.version, PACKET_BYTES_LARGEST),
            read: BytesMut::new(),
        };
        client.send(&login.packet());
        client
    }

    /// Sends CONNECT; what CONNACK says.
    pub(crate) fn try_connect(address: SocketAddr, login: Login<'_>) -> (Self, ReasonCode) {
        let mut client = Self::begin(tcp(address), login);
        let ack = client.connect_ack();
        (client, ack.reason)
    }

    pub(crate) fn connect(address: SocketAddr, login: Login<'_>) -> Self {
        let (client, reason) = Self::try_connect(address, login);
        assert_eq!(reason, ReasonCode::Success);
        client
    }

    pub(crate) fn connect_ack(&mut self) -> ConnectAck {
        match self.receive() {
            Some(Packet::ConnectAck(ack)) => *ack,
            other => panic!("CONNACK is awaited, not {other:?}"),
        }
    }

    pub(crate) fn send(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        let encoder = Encoder::new(self.version, PACKET_BYTES_LARGEST);
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
                // A TLS client that was sent away without close_notify.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return None,
                Err(error) => panic!("nothing comes: {error}"),
            }
        }
    }

    /// What SUBACK says.
    pub(crate) fn subscribe(&mut self, filter: &str) -> ReasonCode {
        self.send_subscribe(filter);
        self.subscribe_ack()
    }

    pub(crate) fn send_subscribe(&mut self, filter: &str) {
        self.send(&Packet::Subscribe(Subscribe {
            packet_identifier: PacketIdentifier::FIRST,
            subscription_identifier: None,
            user_properties: UserProperties::new(),
            subscriptions: vec![Subscription {
                filter: TopicFilter::try_from(filter).unwrap(),
                options: SubscriptionOptions::default(),
            }],
        }));
    }

    pub(crate) fn subscribe_ack(&mut self) -> ReasonCode {
        match self.receive() {
            Some(Packet::SubscribeAck(ack)) => ack.reasons[0],
            other => panic!("SUBACK is awaited, not {other:?}"),
        }
    }

    /// What PUBACK or PUBREC says; success where there is none.
    pub(crate) fn publish(
        &mut self,
        topic: &str,
        payload: &str,
        quality: QualityOfService,
    ) -> ReasonCode {
        self.send(&Packet::Publish(Publish {
            delivery: match quality {
                QualityOfService::AtMostOnce => Delivery::AtMostOnce,
                QualityOfService::AtLeastOnce => Delivery::AtLeastOnce(PacketIdentifier::FIRST),
                QualityOfService::ExactlyOnce => Delivery::ExactlyOnce(PacketIdentifier::FIRST),
            },
            duplicate: false,
            retain: false,
            topic: Some(TopicName::try_from(topic).unwrap()),
            topic_alias: None,
            message_expiry_seconds: None,
            subscription_identifiers: Vec::new(),
            properties: MessageProperties::new(),
            payload: payload.to_owned().into(),
        }));
        if quality == QualityOfService::AtMostOnce {
            return ReasonCode::Success;
        }
        match self.receive() {
            Some(Packet::PublishAck(ack) | Packet::PublishReceived(ack)) => ack.reason,
            other => panic!("an acknowledgement is awaited, not {other:?}"),
        }
    }

    /// The payload of the next message.
    pub(crate) fn message(&mut self) -> String {
        match self.receive() {
            Some(Packet::Publish(publish)) => String::from_utf8(publish.payload.to_vec()).unwrap(),
            other => panic!("a message is awaited, not {other:?}"),
        }
    }

    pub(crate) fn authenticate(&mut self, reason: ReasonCode, method: &str, data: &[u8]) {
        self.send(&Packet::Auth(Box::new(Auth {
            reason,
            method: Some(Text::copy_from(method).unwrap()),
            data: Some(Bytes::copy_from_slice(data)),
            detail: ReasonDetail::default(),
        })));
    }

    /// The reason and the data of the next packet, which is AUTH.
    pub(crate) fn challenge(&mut self) -> (ReasonCode, Bytes) {
        match self.receive() {
            Some(Packet::Auth(auth)) => (auth.reason, auth.data.unwrap_or_default()),
            other => panic!("AUTH is awaited, not {other:?}"),
        }
    }

    /// The reason of DISCONNECT, behind which nothing comes.
    pub(crate) fn sent_away(&mut self) -> ReasonCode {
        let reason = match self.receive() {
            Some(Packet::Disconnect(last)) => last.reason,
            other => panic!("DISCONNECT is awaited, not {other:?}"),
        };
        assert_eq!(self.receive(), None);
        reason
    }
}

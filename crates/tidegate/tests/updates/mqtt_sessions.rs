//! Clients that keep their side of a session, over any number of connections and however
//! those end: what they were promised can be held against the broker.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tidegate_mqtt::codec::{
    Acknowledgement, Connect, ConnectProperties, Decoder, Delivery, Encoder, MessageProperties,
    PACKET_BYTES_LARGEST, Packet, PacketIdentifier, ProtocolVersion, Publish, QualityOfService,
    ReasonCode, Subscribe, Subscription, SubscriptionOptions, Text, TopicFilter, TopicName,
    UserProperties,
};

use crate::harness::DEADLINE;

/// How long a client waits for a packet before it looks whether it is to end.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    decoder: Decoder,
    read: BytesMut,
    /// Messages that came before what was awaited.
    early: VecDeque<Packet>,
}

/// Whether there was a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    New,
    Present,
}

impl Wire {
    /// Connects to a session that stays for ever.
    pub(crate) fn connect(address: SocketAddr, id: &str) -> io::Result<(Self, Session)> {
        let (wire, answer) = Self::ask(address, id)?;
        match answer {
            Ok(session) => Ok((wire, session)),
            Err(reason) => panic!("{id} was refused: {reason:?}"),
        }
    }

    /// As [`connect`](Self::connect), of a client that may be refused.
    pub(crate) fn ask(
        address: SocketAddr,
        id: &str,
    ) -> io::Result<(Self, Result<Session, ReasonCode>)> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK_AFTER))?;
        let mut wire = Self {
            stream,
            decoder: Decoder::client(ProtocolVersion::V5, PACKET_BYTES_LARGEST),
            read: BytesMut::new(),
            early: VecDeque::new(),
        };
        wire.send(&Packet::Connect(Box::new(Connect {
            version: ProtocolVersion::V5,
            clean_start: false,
            keep_alive_seconds: 60,
            client_identifier: Text::copy_from(id).unwrap(),
            will: None,
            user_name: None,
            password: None,
            properties: ConnectProperties {
                session_expiry_seconds: Some(u32::MAX),
                ..ConnectProperties::default()
            },
        })))?;
        match wire.patiently()? {
            Packet::ConnectAck(ack) if ack.reason == ReasonCode::Success => {
                let session = match ack.session_present {
                    true => Session::Present,
                    false => Session::New,
                };
                Ok((wire, Ok(session)))
            }
            Packet::ConnectAck(ack) => Ok((wire, Err(ack.reason))),
            other => panic!("CONNACK is awaited, not {other:?}"),
        }
    }

    /// Connects as soon as anybody listens.
    pub(crate) fn connect_eventually(address: SocketAddr, id: &str) -> (Self, Session) {
        let begun = Instant::now();
        loop {
            match Self::connect(address, id) {
                Ok(connected) => return connected,
                Err(error) if begun.elapsed() > DEADLINE => panic!("nobody is there: {error}"),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    pub(crate) fn send(&mut self, packet: &Packet) -> io::Result<()> {
        let mut bytes = BytesMut::new();
        let encoder = Encoder::new(ProtocolVersion::V5, PACKET_BYTES_LARGEST);
        encoder.encode(packet, &mut bytes).unwrap();
        self.stream.write_all(&bytes)
    }

    /// The next packet; none if there is none for a while.
    pub(crate) fn receive(&mut self) -> io::Result<Option<Packet>> {
        if let Some(packet) = self.early.pop_front() {
            return Ok(Some(packet));
        }
        loop {
            if let Some(packet) = self.decoder.decode(&mut self.read).unwrap() {
                return Ok(Some(packet));
            }
            let mut bytes = [0; 16 * 1024];
            match self.stream.read(&mut bytes) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(count) => self.read.extend_from_slice(&bytes[..count]),
                Err(error) => match error.kind() {
                    ErrorKind::Interrupted => {}
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => return Ok(None),
                    _ => return Err(error),
                },
            }
        }
    }

    /// The next packet, however long it takes.
    pub(crate) fn patiently(&mut self) -> io::Result<Packet> {
        let begun = Instant::now();
        loop {
            if let Some(packet) = self.receive()? {
                return Ok(packet);
            }
            assert!(begun.elapsed() < DEADLINE, "nothing comes");
        }
    }

    pub(crate) fn subscribe(&mut self, filter: &str) -> ReasonCode {
        let subscribe = Packet::Subscribe(Subscribe {
            packet_identifier: PacketIdentifier::FIRST,
            subscription_identifier: None,
            user_properties: UserProperties::new(),
            subscriptions: vec![Subscription {
                filter: TopicFilter::try_from(filter).unwrap(),
                options: SubscriptionOptions {
                    quality_of_service: QualityOfService::ExactlyOnce,
                    ..SubscriptionOptions::default()
                },
            }],
        });
        self.send(&subscribe).unwrap();
        let mut early = VecDeque::new();
        loop {
            match self.patiently().unwrap() {
                Packet::SubscribeAck(ack) => {
                    self.early = early;
                    return ack.reasons[0];
                }
                // Messages may come before (3.8.4).
                publish @ Packet::Publish(_) => early.push_back(publish),
                other => panic!("SUBACK is awaited, not {other:?}"),
            }
        }
    }

    /// Publishes one message of QoS 1 and waits for what becomes of it.
    pub(crate) fn publish(&mut self, topic: &str, payload: &str, retain: bool) -> ReasonCode {
        let id = PacketIdentifier::FIRST;
        let publish = publish(topic, payload, Delivery::AtLeastOnce(id));
        self.answered(Publish { retain, ..publish }).unwrap()
    }

    /// As [`publish`](Self::publish), over a connection that may end.
    pub(crate) fn try_publish(&mut self, topic: &str, payload: &str) -> io::Result<ReasonCode> {
        let id = PacketIdentifier::FIRST;
        self.answered(publish(topic, payload, Delivery::AtLeastOnce(id)))
    }

    fn answered(&mut self, publish: Publish) -> io::Result<ReasonCode> {
        self.send(&Packet::Publish(publish))?;
        match self.patiently()? {
            Packet::PublishAck(ack) => Ok(ack.reason),
            Packet::Disconnect(last) => Err(io::Error::other(format!("{:?}", last.reason))),
            other => panic!("PUBACK is awaited, not {other:?}"),
        }
    }
}

fn publish(topic: &str, payload: &str, delivery: Delivery) -> Publish {
    Publish {
        delivery,
        duplicate: false,
        retain: false,
        topic: Some(TopicName::try_from(topic).unwrap()),
        topic_alias: None,
        message_expiry_seconds: None,
        subscription_identifiers: Vec::new(),
        properties: MessageProperties::new(),
        payload: payload.to_owned().into(),
    }
}

/// A message that is not through.
#[derive(Debug)]
struct Flight {
    number: u32,
    id: PacketIdentifier,
    /// PUBREC has come: what is left is PUBREL.
    is_received: bool,
}

/// Publishes numbers, each once, and again if nobody has acknowledged it.
#[derive(Debug)]
pub(crate) struct Sender {
    id: String,
    topic: String,
    qos: QualityOfService,
    next: u32,
    flights: VecDeque<Flight>,
    /// Of these the broker has said that it has them.
    pub(crate) acknowledged: Vec<u32>,
    /// How often it had to connect.
    pub(crate) connections: u32,
}

/// Messages that a sender has on their way at once.
const WINDOW: usize = 20;

impl Sender {
    pub(crate) fn new(id: &str, topic: &str, qos: QualityOfService) -> Self {
        Self {
            id: id.to_owned(),
            topic: topic.to_owned(),
            qos,
            next: 0,
            flights: VecDeque::new(),
            acknowledged: Vec::new(),
            connections: 0,
        }
    }

    /// Publishes over as many connections as it takes, until `is_enough` and all is
    /// through. Each look is told how many are acknowledged.
    pub(crate) fn run(&mut self, address: SocketAddr, is_enough: impl Fn(usize) -> bool) {
        loop {
            let (mut wire, session) = Wire::connect_eventually(address, &self.id);
            self.connections += 1;
            if self.next > 0 {
                assert_eq!(session, Session::Present, "{} was forgotten", self.id);
            }
            if self.publish_all(&mut wire, &is_enough).is_ok() {
                return;
            }
        }
    }

    fn publish_all(
        &mut self,
        wire: &mut Wire,
        is_enough: &impl Fn(usize) -> bool,
    ) -> io::Result<()> {
        for flight in &self.flights {
            wire.send(&self.packet(flight, true))?;
        }
        loop {
            let is_enough = is_enough(self.acknowledged.len());
            while !is_enough && self.flights.len() < WINDOW {
                let id = u16::try_from(self.next % 60_000 + 1).unwrap();
                let flight = Flight {
                    number: self.next,
                    id: PacketIdentifier::new(id).unwrap(),
                    is_received: false,
                };
                self.next += 1;
                let packet = self.packet(&flight, false);
                // On its way whether or not it can be written.
                self.flights.push_back(flight);
                wire.send(&packet)?;
            }
            if is_enough && self.flights.is_empty() {
                return Ok(());
            }
            if let Some(packet) = wire.receive()? {
                self.take(wire, packet)?;
            }
        }
    }

    fn packet(&self, flight: &Flight, duplicate: bool) -> Packet {
        if flight.is_received {
            return Packet::PublishRelease(Acknowledgement::success(flight.id));
        }
        let delivery = match self.qos {
            QualityOfService::ExactlyOnce => Delivery::ExactlyOnce(flight.id),
            _ => Delivery::AtLeastOnce(flight.id),
        };
        let publish = publish(&self.topic, &flight.number.to_string(), delivery);
        Packet::Publish(Publish {
            duplicate,
            ..publish
        })
    }

    fn take(&mut self, wire: &mut Wire, packet: Packet) -> io::Result<()> {
        match packet {
            Packet::PublishAck(ack) => {
                self.acknowledge(&ack);
                self.flights
                    .retain(|flight| flight.id != ack.packet_identifier);
            }
            Packet::PublishReceived(ack) => {
                self.acknowledge(&ack);
                let id = ack.packet_identifier;
                wire.send(&Packet::PublishRelease(Acknowledgement::success(id)))?;
            }
            Packet::PublishComplete(ack) => {
                self.flights
                    .retain(|flight| flight.id != ack.packet_identifier);
            }
            other => panic!("an acknowledgement is awaited, not {other:?}"),
        }
        Ok(())
    }

    fn acknowledge(&mut self, ack: &Acknowledgement) {
        // Its subscriber has a session that stays: there always is one.
        assert_eq!(ack.reason, ReasonCode::Success, "for {}", self.id);
        let mut flights = self.flights.iter_mut();
        let flight = flights.find(|flight| flight.id == ack.packet_identifier);
        let flight = flight.expect("an acknowledgement of what was published");
        if !std::mem::replace(&mut flight.is_received, true) {
            self.acknowledged.push(flight.number);
        }
    }
}

/// Takes what is published, and says so.
#[derive(Debug)]
pub(crate) struct Receiver {
    id: String,
    /// Identifiers of QoS 2 whose PUBREL has not come: the message has been counted.
    held: BTreeSet<PacketIdentifier>,
    /// By topic, how often each number came.
    pub(crate) got: BTreeMap<String, BTreeMap<u32, u32>>,
    /// How often it had to connect.
    pub(crate) connections: u32,
}

impl Receiver {
    pub(crate) fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            held: BTreeSet::new(),
            got: BTreeMap::new(),
            connections: 0,
        }
    }

    /// Takes messages over as many connections as it takes, until none has come for a
    /// while and `is_over`.
    pub(crate) fn run(&mut self, address: SocketAddr, is_over: impl Fn() -> bool) {
        loop {
            let (mut wire, session) = Wire::connect_eventually(address, &self.id);
            assert_eq!(session, Session::Present, "{} was forgotten", self.id);
            self.connections += 1;
            loop {
                match wire.receive() {
                    Ok(Some(packet)) => {
                        if self.take(&mut wire, packet).is_err() {
                            break;
                        }
                    }
                    Ok(None) if is_over() => return,
                    Ok(None) => {}
                    Err(_) => break,
                }
            }
        }
    }

    fn take(&mut self, wire: &mut Wire, packet: Packet) -> io::Result<()> {
        match packet {
            Packet::Publish(publish) => match publish.delivery {
                Delivery::AtMostOnce => panic!("nothing is published at QoS 0"),
                Delivery::AtLeastOnce(id) => {
                    self.count(&publish);
                    wire.send(&Packet::PublishAck(Acknowledgement::success(id)))
                }
                Delivery::ExactlyOnce(id) => {
                    if self.held.insert(id) {
                        self.count(&publish);
                    }
                    wire.send(&Packet::PublishReceived(Acknowledgement::success(id)))
                }
            },
            Packet::PublishRelease(ack) => {
                let id = ack.packet_identifier;
                self.held.remove(&id);
                wire.send(&Packet::PublishComplete(Acknowledgement::success(id)))
            }
            other => panic!("a message is awaited, not {other:?}"),
        }
    }

    fn count(&mut self, publish: &Publish) {
        let topic = publish.topic.as_ref().unwrap().as_str().to_owned();
        let number = str::from_utf8(&publish.payload).unwrap().parse().unwrap();
        *self
            .got
            .entry(topic)
            .or_default()
            .entry(number)
            .or_default() += 1;
    }
}

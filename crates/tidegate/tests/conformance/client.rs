//! A client that does what a test says and nothing by itself. Every read has a deadline.

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::packet::{Ack, ConnectAck, Packet, Publish, SubscribeAck};
use crate::property::{MAXIMUM_PACKET_SIZE, TOPIC_ALIAS};
use crate::request::{Connect, Subscribe, Version};
use crate::server::broker;
use crate::wire::Wire;

/// The longest anything that must happen may take: a ceiling, never waited for in vain.
const DEADLINE: Duration = Duration::from_secs(20);

/// A name that no other test uses, for a client identifier or the start of a topic.
pub(crate) fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("c{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// One connection to the broker.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    pub(crate) version: Version,
    read: Vec<u8>,
    /// PUBLISH packets that came before a SUBACK, as they may (section 3.8.4).
    early: VecDeque<Packet>,
    /// Of the last packet that was read, with its header.
    pub(crate) packet_bytes: usize,
    last_id: u16,
    /// What the broker's topic aliases stand for.
    aliases: BTreeMap<u32, Vec<u8>>,
}

impl Client {
    /// A connection on which nothing was sent yet.
    pub(crate) fn open() -> Self {
        Self::open_at(broker().plain)
    }

    pub(crate) fn open_at(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.set_write_timeout(Some(DEADLINE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            version: Version::V5,
            read: Vec::new(),
            early: VecDeque::new(),
            packet_bytes: 0,
            last_id: 0,
            aliases: BTreeMap::new(),
        }
    }

    /// A client that was let in, and what it was told.
    pub(crate) fn welcome(connect: &Connect) -> (Self, ConnectAck) {
        Self::welcome_at(broker().plain, connect)
    }

    pub(crate) fn welcome_at(address: SocketAddr, connect: &Connect) -> (Self, ConnectAck) {
        let mut client = Self::open_at(address);
        client.version = connect.version;
        client.send(connect.bytes());
        let ack = client.connect_ack();
        assert_eq!(ack.reason, 0, "not let in: {ack:?}");
        (client, ack)
    }

    /// A client that was let in.
    pub(crate) fn connect(connect: &Connect) -> Self {
        Self::welcome(connect).0
    }

    /// A client of a name of its own.
    pub(crate) fn new() -> Self {
        Self::connect(&Connect::new(unique()))
    }

    /// A client that takes no packet larger than its own CONNACK, and that size: hardly
    /// more than an acknowledgement with nothing in it but a reason.
    pub(crate) fn terse_at(address: SocketAddr) -> (Self, usize) {
        let connect = |maximum| Connect::new(unique()).with(MAXIMUM_PACKET_SIZE, maximum);
        let bytes = Self::welcome_at(address, &connect(1_000)).0.packet_bytes;
        let maximum = bytes.try_into().unwrap();
        (Self::welcome_at(address, &connect(maximum)).0, bytes)
    }

    /// A client of a name of its own with a subscription.
    pub(crate) fn subscribed(filter: &str, options: u8) -> Self {
        let mut client = Self::new();
        client.subscribe(filter, options);
        client
    }

    /// Sends CONNECT and expects to be refused: the reason.
    pub(crate) fn refused(connect: &Connect) -> u8 {
        let mut client = Self::open();
        client.version = connect.version;
        client.send(connect.bytes());
        let ack = client.connect_ack();
        assert!(!ack.session_present);
        client.closed();
        ack.reason
    }

    /// Sends these bytes first of all; the broker must close the connection, with a
    /// CONNACK against it or without. Its reason, if it gives one.
    pub(crate) fn turned_away(bytes: impl AsRef<[u8]>) -> Option<u8> {
        let mut client = Self::open();
        client.send_in_vain(bytes);
        match client.next_or_end()? {
            Packet::ConnectAck(ack) => {
                assert!(ack.reason >= 0x80 && !ack.session_present, "{ack:?}");
                client.closed();
                Some(ack.reason)
            }
            other => panic!("not CONNACK: {other:?}"),
        }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// Sends what the broker may refuse before it has read it all.
    pub(crate) fn send_in_vain(&mut self, bytes: impl AsRef<[u8]>) {
        // A reset tells the same as an end that is read.
        let _ = self.stream.write_all(bytes.as_ref());
    }

    /// The next packet; the connection must not end instead.
    pub(crate) fn next(&mut self) -> Packet {
        self.next_or_end()
            .expect("the broker closed the connection")
    }

    /// The next packet, or none when the broker closes the connection.
    pub(crate) fn next_or_end(&mut self) -> Option<Packet> {
        if let Some(packet) = self.early.pop_front() {
            return Some(packet);
        }
        self.receive()
    }

    fn receive(&mut self) -> Option<Packet> {
        loop {
            if let Some(packet) = self.parse() {
                return Some(packet);
            }
            let mut buffer = [0; 16 * 1024];
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    assert!(self.read.is_empty(), "it ends within a packet");
                    return None;
                }
                Ok(count) => self.read.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                Err(error) => panic!("nothing to read: {error}"),
            }
        }
    }

    fn parse(&mut self) -> Option<Packet> {
        let mut length = 0_usize;
        let mut at = 1;
        loop {
            let byte = *self.read.get(at)?;
            length |= usize::from(byte & 0x7f) << (7 * (at - 1));
            at += 1;
            if byte < 0x80 {
                assert!(byte > 0 || at == 2, "a length longer than it need be");
                break;
            }
            assert!(at < 5, "a length of more than four bytes");
        }
        if self.read.len() < at + length {
            return None;
        }
        let packet: Vec<u8> = self.read.drain(..at + length).collect();
        self.packet_bytes = packet.len();
        Some(Packet::read(packet[0], &packet[at..], self.version))
    }

    pub(crate) fn connect_ack(&mut self) -> ConnectAck {
        match self.next() {
            Packet::ConnectAck(ack) => ack,
            other => panic!("not CONNACK: {other:?}"),
        }
    }

    pub(crate) fn published(&mut self) -> Publish {
        match self.next() {
            Packet::Publish(publish) => publish,
            other => panic!("not PUBLISH: {other:?}"),
        }
    }

    /// The topic of a PUBLISH, be it by alias.
    pub(crate) fn resolve(&mut self, publish: &Publish) -> String {
        let topic = match publish.properties.number(TOPIC_ALIAS) {
            Some(alias) if publish.topic.is_empty() => &self.aliases[&alias],
            Some(alias) => self
                .aliases
                .entry(alias)
                .insert_entry(publish.topic.clone())
                .into_mut(),
            None => &publish.topic,
        };
        String::from_utf8(topic.clone()).unwrap()
    }

    pub(crate) fn publish_ack(&mut self) -> Ack {
        match self.next() {
            Packet::PublishAck(ack) => ack,
            other => panic!("not PUBACK: {other:?}"),
        }
    }

    pub(crate) fn publish_received(&mut self) -> Ack {
        match self.next() {
            Packet::PublishReceived(ack) => ack,
            other => panic!("not PUBREC: {other:?}"),
        }
    }

    pub(crate) fn publish_release(&mut self) -> Ack {
        match self.next() {
            Packet::PublishRelease(ack) => ack,
            other => panic!("not PUBREL: {other:?}"),
        }
    }

    pub(crate) fn publish_complete(&mut self) -> Ack {
        match self.next() {
            Packet::PublishComplete(ack) => ack,
            other => panic!("not PUBCOMP: {other:?}"),
        }
    }

    pub(crate) fn subscribe_ack(&mut self) -> SubscribeAck {
        loop {
            match self.receive() {
                Some(Packet::SubscribeAck(ack)) => return ack,
                Some(publish @ Packet::Publish(_)) => self.early.push_back(publish),
                other => panic!("not SUBACK: {other:?}"),
            }
        }
    }

    pub(crate) fn unsubscribe_ack(&mut self) -> SubscribeAck {
        match self.next() {
            Packet::UnsubscribeAck(ack) => ack,
            other => panic!("not UNSUBACK: {other:?}"),
        }
    }

    /// The reason of the DISCONNECT that comes next, and the end behind it.
    pub(crate) fn disconnected(&mut self) -> u8 {
        let reason = match self.next() {
            Packet::Disconnect(disconnect) => disconnect.reason,
            other => panic!("not DISCONNECT: {other:?}"),
        };
        self.closed();
        reason
    }

    /// The broker closes the connection and says nothing more.
    pub(crate) fn closed(&mut self) {
        let more = self.next_or_end();
        assert_eq!(more, None, "said before the end");
    }

    /// An identifier this client has not used yet.
    pub(crate) fn fresh_id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }

    /// Subscribes to one filter with the options byte; must be granted.
    pub(crate) fn subscribe(&mut self, filter: &str, options: u8) {
        let subscribe = Subscribe::new(self.fresh_id()).to(filter, options);
        let ack = self.request(&subscribe);
        assert_eq!(ack.reasons, [options & 3], "not granted: {filter}");
    }

    pub(crate) fn request(&mut self, subscribe: &Subscribe) -> SubscribeAck {
        self.send(subscribe.bytes(self.version));
        self.subscribe_ack()
    }

    pub(crate) fn unsubscribe(&mut self, filter: &str) -> Vec<u8> {
        let unsubscribe = Subscribe::new(self.fresh_id()).to(filter, 0);
        self.send(unsubscribe.unsubscribe(self.version));
        self.unsubscribe_ack().reasons
    }

    pub(crate) fn put(&mut self, publish: &Publish) {
        self.send(publish.bytes(self.version));
    }

    /// Publishes at QoS 1 and waits until the broker has taken it over; the reason.
    pub(crate) fn publish(&mut self, publish: Publish) -> u8 {
        let id = self.fresh_id();
        self.put(&publish.qos(1, id));
        let ack = self.publish_ack();
        assert_eq!(ack.id, id);
        ack.reason
    }

    /// Publishes at QoS 2, to the end of the exchange.
    pub(crate) fn publish_twice_acked(&mut self, publish: Publish) {
        let id = self.fresh_id();
        self.put(&publish.qos(2, id));
        assert_eq!(self.publish_received().id, id);
        self.answer(0x62, id);
        assert_eq!(self.publish_complete().id, id);
    }

    /// Sends PUBACK 0x40, PUBREC 0x50, PUBREL 0x62 or PUBCOMP 0x70.
    pub(crate) fn answer(&mut self, first: u8, id: u16) {
        self.send(Wire::new().two(id).frame(first));
    }

    /// The same with a reason.
    pub(crate) fn answer_with(&mut self, first: u8, id: u16, reason: u8) {
        self.send(Wire::new().two(id).byte(reason).frame(first));
    }

    /// The next packet is the answer to PINGREQ: there was nothing else to be sent, and
    /// whatever was sent before has been looked at.
    pub(crate) fn ping(&mut self) {
        self.send([0xc0, 0]);
        let next = self.next();
        assert_eq!(next, Packet::PingResponse, "not to be sent");
    }

    /// Publishes at QoS 1, whatever else is published before the answer; the reason.
    pub(crate) fn publish_among_others(&mut self, topic: &str) -> u8 {
        let id = self.fresh_id();
        self.put(&Publish::new(topic, "").qos(1, id));
        loop {
            match self.receive().expect("the broker closed the connection") {
                Packet::Publish(publish) => self.early.push_back(Packet::Publish(publish)),
                Packet::PublishAck(ack) => return ack.reason,
                other => panic!("not PUBACK: {other:?}"),
            }
        }
    }

    /// The answer to PINGREQ, whatever is published before it.
    pub(crate) fn ping_past_publishes(&mut self) {
        self.send([0xc0, 0]);
        while matches!(self.next(), Packet::Publish(_)) {}
    }

    /// Publishes to a topic that it is subscribed to: whatever was sent there before
    /// would have come first.
    pub(crate) fn publish_to_itself(&mut self, topic: &str) {
        self.put(&Publish::new(topic, "marker"));
        let next = self.published();
        assert_eq!(next.payload(), "marker", "not to be sent: {next:?}");
    }

    /// Ends the connection in order and waits for its end.
    pub(crate) fn disconnect(mut self) {
        self.send([0xe0, 0]);
        self.closed();
    }

    /// Ends the connection without a word, and waits until the broker has noticed.
    pub(crate) fn vanish(mut self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
        while self.next_or_end().is_some() {}
    }
}

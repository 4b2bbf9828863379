//! Drives one core as a server would, and shows what clients get as lines.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::super::{
    Broker, ConnectOrigin, ConnectionId, Input, Outgoing, Output, PublishOut, Published, Restored,
    Settings,
    durable::{Commit, Durability, Token},
    shard::ShardId,
    time::Moment,
};
use super::packets::{Ack, Connect, Filter, Packet, Publish, Will};
use crate::broker::Parcel;
use crate::codec::{
    self, ProtocolVersion, QualityOfService, ReasonCode, RetainHandling, TopicForm,
};

pub(in crate::broker) const Q0: QualityOfService = QualityOfService::AtMostOnce;
pub(in crate::broker) const Q1: QualityOfService = QualityOfService::AtLeastOnce;
pub(in crate::broker) const Q2: QualityOfService = QualityOfService::ExactlyOnce;

pub(in crate::broker) fn connect_packet(client_id: &str) -> Connect<'_> {
    Connect {
        version: ProtocolVersion::V5,
        clean_start: true,
        keep_alive: 0,
        client_id,
        will: None,
        session_expiry: None,
        receive_maximum: None,
        maximum_packet_size: None,
        topic_alias_maximum: 0,
        auth_method: None,
    }
}

/// A client whose session stays.
pub(in crate::broker) fn persistent(client_id: &str) -> Connect<'_> {
    Connect {
        clean_start: false,
        session_expiry: Some(3_600),
        ..connect_packet(client_id)
    }
}

pub(in crate::broker) fn will(topic: &str, delay: u32) -> Will<'_> {
    Will {
        qos: Q1,
        retain: false,
        topic,
        delay,
        message_expiry: None,
    }
}

pub(in crate::broker) fn publish_packet<'a>(
    topic: &'a str,
    payload: &'a str,
    qos: QualityOfService,
    packet_id: u16,
) -> Publish<'a> {
    Publish {
        dup: false,
        qos,
        retain: false,
        topic,
        packet_id,
        topic_alias: None,
        message_expiry: None,
        payload: payload.as_bytes(),
    }
}

pub(in crate::broker) fn filter(filter: &str, qos: QualityOfService) -> Filter<'_> {
    Filter {
        filter,
        qos,
        no_local: false,
        retain_as_published: false,
        retain_handling: RetainHandling::Send,
    }
}

/// One core, its connections' other ends, and a store.
pub(in crate::broker) struct Driver {
    pub(in crate::broker) broker: Broker,
    pub(in crate::broker) now: Moment,
    pub(in crate::broker) wire: BTreeMap<u32, Vec<String>>,
    /// Connections that are not read from: what waits for them stays in the core.
    pub(in crate::broker) unread: Vec<u32>,
    pub(in crate::broker) store: Restored,
    /// Batches not reported yet, if `holds_commits`.
    pub(in crate::broker) commits: VecDeque<Commit>,
    pub(in crate::broker) holds_commits: bool,
    pub(in crate::broker) crossing: VecDeque<(ShardId, Parcel)>,
    pub(in crate::broker) is_stopped: bool,
    pub(in crate::broker) published: Vec<(u64, Published)>,
    next_id: u16,
    place: (ShardId, u8),
}

impl Driver {
    pub(in crate::broker) fn new(settings: Settings) -> Self {
        let now = Moment::from_millis(1_000_000);
        let place = (settings.shard, settings.shards);
        Self {
            place,
            broker: Broker::new(now, settings),
            now,
            wire: BTreeMap::new(),
            unread: Vec::new(),
            store: Restored::default(),
            commits: VecDeque::new(),
            holds_commits: false,
            crossing: VecDeque::new(),
            is_stopped: false,
            published: Vec::new(),
            next_id: 0,
        }
    }

    pub(in crate::broker) fn plain() -> Self {
        Self::new(Settings::default())
    }

    pub(in crate::broker) fn durable() -> Self {
        Self::new(Settings {
            durability: Durability::Stored,
            ..Settings::default()
        })
    }

    /// The core is gone, and one without a store is in its place.
    pub(in crate::broker) fn begin_anew(&mut self) {
        self.replace(Durability::None);
    }

    fn replace(&mut self, durability: Durability) {
        let settings = Settings {
            shard: self.place.0,
            shards: self.place.1,
            durability,
            ..Settings::default()
        };
        self.broker = Broker::new(self.now, settings);
        self.commits.clear();
        self.wire.clear();
        self.crossing.clear();
    }

    /// The process is killed: a new core from what the store has.
    pub(in crate::broker) fn crash(&mut self) {
        self.replace(Durability::Stored);
        self.broker.restore(self.now, self.store.clone());
        self.run();
    }

    pub(in crate::broker) fn input(&mut self, input: Input) {
        self.broker.handle(self.now, input);
        self.run();
    }

    /// Does all that the core wants done.
    pub(in crate::broker) fn run(&mut self) {
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::Ready(connection) => self.drain(connection),
                Output::Commit(commit) => {
                    self.commits.push_back(commit);
                    if !self.holds_commits {
                        self.commit();
                    }
                }
                Output::Published(receipt, outcome) => self.published.push((receipt.0, outcome)),
                Output::Stopped => self.is_stopped = true,
            }
        }
        while let Some(parcel) = self.broker.poll_parcel() {
            self.crossing.push_back(parcel);
        }
    }

    /// The store has all it was given.
    pub(in crate::broker) fn commit(&mut self) {
        while let Some(commit) = self.commits.pop_front() {
            let token = commit.token;
            for record in commit.records {
                self.store.apply(record);
            }
            self.committed(token);
        }
    }

    fn committed(&mut self, token: Token) {
        self.broker.handle(self.now, Input::Committed(token));
        self.run();
    }

    fn drain(&mut self, connection: ConnectionId) {
        if self.unread.contains(&connection.0) {
            return;
        }
        while let Some(outgoing) = self.broker.next_packet(self.now, connection) {
            let closes = matches!(outgoing, Outgoing::Close);
            self.wire
                .entry(connection.0)
                .or_default()
                .push(line(&outgoing));
            if closes {
                self.broker.handle(self.now, Input::Closed { connection });
                break;
            }
        }
    }

    /// Reads a connection again.
    pub(in crate::broker) fn read(&mut self, connection: u32) {
        self.unread.retain(|unread| *unread != connection);
        self.drain(ConnectionId(connection));
        self.run();
    }

    /// What the connection has got since it was last asked.
    pub(in crate::broker) fn got(&mut self, connection: u32) -> Vec<String> {
        self.wire.remove(&connection).unwrap_or_default()
    }

    /// Lets time pass, stopping at every deadline.
    pub(in crate::broker) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.broker.next_deadline().filter(|due| *due <= end) {
            self.now = due.max(self.now);
            self.input(Input::Tick);
        }
        self.now = end;
        self.input(Input::Tick);
    }

    pub(in crate::broker) fn connect(
        &mut self,
        connection: u32,
        packet: Connect<'_>,
    ) -> Vec<String> {
        self.input(Input::Connect {
            connection: ConnectionId(connection),
            packet: packet.build(),
            origin: ConnectOrigin::default(),
        });
        self.got(connection)
    }

    /// Connects and expects success.
    pub(in crate::broker) fn join(&mut self, connection: u32, packet: Connect<'_>) {
        let got = self.connect(connection, packet);
        assert!(got[0].starts_with("connack Success"), "{got:?}");
        self.wire
            .entry(connection)
            .or_default()
            .extend(got.into_iter().skip(1));
    }

    pub(in crate::broker) fn packet(&mut self, connection: u32, packet: Packet<'_>) {
        let connection = ConnectionId(connection);
        let packet = packet.build();
        self.input(Input::Packet { connection, packet });
    }

    pub(in crate::broker) fn subscribe(
        &mut self,
        connection: u32,
        filters: &[Filter<'_>],
    ) -> String {
        self.subscribe_as(connection, filters, None)
    }

    /// Subscribes; returns the SUBACK, and leaves what else came.
    pub(in crate::broker) fn subscribe_as(
        &mut self,
        connection: u32,
        filters: &[Filter<'_>],
        identifier: Option<u32>,
    ) -> String {
        let before = self.got(connection);
        self.next_id += 1;
        self.packet(
            connection,
            Packet::Subscribe(self.next_id, identifier, filters.to_vec()),
        );
        let mut got = self.got(connection);
        let suback = got
            .iter()
            .position(|line| line.starts_with("suback"))
            .map(|at| got.remove(at));
        self.wire.insert(connection, [before, got].concat());
        suback.unwrap_or_default()
    }

    pub(in crate::broker) fn unsubscribe(
        &mut self,
        connection: u32,
        filters: &[&str],
    ) -> Vec<String> {
        let filters = filters.to_vec();
        self.packet(connection, Packet::Unsubscribe(filters));
        self.got(connection)
    }

    pub(in crate::broker) fn publish(
        &mut self,
        connection: u32,
        topic: &str,
        payload: &str,
        qos: QualityOfService,
    ) {
        self.next_id += 1;
        let packet_id = self.next_id;
        self.packet(
            connection,
            Packet::Publish(publish_packet(topic, payload, qos, packet_id)),
        );
    }

    pub(in crate::broker) fn retain(&mut self, connection: u32, topic: &str, payload: &str) {
        let packet = Publish {
            retain: true,
            ..publish_packet(topic, payload, Q0, 0)
        };
        self.packet(connection, Packet::Publish(packet));
    }

    pub(in crate::broker) fn ack(
        &mut self,
        connection: u32,
        make: impl Fn(Ack) -> Packet<'static>,
        packet_id: u16,
    ) {
        let reason = ReasonCode::Success;
        self.packet(connection, make(Ack { packet_id, reason }));
    }

    /// The network fails.
    pub(in crate::broker) fn lose(&mut self, connection: u32) {
        let connection = ConnectionId(connection);
        self.input(Input::Closed { connection });
    }

    pub(in crate::broker) fn disconnect(&mut self, connection: u32, reason: ReasonCode) {
        self.packet(connection, Packet::Disconnect(reason, None));
    }
}

fn line(outgoing: &Outgoing) -> String {
    match outgoing {
        Outgoing::Close => "close".to_owned(),
        Outgoing::Publish(publish) => publish_line(publish),
        Outgoing::Packet(packet) => packet_line(packet),
    }
}

fn packet_line(packet: &codec::Packet) -> String {
    use codec::Packet;
    let acknowledged = |name, ack: &codec::Acknowledgement| {
        format!("{name} {} {:?}", ack.packet_identifier.get(), ack.reason)
    };
    match packet {
        Packet::ConnectAck(ack) => {
            let present = if ack.session_present { " present" } else { "" };
            format!("connack {:?}{present}", ack.reason)
        }
        Packet::PublishAck(ack) => acknowledged("puback", ack),
        Packet::PublishReceived(ack) => acknowledged("pubrec", ack),
        Packet::PublishRelease(ack) => acknowledged("pubrel", ack),
        Packet::PublishComplete(ack) => acknowledged("pubcomp", ack),
        Packet::SubscribeAck(ack) => format!("suback {:?}", ack.reasons),
        Packet::UnsubscribeAck(ack) => format!("unsuback {:?}", ack.reasons),
        Packet::PingResponse => "pingresp".to_owned(),
        Packet::Auth(auth) => {
            let method = auth.method.as_ref().map_or("", codec::Text::as_str);
            let data = String::from_utf8_lossy(auth.data.as_deref().unwrap_or_default());
            format!("auth {:?} {method} {data}", auth.reason)
        }
        Packet::Disconnect(disconnect) => format!("disconnect {:?}", disconnect.reason),
        other => panic!("a server does not send {other:?}"),
    }
}

fn publish_line(publish: &PublishOut) -> String {
    let message = publish.message();
    let payload = String::from_utf8_lossy(message.payload());
    let topic = match publish.form() {
        TopicForm::Name => message.topic().to_string(),
        TopicForm::NameAndAlias(alias) => format!("{}={}", message.topic(), alias.0),
        TopicForm::Alias(alias) => format!("={}", alias.0),
    };
    let mut line = format!("{topic} {payload} q{}", publish.qos() as u8);
    if let Some(id) = publish.packet_id() {
        line += &format!(" #{}", id.get());
    }
    if publish.dup() {
        line += " dup";
    }
    if publish.retain() {
        line += " retain";
    }
    if let Some(secs) = publish.expiry_secs() {
        line += &format!(" expiry={secs}");
    }
    if !publish.identifiers().is_empty() {
        let mut ids: Vec<_> = publish.identifiers().iter().map(|id| id.get()).collect();
        ids.sort_unstable();
        line += &format!(" ids={ids:?}");
    }
    line
}

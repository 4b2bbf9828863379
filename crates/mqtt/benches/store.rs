//! What it costs to queue messages of QoS 1 for a client that is away, durably: core,
//! encoding and store, without sockets and codec.
//!
//! `cargo bench -p tidegate-mqtt --bench store` prints the processor time of all threads
//! for each message, by promise and by how many are published in one turn.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tidegate_mqtt::broker::durable::{Durability, Token};
use tidegate_mqtt::broker::limits::Limits;
use tidegate_mqtt::broker::shard::ShardId;
use tidegate_mqtt::broker::time::Moment;
use tidegate_mqtt::broker::{
    Broker, ConnectOrigin, ConnectionId, Input, Outgoing, Output, Settings,
};
use tidegate_mqtt::codec::{
    Connect, ConnectProperties, Delivery, MessageProperties, Packet, PacketIdentifier,
    ProtocolVersion, Publish, QualityOfService, Subscribe, Subscription, SubscriptionOptions, Text,
    TopicFilter, TopicName, UserProperties,
};
use tidegate_mqtt::store::{Batch, Promise, Refused, Reports, Store};

const NOW: Moment = Moment::from_millis(1_000_000);
const AWAY: ConnectionId = ConnectionId(1);
const SENDER: ConnectionId = ConnectionId(2);

/// Messages that the sender has no acknowledgement for.
const UNACKNOWLEDGED_MAX: u64 = 1_024;

fn main() {
    for (promise, per_turn, turns) in [
        (Promise::Os, 1, 200_000),
        (Promise::Os, 20, 25_000),
        (Promise::Fsync, 20, 1_000),
    ] {
        let messages: u32 = per_turn * turns;
        let mut bench = Bench::new(promise);
        let (began, before) = (Instant::now(), processor_time());
        for _ in 0..turns {
            bench.publish(per_turn);
        }
        bench.finish();
        let used = processor_time().saturating_sub(before);
        let each = |time: Duration| time.as_nanos() / u128::from(messages);
        println!(
            "{promise:?}, {per_turn} a turn: {} ns processor, {} ns elapsed for each of {messages}; {:?}",
            each(used),
            each(began.elapsed()),
            bench.store.counts()
        );
    }
}

struct Bench {
    broker: Broker,
    store: Store,
    reports: Reports,
    last: Token,
    progress: tokio::sync::watch::Receiver<tidegate_mqtt::store::Progress>,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new(promise: Promise) -> Self {
        // A real disk, unlike where temporary files are at times.
        let place = env!("CARGO_TARGET_TMPDIR");
        let directory = tempfile::tempdir_in(place).expect("room below target/");
        let store = Store::open(directory.path(), promise, 1).expect("a new store");
        let (reports, progress) = Reports::new();
        let limits = Limits {
            queue_messages: 10_000_000,
            queue_bytes: 1 << 31,
            receive_maximum: u16::MAX,
            ..Limits::default()
        };
        let settings = Settings {
            limits,
            durability: Durability::Stored,
            ..Settings::default()
        };
        let mut bench = Self {
            broker: Broker::new(NOW, settings),
            store,
            reports,
            last: Token(0),
            progress,
            _directory: directory,
        };
        bench.connect(AWAY);
        bench.packet(AWAY, Packet::Subscribe(subscribe()));
        bench.input(Input::Closed { connection: AWAY });
        bench.connect(SENDER);
        bench.finish();
        bench
    }

    fn connect(&mut self, connection: ConnectionId) {
        let name = format!("client-{}", connection.0);
        self.input(Input::Connect {
            connection,
            packet: Box::new(Connect {
                version: ProtocolVersion::V5,
                clean_start: false,
                keep_alive_seconds: 0,
                client_identifier: Text::copy_from(&name).expect("a valid name"),
                will: None,
                user_name: None,
                password: None,
                properties: ConnectProperties {
                    session_expiry_seconds: Some(3_600),
                    ..ConnectProperties::default()
                },
            }),
            origin: ConnectOrigin::default(),
        });
        self.settle();
    }

    fn packet(&mut self, connection: ConnectionId, packet: Packet) {
        self.input(Input::Packet { connection, packet });
        self.settle();
    }

    fn input(&mut self, input: Input) {
        self.broker.handle(NOW, input);
    }

    /// Publishes so many messages, which are handed over as one commit.
    fn publish(&mut self, count: u32) {
        self.wait_for_acknowledgements(count);
        for _ in 0..count {
            self.input(Input::Packet {
                connection: SENDER,
                packet: Packet::Publish(publish()),
            });
        }
        self.settle();
    }

    fn settle(&mut self) {
        self.take_outputs();
        let committed = self.progress.borrow().committed;
        self.input(Input::Committed(committed));
        self.take_outputs();
    }

    fn take_outputs(&mut self) {
        while let Some(output) = self.broker.poll_output() {
            match output {
                Output::Ready(connection) => self.read(connection),
                Output::Commit(commit) => {
                    self.last = commit.token;
                    let mut batch = Batch::of(ShardId(0), &commit.records);
                    while let Err(refused) = self.store.commit(commit.token, batch, &self.reports) {
                        match refused {
                            Refused::Full(again) => batch = again,
                            Refused::Stopped => panic!("the store has stopped"),
                        }
                        std::thread::yield_now();
                    }
                }
                Output::Published(..) | Output::Stopped => {}
            }
        }
    }

    /// Takes what a client is sent.
    fn read(&mut self, connection: ConnectionId) {
        while let Some(outgoing) = self.broker.next_packet(NOW, connection) {
            match outgoing {
                Outgoing::Packet(Packet::Disconnect(last)) => {
                    panic!("a client is sent away: {:?}", last.reason)
                }
                Outgoing::Close => panic!("a client is sent away"),
                Outgoing::Packet(_) | Outgoing::Publish(_) => {}
            }
        }
    }

    /// Waits, as a client does that has no more than so many messages unacknowledged; each
    /// commit has `count`.
    fn wait_for_acknowledgements(&mut self, count: u32) {
        let is_behind = |bench: &Self| {
            let committed = bench.progress.borrow().committed;
            (bench.last.0 - committed.0) * u64::from(count) > UNACKNOWLEDGED_MAX
        };
        while is_behind(self) {
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    /// Waits until the store has everything.
    fn finish(&mut self) {
        while self.progress.borrow().committed < self.last {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.settle();
    }
}

fn subscribe() -> Subscribe {
    Subscribe {
        packet_identifier: PacketIdentifier::FIRST,
        subscription_identifier: None,
        user_properties: UserProperties::new(),
        subscriptions: vec![Subscription {
            filter: TopicFilter::try_from("a/b").expect("a valid filter"),
            options: SubscriptionOptions {
                quality_of_service: QualityOfService::AtLeastOnce,
                ..SubscriptionOptions::default()
            },
        }],
    }
}

fn publish() -> Publish {
    Publish {
        delivery: Delivery::AtLeastOnce(PacketIdentifier::FIRST),
        duplicate: false,
        retain: false,
        topic: Some(TopicName::try_from("a/b").expect("a valid name")),
        topic_alias: None,
        message_expiry_seconds: None,
        subscription_identifiers: Vec::new(),
        properties: MessageProperties::new(),
        payload: Bytes::from_static(b"sixteen bytes...."),
    }
}

/// Of all threads of this process. Linux counts it in hundredths of a second.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
    let fields: Vec<u64> = fields
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().expect("a number"))
        .collect();
    Duration::from_millis(10 * fields.iter().sum::<u64>())
}

//! What the broker core costs for each message, without sockets and codec.
//!
//! `cargo bench -p tidegate-mqtt --bench broker` prints nanoseconds for each
//! delivered message; under callgrind, `-- NAME` runs one workload alone.

use std::{hint::black_box, time::Instant};

use bytes::{Bytes, BytesMut};
use tidegate_mqtt::{
    broker::{
        Broker, ConnectOrigin, ConnectionId, Input, Outgoing, Output, Settings, limits::Limits,
        time::Moment, topics::FilterIndex,
    },
    codec::{
        Acknowledgement, Connect, ConnectProperties, Delivery, MessageProperties, Packet,
        PacketIdentifier, ProtocolVersion, Publish, QualityOfService, Subscribe, Subscription,
        SubscriptionOptions, Text, TopicFilter, TopicName, UserProperties,
    },
};

const NOW: Moment = Moment::from_millis(1_000_000);

struct Bench {
    broker: Broker,
    delivered: u64,
    wire: BytesMut,
    packet_id: PacketIdentifier,
}

impl Bench {
    fn new() -> Self {
        let limits = Limits {
            queue_messages: 1_000_000,
            queue_bytes: 1 << 30,
            subscriptions: 1_000_000,
            ..Limits::default()
        };
        let settings = Settings {
            limits,
            ..Settings::default()
        };
        Self {
            broker: Broker::new(NOW, settings),
            delivered: 0,
            wire: BytesMut::with_capacity(1 << 16),
            packet_id: PacketIdentifier::FIRST,
        }
    }

    fn connect(&mut self, connection: u32, session_expiry: Option<u32>) {
        let client_id = format!("client-{connection}");
        self.input(Input::Connect {
            connection: ConnectionId(connection),
            packet: Box::new(Connect {
                version: ProtocolVersion::V5,
                clean_start: false,
                keep_alive_seconds: 60,
                client_identifier: Text::copy_from(&client_id).expect("a valid name"),
                will: None,
                user_name: None,
                password: None,
                properties: ConnectProperties {
                    session_expiry_seconds: session_expiry,
                    ..ConnectProperties::default()
                },
            }),
            origin: ConnectOrigin::default(),
        });
    }

    fn subscribe(&mut self, connection: u32, filter: &str, quality_of_service: QualityOfService) {
        let subscription = Subscription {
            filter: TopicFilter::try_from(filter).expect("a valid filter"),
            options: SubscriptionOptions {
                quality_of_service,
                ..SubscriptionOptions::default()
            },
        };
        let packet = Packet::Subscribe(Subscribe {
            packet_identifier: PacketIdentifier::FIRST,
            subscription_identifier: None,
            user_properties: UserProperties::new(),
            subscriptions: vec![subscription],
        });
        self.packet(connection, packet);
    }

    fn publish(&mut self, connection: u32, topic: &TopicName, qos: QualityOfService) {
        self.packet_id = self.packet_id.next();
        let packet = Packet::Publish(Publish {
            delivery: match qos {
                QualityOfService::AtMostOnce => Delivery::AtMostOnce,
                QualityOfService::AtLeastOnce => Delivery::AtLeastOnce(self.packet_id),
                QualityOfService::ExactlyOnce => Delivery::ExactlyOnce(self.packet_id),
            },
            duplicate: false,
            retain: false,
            topic: Some(topic.clone()),
            topic_alias: None,
            message_expiry_seconds: None,
            subscription_identifiers: Vec::new(),
            properties: MessageProperties::new(),
            payload: Bytes::from_static(&[7; 16]),
        });
        self.packet(connection, packet);
    }

    fn packet(&mut self, connection: u32, packet: Packet) {
        let connection = ConnectionId(connection);
        self.input(Input::Packet { connection, packet });
    }

    fn input(&mut self, input: Input) {
        self.broker.handle(NOW, input);
        while let Some(output) = self.broker.poll_output() {
            if let Output::Ready(connection) = output {
                self.drain(connection);
            }
        }
    }

    /// Reads all a client is sent and acknowledges it.
    fn drain(&mut self, connection: ConnectionId) {
        while let Some(outgoing) = self.broker.next_packet(NOW, connection) {
            let packet = match black_box(outgoing) {
                Outgoing::Publish(publish) => {
                    self.delivered += 1;
                    self.wire.clear();
                    publish
                        .write_head(ProtocolVersion::V5, &mut self.wire)
                        .expect("it fits");
                    self.wire.extend_from_slice(publish.message().payload());
                    black_box(&self.wire);
                    let Some(packet_id) = publish.packet_id() else {
                        continue;
                    };
                    let ack = Acknowledgement::success(packet_id);
                    match publish.qos() {
                        QualityOfService::ExactlyOnce => Packet::PublishReceived(ack),
                        _ => Packet::PublishAck(ack),
                    }
                }
                Outgoing::Packet(Packet::PublishReceived(ack)) => Packet::PublishRelease(ack),
                Outgoing::Packet(Packet::PublishRelease(ack)) => Packet::PublishComplete(ack),
                Outgoing::Packet(_) | Outgoing::Close => continue,
            };
            self.broker
                .handle(NOW, Input::Packet { connection, packet });
        }
    }
}

/// Prints what `count` runs of `work` cost, for each of `deliveries`.
fn measure(name: &str, count: u64, deliveries: u64, mut work: impl FnMut(u64)) {
    let wanted = std::env::args()
        .nth(1)
        .filter(|name| !name.starts_with("--"));
    if wanted.is_some_and(|wanted| wanted != name) {
        return;
    }
    let begin = Instant::now();
    for run in 0..count {
        work(run);
    }
    let nanos = begin.elapsed().as_nanos() as f64 / (count * deliveries) as f64;
    println!("{name:<24} {nanos:>9.1} ns");
}

fn topic(text: &str) -> TopicName {
    TopicName::try_from(text).expect("a valid topic")
}

fn pairs(name: &str, qos: QualityOfService) {
    let mut bench = Bench::new();
    let topics: Vec<_> = (0..20)
        .map(|pair| topic(&format!("bench/pair/{pair}")))
        .collect();
    for (pair, topic) in (0..).zip(&topics) {
        bench.connect(pair, None);
        bench.connect(100 + pair, None);
        bench.subscribe(100 + pair, topic.as_str(), qos);
    }
    measure(name, 200_000, 1, |run| {
        let pair = (run % 20) as u32;
        bench.publish(pair, &topics[pair as usize], qos);
    });
}

fn fan_out(name: &str, qos: QualityOfService) {
    let mut bench = Bench::new();
    bench.connect(0, None);
    for client in 1..=500 {
        bench.connect(client, None);
        bench.subscribe(client, "bench/fan", qos);
    }
    let topic = topic("bench/fan");
    measure(name, 2_000, 500, |_| bench.publish(0, &topic, qos));
}

fn wildcards(name: &str, filters: u32, fresh: bool) {
    let mut bench = Bench::new();
    bench.connect(0, None);
    for client in 1..=100 {
        bench.connect(client, None);
        for filter in 0..filters / 100 {
            let filter = format!("site/{}/+/device/{client}", filter);
            bench.subscribe(client, &filter, QualityOfService::AtMostOnce);
        }
    }
    measure(name, 200_000, 1, |run| {
        let kind = if fresh { run } else { run % 1_000 };
        let topic = format!("site/{}/room{kind}/device/{}", kind % 1_000, run % 100 + 1);
        bench.publish(0, &self::topic(&topic), QualityOfService::AtMostOnce);
    });
}

fn offline(name: &str, qos: QualityOfService) {
    let mut bench = Bench::new();
    bench.connect(0, None);
    bench.connect(1, Some(3_600));
    bench.subscribe(1, "bench/offline", qos);
    bench.input(Input::Closed {
        connection: ConnectionId(1),
    });
    let topic = topic("bench/offline");
    measure(name, 200_000, 1, |_| bench.publish(0, &topic, qos));
}

fn matching(name: &str) {
    let mut index = FilterIndex::default();
    let begin = Instant::now();
    for number in 0..1_000_000_u32 {
        let filter = match number % 4 {
            0 => format!("site/{}/device/{number}", number % 1_000),
            1 => format!("site/{}/+/{number}", number % 1_000),
            2 => format!("+/{number}/state"),
            _ => format!("site/{number}/#"),
        };
        index.insert(&filter);
    }
    let built = begin.elapsed().as_nanos() as f64 / 1_000_000.0;
    let mut found = Vec::new();
    measure(name, 1_000_000, 1, |run| {
        let topic = format!("site/{}/device/{}", run % 1_000, run);
        found.clear();
        index.matches(topic.as_bytes(), &mut found);
        black_box(&found);
    });
    println!("{:<24} {built:>9.1} ns a filter", "  inserting them");
}

/// Sets up what it needs, and measures under the name it is given.
type Workload = fn(&str);

/// Whether a workload is to run: the one named in the arguments, or all.
fn is_wanted(name: &str) -> bool {
    let wanted = std::env::args()
        .nth(1)
        .filter(|name| !name.starts_with("--"));
    wanted.is_none_or(|wanted| wanted == name)
}

fn main() {
    let workloads: [(&str, Workload); 9] = [
        ("pairs_qos_0", |name| {
            pairs(name, QualityOfService::AtMostOnce)
        }),
        ("pairs_qos_1", |name| {
            pairs(name, QualityOfService::AtLeastOnce)
        }),
        ("pairs_qos_2", |name| {
            pairs(name, QualityOfService::ExactlyOnce)
        }),
        ("fan_out_500_qos_0", |name| {
            fan_out(name, QualityOfService::AtMostOnce)
        }),
        ("fan_out_500_qos_1", |name| {
            fan_out(name, QualityOfService::AtLeastOnce)
        }),
        ("wildcards_100k", |name| wildcards(name, 100_000, false)),
        ("wildcards_100k_fresh", |name| {
            wildcards(name, 100_000, true)
        }),
        ("offline_qos_1", |name| {
            offline(name, QualityOfService::AtLeastOnce)
        }),
        ("match_1m_filters", matching),
    ];
    for (name, workload) in workloads {
        if is_wanted(name) {
            workload(name);
        }
    }
}

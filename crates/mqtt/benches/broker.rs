//! What the broker core costs for each message, without sockets and codec.
//!
//! `cargo bench -p tidegate-mqtt --bench broker` prints nanoseconds for each
//! delivered message; under callgrind, `-- NAME` runs one workload alone.

use std::{hint::black_box, time::Instant};

use tidegate_mqtt::{
    broker::{
        Broker, ConnectOrigin, ConnectionId, Input, Outgoing, Output, Settings, limits::Limits,
        time::Moment, topics::FilterIndex,
    },
    codec::{
        Ack, Connect, Filter, Packet, Publish, QoS, ReasonCode, RetainHandling, Subscribe, Version,
    },
};

const NOW: Moment = Moment::from_millis(1_000_000);

struct Bench {
    broker: Broker,
    delivered: u64,
    packet_id: u16,
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
            packet_id: 0,
        }
    }

    fn connect(&mut self, connection: u32, session_expiry: Option<u32>) {
        let client_id = format!("client-{connection}");
        self.input(Input::Connect {
            connection: ConnectionId(connection),
            packet: Box::new(Connect {
                version: Version::V5,
                clean_start: false,
                keep_alive: 60,
                client_id: &client_id,
                will: None,
                session_expiry,
                receive_maximum: None,
                maximum_packet_size: None,
                topic_alias_maximum: 0,
                request_response_information: false,
                request_problem_information: true,
                auth_method: None,
                auth_data: None,
            }),
            origin: ConnectOrigin::default(),
        });
    }

    fn subscribe(&mut self, connection: u32, filter: &str, qos: QoS) {
        let filters = vec![Filter {
            filter,
            qos,
            no_local: false,
            retain_as_published: false,
            retain_handling: RetainHandling::Send,
        }];
        let packet = Packet::Subscribe(Subscribe {
            packet_id: 1,
            identifier: None,
            filters,
        });
        self.packet(connection, packet);
    }

    fn publish(&mut self, connection: u32, topic: &str, qos: QoS) {
        self.packet_id = self.packet_id % 60_000 + 1;
        let packet = Packet::Publish(Publish {
            dup: false,
            qos,
            retain: false,
            topic,
            packet_id: self.packet_id,
            topic_alias: None,
            message_expiry: None,
            forwarded_properties: &[],
            payload: &[7; 16],
        });
        self.packet(connection, packet);
    }

    fn packet(&mut self, connection: u32, packet: Packet<'_>) {
        let connection = ConnectionId(connection);
        self.input(Input::Packet { connection, packet });
    }

    fn input(&mut self, input: Input<'_>) {
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
            let answer = match black_box(outgoing) {
                Outgoing::Publish(publish) => {
                    self.delivered += 1;
                    let Some(packet_id) = publish.packet_id() else {
                        continue;
                    };
                    let ack = Ack {
                        packet_id,
                        reason: ReasonCode::Success,
                    };
                    match publish.qos() {
                        QoS::ExactlyOnce => Packet::PubRec(ack),
                        _ => Packet::PubAck(ack),
                    }
                }
                Outgoing::Reply(tidegate_mqtt::broker::Reply::PubRec(packet_id, reason)) => {
                    Packet::PubRel(Ack { packet_id, reason })
                }
                Outgoing::Reply(tidegate_mqtt::broker::Reply::PubRel(packet_id, reason)) => {
                    Packet::PubComp(Ack { packet_id, reason })
                }
                Outgoing::Reply(_) | Outgoing::Close => continue,
            };
            let input = Input::Packet {
                connection,
                packet: answer,
            };
            self.broker.handle(NOW, input);
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

fn pairs(name: &str, qos: QoS) {
    let mut bench = Bench::new();
    let topics: Vec<String> = (0..20).map(|pair| format!("bench/pair/{pair}")).collect();
    for (pair, topic) in (0..).zip(&topics) {
        bench.connect(pair, None);
        bench.connect(100 + pair, None);
        bench.subscribe(100 + pair, topic, qos);
    }
    measure(name, 200_000, 1, |run| {
        let pair = (run % 20) as u32;
        bench.publish(pair, &topics[pair as usize], qos);
    });
}

fn fan_out(name: &str, qos: QoS) {
    let mut bench = Bench::new();
    bench.connect(0, None);
    for client in 1..=500 {
        bench.connect(client, None);
        bench.subscribe(client, "bench/fan", qos);
    }
    measure(name, 2_000, 500, |_| bench.publish(0, "bench/fan", qos));
}

fn wildcards(name: &str, filters: u32, fresh: bool) {
    let mut bench = Bench::new();
    bench.connect(0, None);
    for client in 1..=100 {
        bench.connect(client, None);
        for filter in 0..filters / 100 {
            let filter = format!("site/{}/+/device/{client}", filter);
            bench.subscribe(client, &filter, QoS::AtMostOnce);
        }
    }
    measure(name, 200_000, 1, |run| {
        let kind = if fresh { run } else { run % 1_000 };
        let topic = format!("site/{}/room{kind}/device/{}", kind % 1_000, run % 100 + 1);
        bench.publish(0, &topic, QoS::AtMostOnce);
    });
}

fn offline(name: &str, qos: QoS) {
    let mut bench = Bench::new();
    bench.connect(0, None);
    bench.connect(1, Some(3_600));
    bench.subscribe(1, "bench/offline", qos);
    bench.input(Input::Closed {
        connection: ConnectionId(1),
    });
    measure(name, 200_000, 1, |_| bench.publish(0, "bench/offline", qos));
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
        index.matches(&topic, &mut found);
        black_box(&found);
    });
    println!("{:<24} {built:>9.1} ns a filter", "  inserting them");
}

fn main() {
    pairs("pairs_qos_0", QoS::AtMostOnce);
    pairs("pairs_qos_1", QoS::AtLeastOnce);
    pairs("pairs_qos_2", QoS::ExactlyOnce);
    fan_out("fan_out_500_qos_0", QoS::AtMostOnce);
    fan_out("fan_out_500_qos_1", QoS::AtLeastOnce);
    wildcards("wildcards_100k", 100_000, false);
    wildcards("wildcards_100k_fresh", 100_000, true);
    offline("offline_qos_1", QoS::AtLeastOnce);
    matching("match_1m_filters");
}

//! What can be measured, by name, and what is wanted of us.

use super::brokers::Broker;
use super::flow::{Flow, Shape};
use anyhow::{Result, bail};
use tidegate_mqtt::codec::QualityOfService::{self, AtLeastOnce, AtMostOnce, ExactlyOnce};

/// Something to measure every broker with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) kind: Kind,
    /// How much of mosquitto's CPU time or memory ours may be.
    pub(crate) wanted: Wanted,
    pub(crate) rumqttd: Rumqttd,
}

/// How it is measured.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// As many messages as windows allow; CPU time for each that is delivered.
    Closed(Flow),
    /// So many messages a second; CPU time and latency.
    Paced { flow: Flow, per_second: u32 },
    /// Messages for sessions that are away; CPU time for each that is acknowledged.
    Offline { flow: Flow, each: u32 },
    /// Connections one after the other, many at a time; CPU time for each.
    Accept,
    /// Connections that say nothing; user memory for each.
    Idle { connections: usize },
    /// Subscribers that do not read, beside a flow; memory, and what the flow gets.
    Slow { subscribers: usize, flow: Flow },
    /// A flow with one worker and with two; what they can do in terms of CPU time.
    ///
    /// Each of two has half of the clients, and half of what is published crosses, as with the
    /// clients of a real broker (see [`publishers`](super::load::publishers)). The second one
    /// shares its core with the load, which costs it a little: there are two cores. Neither
    /// is ever idle, see [`Filler`](crate::filler::Filler).
    Workers(Flow),
}

/// What our result is held against.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted {
    /// At most this share of mosquitto's.
    Share(f64),
    /// At most this share of mosquitto's, and the median latency no longer.
    ShareAndLatency(f64),
    /// At most so many bytes for each connection.
    BytesEach(u64),
    /// At most the bound that is configured.
    Bound,
    /// At least so many times what one worker can do.
    Gain(f64),
}

/// Whether rumqttd can take part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rumqttd {
    TakesPart,
    CannotDoIt,
}

impl Workload {
    /// Whether `broker` takes part.
    pub(crate) fn is_for(&self, broker: Broker) -> bool {
        broker != Broker::Rumqttd || self.rumqttd == Rumqttd::TakesPart
    }
}

const fn closed(
    name: &'static str,
    about: &'static str,
    (shape, window): (Shape, u32),
    qos: QualityOfService,
    wanted: f64,
) -> Workload {
    Workload {
        name,
        about,
        kind: Kind::Closed(Flow::short(shape, qos, window)),
        wanted: Wanted::Share(wanted),
        rumqttd: Rumqttd::TakesPart,
    }
}

const PAIRS: (Shape, u32) = (Shape::Pairs(20), 64);
const FAN_OUT: (Shape, u32) = (Shape::FanOut(500), 16);
const FAN_IN: (Shape, u32) = (Shape::FanIn(200), 16);
const SHARED: Shape = Shape::Shared {
    publishers: 200,
    subscribers: 5,
};
const FILTERS: Shape = Shape::Filters {
    pairs: 20,
    filters: 100_000,
};

const fn large(
    name: &'static str,
    about: &'static str,
    qos: QualityOfService,
    wanted: f64,
) -> Workload {
    let flow = Flow {
        shape: Shape::Pairs(4),
        qos,
        payload_bytes: 64 << 10,
        window: 8,
    };
    Workload {
        name,
        about,
        kind: Kind::Closed(flow),
        wanted: Wanted::Share(wanted),
        rumqttd: Rumqttd::TakesPart,
    }
}

const fn paced(name: &'static str, about: &'static str, qos: QualityOfService) -> Workload {
    let (shape, window) = PAIRS;
    Workload {
        name,
        about,
        kind: Kind::Paced {
            flow: Flow::short(shape, qos, window),
            per_second: 20_000,
        },
        wanted: Wanted::ShareAndLatency(1.0),
        rumqttd: Rumqttd::TakesPart,
    }
}

const fn workers(name: &'static str, about: &'static str, qos: QualityOfService) -> Workload {
    let (shape, window) = PAIRS;
    Workload {
        name,
        about,
        kind: Kind::Workers(Flow::short(shape, qos, window)),
        wanted: Wanted::Gain(1.7),
        rumqttd: Rumqttd::CannotDoIt,
    }
}

/// All workloads, in the order they run.
pub(crate) const ALL: &[Workload] = &[
    closed(
        "pairs-qos0",
        "20 pairs, 16 B, QoS 0",
        PAIRS,
        AtMostOnce,
        0.35,
    ),
    closed(
        "pairs-qos1",
        "20 pairs, 16 B, QoS 1",
        PAIRS,
        AtLeastOnce,
        0.25,
    ),
    closed(
        "pairs-qos2",
        "20 pairs, 16 B, QoS 2",
        PAIRS,
        ExactlyOnce,
        0.2,
    ),
    closed(
        "fanout-qos0",
        "1 to 500, 16 B, QoS 0",
        FAN_OUT,
        AtMostOnce,
        0.3,
    ),
    closed(
        "fanout-qos1",
        "1 to 500, 16 B, QoS 1",
        FAN_OUT,
        AtLeastOnce,
        0.4,
    ),
    closed(
        "fanin-qos0",
        "200 to 1, 16 B, QoS 0",
        FAN_IN,
        AtMostOnce,
        0.4,
    ),
    closed(
        "share-qos0",
        "200 to 5 that share, 16 B, QoS 0",
        (SHARED, 16),
        AtMostOnce,
        0.5,
    ),
    large("large-qos0", "4 pairs, 64 KiB, QoS 0", AtMostOnce, 0.6),
    large("large-qos1", "4 pairs, 64 KiB, QoS 1", AtLeastOnce, 0.6),
    Workload {
        // Its wildcards are tried one by one: it would not get through the warm-up.
        rumqttd: Rumqttd::CannotDoIt,
        ..closed(
            "filters-qos0",
            "20 pairs, 100,000 wildcard filters, 16 B, QoS 0",
            (FILTERS, 64),
            AtMostOnce,
            0.5,
        )
    },
    Workload {
        name: "offline-qos1",
        about: "20 publishers to sessions that are away, 16 B, QoS 1",
        kind: Kind::Offline {
            flow: Flow::short(PAIRS.0, AtLeastOnce, PAIRS.1),
            each: 10_000,
        },
        wanted: Wanted::Share(0.3),
        rumqttd: Rumqttd::TakesPart,
    },
    paced(
        "paced-qos0",
        "20,000 a second over 20 pairs, 16 B, QoS 0",
        AtMostOnce,
    ),
    paced(
        "paced-qos1",
        "20,000 a second over 20 pairs, 16 B, QoS 1",
        AtLeastOnce,
    ),
    Workload {
        name: "accept",
        about: "connect, CONNACK, disconnect",
        kind: Kind::Accept,
        wanted: Wanted::Share(1.2),
        rumqttd: Rumqttd::TakesPart,
    },
    Workload {
        name: "idle-10000",
        about: "10,000 connections that say nothing",
        kind: Kind::Idle {
            connections: 10_000,
        },
        wanted: Wanted::BytesEach(2048),
        rumqttd: Rumqttd::TakesPart,
    },
    Workload {
        name: "slow-1000",
        about: "1,000 subscribers that do not read, beside 20 pairs at QoS 1",
        kind: Kind::Slow {
            subscribers: 1000,
            flow: Flow::short(PAIRS.0, AtLeastOnce, PAIRS.1),
        },
        wanted: Wanted::Bound,
        // It drops nothing for a slow subscriber, and grows.
        rumqttd: Rumqttd::CannotDoIt,
    },
    workers(
        "workers-qos0",
        "20 pairs, 16 B, QoS 0, one worker and two",
        AtMostOnce,
    ),
    workers(
        "workers-qos1",
        "20 pairs, 16 B, QoS 1, one worker and two",
        AtLeastOnce,
    ),
];

/// The workloads whose name has one of `filters` in it, or is one; all if there is none.
pub(crate) fn select(filters: &[String]) -> Result<Vec<Workload>> {
    let mut chosen = Vec::new();
    for filter in filters {
        let exact = ALL.iter().filter(|workload| workload.name == filter);
        let mut found: Vec<Workload> = exact.copied().collect();
        if found.is_empty() {
            let part = ALL.iter().filter(|workload| workload.name.contains(filter));
            found.extend(part.copied());
        }
        if found.is_empty() {
            bail!("no MQTT workload has {filter:?} in its name; see mqtt --list");
        }
        chosen.extend(found);
    }
    Ok(if filters.is_empty() {
        ALL.to_vec()
    } else {
        chosen
    })
}

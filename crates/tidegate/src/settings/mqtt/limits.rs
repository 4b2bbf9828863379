//! How much a broker takes of anything: `[servers.NAME.limits]`.

use tidegate_mqtt::broker::limits::{DropPolicy, Limits, OverRate};
use tidegate_mqtt::broker::rate::Rate;
use tidegate_mqtt::broker::retained::RetainedLimits;
use tidegate_mqtt::codec::PACKET_BYTES_LARGEST;

use crate::settings::limits::connections;
use crate::settings::scalars::Zero;
use crate::settings::section::Section;

pub(super) struct ReadLimits {
    pub(super) connections: usize,
    pub(super) broker: Limits,
}

pub(super) fn read_limits(section: &mut Section<'_>) -> Option<ReadLimits> {
    section.about(
        "How much there may be of things; what is not for a server or a worker is for each client.",
    );
    let default = Limits::default();
    let connections = connections(section);
    let mut count = |key, most: u32, default: usize, about| {
        let default = u32::try_from(default).unwrap_or(most);
        section.integer(key, 1..=most).about(about).or(default)
    };
    let about = "Sessions on each worker.";
    let sessions = count("sessions", 100_000_000, default.sessions, about) as usize;
    let about = "Subscriptions of a client.";
    let subscriptions = count("subscriptions", 1_000_000, default.subscriptions, about) as usize;
    let about = "Messages that wait for a client that is slow or away.";
    let queue_messages = default.queue_messages as usize;
    let queue_messages = count("queue_messages", 10_000_000, queue_messages, about);
    let about = "Clients sent away in a second at a stop; more if `drain` would not suffice.";
    let per_second = default.shutdown_per_second as usize;
    let per_second = count("disconnects_per_second", 1_000_000, per_second, about);
    let about = "Retained messages on each worker.";
    let retained = default.retained.topics;
    let retained = count("retained_messages", 100_000_000, retained, about) as usize;
    let receive_maximum = section
        .integer("receive_maximum", 1..=65_535_u16)
        .about("QoS 1 and 2 messages under way from a client.")
        .or(default.receive_maximum);
    let inflight = section
        .integer("inflight", 1..=32_768_u16)
        .about("QoS 1 and 2 messages under way to a client.")
        .or(default.inflight);
    let packet_bytes = section
        .memory("packet_bytes", Zero::Refused)
        .about("Bytes of a packet that a client sends.")
        .or(default.packet_bytes as usize);
    let queue_bytes = section
        .memory("queue_bytes", Zero::Refused)
        .about("Bytes of the messages that wait for a client.")
        .or(default.queue_bytes);
    let retained_bytes = section
        .memory("retained_bytes", Zero::Refused)
        .about("Bytes of the retained messages on each worker.")
        .or(default.retained.bytes);
    let queue_drop = section
        .choice(
            "queue_drop",
            &[
                ("newest", DropPolicy::Newest),
                ("oldest", DropPolicy::Oldest),
            ],
        )
        .about("Which message is dropped when too much waits for a client.")
        .or(DropPolicy::Newest);
    let (filter_levels, topic_levels) = read_levels(section, &default);
    let rates = read_rates(section, &default)?;
    Some(ReadLimits {
        connections,
        broker: Limits {
            sessions,
            subscriptions,
            queue_messages,
            queue_bytes,
            queue_drop,
            filter_levels,
            topic_levels,
            publish_rate: rates.publish,
            publish_over_rate: rates.publish_over,
            connect_rate: rates.connect,
            shutdown_per_second: per_second,
            receive_maximum,
            inflight,
            packet_bytes: u32::try_from(packet_bytes).unwrap_or(PACKET_BYTES_LARGEST),
            retained: RetainedLimits {
                topics: retained,
                bytes: retained_bytes,
            },
            ..default
        },
    })
}

/// How deep filters and topics may be.
fn read_levels(section: &mut Section<'_>, default: &Limits) -> (usize, usize) {
    let mut levels = |key, default: usize, about| {
        let default = u16::try_from(default).unwrap_or(u16::MAX);
        let levels = section.integer(key, 1..=u16::MAX).about(about);
        usize::from(levels.or(default))
    };
    let filter = levels(
        "filter_levels",
        default.filter_levels,
        "Levels of a topic filter that a client subscribes to.",
    );
    let topic = levels(
        "topic_levels",
        default.topic_levels,
        "Levels of a topic that a client publishes to.",
    );
    (filter, topic)
}

struct Rates {
    publish: Rate,
    publish_over: OverRate,
    connect: Rate,
}

/// The most of anything that a second is said to have room for.
const PER_SECOND_MAX: u32 = 10_000_000;

fn read_rates(section: &mut Section<'_>, default: &Limits) -> Option<Rates> {
    let publish = section.optional_table("publish_rate", |section| {
        section.about("PUBLISH packets of a client; absent: as many as are taken from it.");
        let over = section
            .choice(
                "over",
                &[
                    ("refuse", OverRate::Refuse),
                    ("disconnect", OverRate::Disconnect),
                ],
            )
            .about("Whether what is published too fast is refused, or the client sent away.")
            .or(default.publish_over_rate);
        Some((read_rate(section)?, over))
    })?;
    let connect = section.optional_table("connect_rate", |section| {
        section.about("Clients that each worker lets in; absent: as many as come.");
        read_rate(section)
    })?;
    let (publish, publish_over) =
        publish.unwrap_or((default.publish_rate, default.publish_over_rate));
    Some(Rates {
        publish,
        publish_over,
        connect: connect.unwrap_or(default.connect_rate),
    })
}

fn read_rate(section: &mut Section<'_>) -> Option<Rate> {
    let burst = section
        .integer("burst", 1..=PER_SECOND_MAX)
        .about("How many at once after a rest; absent: those of a second.")
        .optional()?;
    let per_second = section
        .integer("per_second", 1..=PER_SECOND_MAX)
        .about("How many in a second, in the long run.")
        .required()?;
    Some(Rate {
        per_second,
        burst: burst.unwrap_or(per_second),
    })
}

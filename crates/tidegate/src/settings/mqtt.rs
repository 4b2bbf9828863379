//! What a server with `protocol = "mqtt"` says beside its listeners.

mod access;
mod hook;
mod proofs;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use tidegate_mqtt::broker::limits::{DropPolicy, Limits};
use tidegate_mqtt::broker::retained::RetainedLimits;
use tidegate_mqtt::codec::PACKET_BYTES_LARGEST;
use tidegate_mqtt::server::operator::SYSTEM_INTERVAL_MIN;
use tidegate_mqtt::server::{Anonymous, ServerSettings};

pub use self::hook::Hook;
use self::proofs::Proofs;
use super::effective;
use super::scalars::{self, Zero};
use super::section::Section;
use super::store::Store;
use super::websocket::WebSocket;

/// The keys of a server that only MQTT has.
#[derive(Debug, Clone, PartialEq)]
pub struct Mqtt {
    /// How clients prove who they are.
    pub proofs: Proofs,
    /// What clients are granted, on each worker.
    pub settings: ServerSettings,
    /// What keeps sessions and messages over a restart; nothing does if none.
    pub store: Option<Store>,
    /// How often figures are published below `$SYS`; never, if zero.
    pub system_interval: Duration,
    /// Open connections of the whole server, all workers together.
    pub connections: usize,
    /// From accepting a connection to the end of its TLS handshake.
    pub tls_handshake: Duration,
    /// WebSocket on every listener, if present.
    pub websocket: Option<WebSocket>,
}

impl Mqtt {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        let anonymous = section
            .choice(
                "anonymous",
                &[
                    ("local", Anonymous::Local),
                    ("everybody", Anonymous::Everybody),
                    ("nobody", Anonymous::Nobody),
                ],
            )
            .optional();
        let proofs = Proofs::read(section);
        let topics = section
            .read("access", access::EXPECTED, access::read_rules)
            .optional();
        let store = Store::read(section);
        let system_interval = read_system_interval(section);
        let timeouts = section.table("timeouts", Timeouts::read)?;
        let limits = section.table("limits", read_limits)?;
        let proofs = proofs?;
        let anonymous = anonymous?.unwrap_or(match proofs.is_empty() {
            true => Anonymous::Local,
            false => Anonymous::Nobody,
        });
        let websocket = section.optional_table("websocket", WebSocket::read)?;
        Some(Self {
            proofs,
            settings: ServerSettings {
                connect_timeout: timeouts.connect,
                close_timeout: timeouts.close,
                anonymous,
                topics: topics?.map(Arc::new),
                broker: Limits {
                    session_expiry_secs: seconds(timeouts.session_expiry),
                    ..limits.broker
                },
                ..ServerSettings::default()
            },
            store: store?,
            system_interval,
            connections: limits.connections,
            tls_handshake: timeouts.tls_handshake,
            websocket,
        })
    }
}

/// What `system_interval` is where nothing is said.
const SYSTEM_INTERVAL: Duration = Duration::from_secs(10);

fn read_system_interval(section: &mut Section<'_>) -> Duration {
    let expected = "a duration of one second or more such as \"10s\", or \"0s\" for never";
    let entry = section.read("system_interval", expected, |found| {
        let interval = scalars::duration(found, Zero::Allowed)?;
        match interval.is_zero() || interval >= SYSTEM_INTERVAL_MIN {
            true => Some(interval),
            false => found.refuse("the interval is too short", expected),
        }
    });
    entry.shown(effective::duration).or(SYSTEM_INTERVAL)
}

struct Timeouts {
    connect: Duration,
    close: Duration,
    session_expiry: Duration,
    tls_handshake: Duration,
}

impl Timeouts {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let default = ServerSettings::default();
        let expiry = Duration::from_secs(default.broker.session_expiry_secs.into());
        let mut read = |key, zero, default| section.duration(key, zero).or(default);
        Some(Self {
            connect: read("connect", Zero::Refused, default.connect_timeout),
            close: read("close", Zero::Refused, default.close_timeout),
            session_expiry: read("session_expiry", Zero::Allowed, expiry),
            tls_handshake: read("tls_handshake", Zero::Refused, Duration::from_secs(10)),
        })
    }
}

/// MQTT counts seconds in 32 bits; the highest number means for ever.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

struct ReadLimits {
    connections: usize,
    broker: Limits,
}

fn read_limits(section: &mut Section<'_>) -> Option<ReadLimits> {
    let default = Limits::default();
    let mut count = |key, most: u32, default: usize| {
        let default = u32::try_from(default).unwrap_or(most);
        section.integer(key, 1..=most).or(default)
    };
    let connections = count("connections", 10_000_000, 10_000) as usize;
    let sessions = count("sessions", 100_000_000, default.sessions) as usize;
    let subscriptions = count("subscriptions", 1_000_000, default.subscriptions) as usize;
    let queue_messages = count(
        "queue_messages",
        10_000_000,
        default.queue_messages as usize,
    );
    let per_second = default.shutdown_per_second as usize;
    let per_second = count("disconnects_per_second", 1_000_000, per_second);
    let retained = count("retained_messages", 100_000_000, default.retained.topics) as usize;
    let receive_maximum = section
        .integer("receive_maximum", 1..=65_535_u16)
        .or(default.receive_maximum);
    let inflight = section
        .integer("inflight", 1..=32_768_u16)
        .or(default.inflight);
    let packet_bytes = section
        .memory("packet_bytes", Zero::Refused)
        .or(default.packet_bytes as usize);
    let queue_bytes = section
        .memory("queue_bytes", Zero::Refused)
        .or(default.queue_bytes);
    let retained_bytes = section
        .memory("retained_bytes", Zero::Refused)
        .or(default.retained.bytes);
    let queue_drop = section
        .choice(
            "queue_drop",
            &[
                ("newest", DropPolicy::Newest),
                ("oldest", DropPolicy::Oldest),
            ],
        )
        .or(DropPolicy::Newest);
    Some(ReadLimits {
        connections,
        broker: Limits {
            sessions,
            subscriptions,
            queue_messages,
            queue_bytes,
            queue_drop,
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

#[cfg(test)]
mod tests;

//! What a server with `protocol = "mqtt"` says beside its listeners.

mod access;
mod hook;
mod limits;
mod proofs;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use tidegate_mqtt::broker::limits::Limits;
use tidegate_mqtt::server::operator::SYSTEM_INTERVAL_MIN;
use tidegate_mqtt::server::{Anonymous, ServerSettings};

pub use self::hook::Hook;
use self::limits::read_limits;
use self::proofs::Proofs;
use super::effective;
use super::limits::tls_handshake;
use super::outline::Shape;
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
            .about(
                "Who comes in without a proof; absent: `local` if none can be given, or `nobody`.",
            )
            .optional();
        let proofs = Proofs::read(section);
        let topics = section
            .read("access", access::EXPECTED, access::read_rules)
            .about("Who may publish and subscribe to what; without it everybody may do everything.")
            .optional();
        let store = Store::read(section);
        let system_interval = read_system_interval(section);
        let timeouts = section.table("timeouts", Timeouts::read);
        let limits = section.table("limits", read_limits);
        let websocket = section.optional_table("websocket", WebSocket::read);
        let (timeouts, limits, proofs) = (timeouts?, limits?, proofs?);
        let anonymous = anonymous?.unwrap_or(match proofs.is_empty() {
            true => Anonymous::Local,
            false => Anonymous::Nobody,
        });
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
            websocket: websocket?,
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
    entry
        .about("How often figures are published below `$SYS`: a second or longer; zero: never.")
        .shaped(Shape::Duration(Zero::Allowed))
        .shown(effective::duration)
        .or(SYSTEM_INTERVAL)
}

struct Timeouts {
    connect: Duration,
    close: Duration,
    session_expiry: Duration,
    tls_handshake: Duration,
}

impl Timeouts {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        section.about("How long things may take.");
        let default = ServerSettings::default();
        let expiry = Duration::from_secs(default.broker.session_expiry_secs.into());
        let connect = section.duration("connect", Zero::Refused);
        let connect = connect.about("From accepting a connection to its CONNECT.");
        let connect = connect.or(default.connect_timeout);
        let close = section.duration("close", Zero::Refused);
        let close =
            close.about("How long a client that is sent away may take to read what is left.");
        let close = close.or(default.close_timeout);
        let session_expiry = section.duration("session_expiry", Zero::Allowed);
        let session_expiry =
            session_expiry.about("The longest that the session of an absent client is kept.");
        let session_expiry = session_expiry.or(expiry);
        Some(Self {
            connect,
            close,
            session_expiry,
            tls_handshake: tls_handshake(section),
        })
    }
}

/// MQTT counts seconds in 32 bits; the highest number means for ever.
fn seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;

//! Every bound of the core, with its default. What a bound did is counted in
//! [`Counters`](super::counters::Counters) under a name of the same stem.

use std::time::Duration;

use super::{rate::Rate, retained::RetainedLimits};

/// The highest [`Limits::inflight`] that has an effect: half the packet
/// identifiers there are.
pub const INFLIGHT_MAX: u16 = 32_768;

/// What a full queue does with one message more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DropPolicy {
    /// The message that comes is dropped: what waits keeps its place.
    #[default]
    Newest,
    /// The message that has waited longest and not been sent is dropped.
    Oldest,
}

/// What is done with a client that publishes faster than
/// [`Limits::publish_rate`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OverRate {
    /// QoS 1 and 2 are refused with 0x97 (Quota exceeded), QoS 0 is dropped.
    #[default]
    Refuse,
    /// DISCONNECT with 0x96 (Message rate too high).
    Disconnect,
}

/// The bounds of one core. The ones of a session hold for each session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum Packet Size told to clients, in bytes; more is 0x95 (Packet too
    /// large). Default 1 MiB.
    pub packet_bytes: u32,
    /// Receive Maximum told to clients: QualityOfService 1 and 2 messages they may have
    /// unacknowledged; more is 0x93. Default 256.
    pub receive_maximum: u16,
    /// QoS 1 and 2 messages in flight to one client, whatever more it allows;
    /// at most [`INFLIGHT_MAX`]. Default 256.
    pub inflight: u16,
    /// Topic Alias Maximum told to clients. Default 32.
    pub topic_aliases_in: u16,
    /// Topic aliases used towards one client, whatever more it allows. Default 32.
    pub topic_aliases_out: u16,
    /// Messages that wait for one client. Default 10,000.
    pub queue_messages: u32,
    /// Bytes of messages that wait for one client. Default 16 MiB.
    pub queue_bytes: usize,
    /// Which message a full queue drops.
    pub queue_drop: DropPolicy,
    /// Acknowledgements that wait to be written to one client; a client that
    /// sends on and reads none is disconnected with 0x97. Default 10,000.
    pub replies: usize,
    /// Sessions, connected or not; one more is 0x97 in CONNACK. Default 1,000,000.
    pub sessions: usize,
    /// The longest Session Expiry Interval granted, in seconds; also that of a
    /// persistent session of MQTT 3.1.1. Default 7 days.
    pub session_expiry_secs: u32,
    /// Subscriptions of one session; one more is 0x97. Default 1,000.
    pub subscriptions: usize,
    /// Levels of a topic filter; one with more is 0x97. Default 32.
    pub filter_levels: usize,
    /// Levels of a topic name; one with more is 0x90. Default 128.
    pub topic_levels: usize,
    /// Retained messages; one more is 0x97. Default 100,000 and 256 MiB.
    pub retained: RetainedLimits,
    /// PUBLISH packets of one client. No limit by default.
    pub publish_rate: Rate,
    /// What passing [`publish_rate`](Self::publish_rate) does.
    pub publish_over_rate: OverRate,
    /// CONNECT packets; one more is 0x9F. No limit by default.
    pub connect_rate: Rate,
    /// The longest keep-alive: a client that asks for more, or for none, is
    /// told this one. Default 65,535 s, with which only "none" is changed.
    pub keep_alive_max_secs: u16,
    /// Clients sent DISCONNECT per second while the broker shuts down, by all cores
    /// together. Default 5,000.
    pub shutdown_per_second: u32,
    /// The longest that sending them away may take: where there are more than
    /// [`shutdown_per_second`](Self::shutdown_per_second) gets done in it, they go faster.
    /// Default 20 s.
    pub shutdown_within: Duration,
    /// How long an enhanced authentication may take. Default 10 s.
    pub auth_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            packet_bytes: 1 << 20,
            receive_maximum: 256,
            inflight: 256,
            topic_aliases_in: 32,
            topic_aliases_out: 32,
            queue_messages: 10_000,
            queue_bytes: 16 << 20,
            queue_drop: DropPolicy::Newest,
            replies: 10_000,
            sessions: 1_000_000,
            session_expiry_secs: 7 * 24 * 3_600,
            subscriptions: 1_000,
            filter_levels: 32,
            topic_levels: 128,
            retained: RetainedLimits {
                topics: 100_000,
                bytes: 256 << 20,
            },
            publish_rate: Rate::UNLIMITED,
            publish_over_rate: OverRate::Refuse,
            connect_rate: Rate::UNLIMITED,
            keep_alive_max_secs: u16::MAX,
            shutdown_per_second: 5_000,
            shutdown_within: Duration::from_secs(20),
            auth_timeout: Duration::from_secs(10),
        }
    }
}

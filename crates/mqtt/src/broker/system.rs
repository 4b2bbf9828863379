//! The broker's own topics, below `$SYS`. Whoever knows all cores sums them up
//! and tells each; a core publishes to its own subscribers only.

use std::{rc::Rc, time::Duration};

use super::{Broker, counters::Counters, message::Message, route::Source, time::Moment};

/// The state of the whole broker at one time.
#[derive(Debug, Clone, Default)]
pub struct SystemState {
    /// Name and version of the software.
    pub version: String,
    /// How long it has run.
    pub uptime: Duration,
    /// The counts of all cores together.
    pub counters: Counters,
    /// Sessions with a connection.
    pub clients_connected: u64,
    /// Sessions, connected or not.
    pub clients_total: u64,
    /// Retained messages.
    pub retained: u64,
}

impl SystemState {
    /// The topics, as other brokers name them, and what they say now.
    pub fn topics(&self) -> Vec<(&'static str, String)> {
        let counters = &self.counters;
        vec![
            ("$SYS/broker/version", self.version.clone()),
            (
                "$SYS/broker/uptime",
                format!("{} seconds", self.uptime.as_secs()),
            ),
            (
                "$SYS/broker/clients/connected",
                self.clients_connected.to_string(),
            ),
            ("$SYS/broker/clients/total", self.clients_total.to_string()),
            (
                "$SYS/broker/clients/expired",
                counters.sessions_expired.to_string(),
            ),
            (
                "$SYS/broker/messages/received",
                counters.publishes_received.to_string(),
            ),
            (
                "$SYS/broker/messages/sent",
                counters.publishes_sent.to_string(),
            ),
            (
                "$SYS/broker/publish/bytes/received",
                counters.payload_bytes_received.to_string(),
            ),
            (
                "$SYS/broker/publish/bytes/sent",
                counters.payload_bytes_sent.to_string(),
            ),
            (
                "$SYS/broker/publish/messages/dropped",
                (counters.queue_messages_dropped + counters.queue_bytes_dropped).to_string(),
            ),
            (
                "$SYS/broker/retained messages/count",
                self.retained.to_string(),
            ),
        ]
    }
}

impl Broker {
    pub(super) fn publish_system(&mut self, now: Moment, system: &SystemState) {
        for (topic, text) in system.topics() {
            let unchanged = |held: &Rc<Message>| held.payload() == text.as_bytes();
            if self.retained.get(topic).is_some_and(unchanged) {
                continue;
            }
            let message = Rc::new(Message::of_system(topic, text));
            self.route(now, &message, Source::System);
        }
    }
}

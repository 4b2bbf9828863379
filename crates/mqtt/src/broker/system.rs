//! The broker's own topics, below `$SYS`. Whoever knows all cores sums them up
//! and tells each; a core publishes to its own subscribers only.
//!
//! A core is told while somebody here subscribes to some of them, and keeps the last values
//! for who comes next. With the last subscriber they go, so that nobody is ever given old
//! ones, and a broker that nobody asks has nothing to do.

use std::{rc::Rc, time::Duration};

use super::{
    Broker, counters::Counters, draft::Draft, message::Message, route::Source, time::Moment,
};

/// The first level of the broker's own topics.
const FIRST_LEVEL: &str = "$SYS";

/// Whether a filter may match topics of the broker's own. A wildcard in the first level does
/// not match them (4.7.2-1).
pub(super) fn is_system(filter: &str) -> bool {
    filter
        .strip_prefix(FIRST_LEVEL)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The state of the whole broker at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SystemState {
    /// Name and version of the software.
    pub version: String,
    /// How long it has run.
    pub uptime: Duration,
    /// The counts of all cores together.
    pub counters: Counters,
    /// Bytes of MQTT packets received.
    pub bytes_received: u64,
    /// Bytes of MQTT packets sent.
    pub bytes_sent: u64,
    /// Sessions with a connection.
    pub clients_connected: u64,
    /// The most there have been at one time.
    pub clients_maximum: u64,
    /// Sessions, connected or not.
    pub clients_total: u64,
    /// Subscriptions of all sessions.
    pub subscriptions: u64,
    /// Retained messages.
    pub retained: u64,
    /// Bytes of those and of their topics.
    pub retained_bytes: u64,
    /// Messages that wait for a client, or for its acknowledgement: once for each.
    pub queued: u64,
    /// Bytes of those that wait.
    pub queued_bytes: u64,
    /// Messages of QoS 0 that one core was too slow to take from another.
    pub crossings_dropped: u64,
}

impl SystemState {
    /// The topics, as other brokers name them, and what they say now.
    pub fn topics(&self) -> Vec<(&'static str, String)> {
        let mut topics = vec![
            ("$SYS/broker/version", self.version.clone()),
            (
                "$SYS/broker/uptime",
                format!("{} seconds", self.uptime.as_secs()),
            ),
        ];
        let numbers = self.held().into_iter().chain(self.passed());
        topics.extend(numbers.map(|(topic, number)| (topic, number.to_string())));
        topics
    }

    /// What there is now.
    fn held(&self) -> [(&'static str, u64); 9] {
        let away = self.clients_total.saturating_sub(self.clients_connected);
        let stored = self.queued + self.retained;
        let stored_bytes = self.queued_bytes + self.retained_bytes;
        [
            ("$SYS/broker/clients/connected", self.clients_connected),
            ("$SYS/broker/clients/disconnected", away),
            ("$SYS/broker/clients/maximum", self.clients_maximum),
            ("$SYS/broker/clients/total", self.clients_total),
            ("$SYS/broker/subscriptions/count", self.subscriptions),
            ("$SYS/broker/retained messages/count", self.retained),
            ("$SYS/broker/messages/stored", stored),
            ("$SYS/broker/store/messages/count", stored),
            ("$SYS/broker/store/messages/bytes", stored_bytes),
        ]
    }

    /// What has been counted since the broker began.
    fn passed(&self) -> [(&'static str, u64); 10] {
        let counters = &self.counters;
        let dropped = counters.queue_messages_dropped
            + counters.queue_bytes_dropped
            + counters.messages_expired
            + counters.packets_oversize
            + self.crossings_dropped;
        [
            ("$SYS/broker/clients/expired", counters.sessions_expired),
            ("$SYS/broker/bytes/received", self.bytes_received),
            ("$SYS/broker/bytes/sent", self.bytes_sent),
            ("$SYS/broker/messages/received", counters.packets_received),
            ("$SYS/broker/messages/sent", counters.packets_sent),
            (
                "$SYS/broker/publish/messages/received",
                counters.publishes_received,
            ),
            ("$SYS/broker/publish/messages/sent", counters.publishes_sent),
            ("$SYS/broker/publish/messages/dropped", dropped),
            (
                "$SYS/broker/publish/bytes/received",
                counters.payload_bytes_received,
            ),
            (
                "$SYS/broker/publish/bytes/sent",
                counters.payload_bytes_sent,
            ),
        ]
    }
}

impl Broker {
    /// Whether somebody here subscribes to topics of the broker's own.
    pub fn wants_system(&self) -> bool {
        self.subscriptions.wants_system()
    }

    /// Publishes what has changed; without a state nobody tells it any more.
    pub(super) fn publish_system(&mut self, now: Moment, system: Option<&SystemState>) {
        // Whoever wanted it may have gone while it was on its way.
        let Some(system) = system.filter(|_| self.wants_system()) else {
            self.forget_system(now);
            return;
        };
        self.knows_system = true;
        for (topic, text) in system.topics() {
            let unchanged = |held: &Rc<Message>| held.payload() == text.as_bytes();
            if self.retained.get(topic).is_some_and(unchanged) {
                continue;
            }
            let message = Rc::new(Message::of_system(topic, text));
            self.route(now, &mut Draft::Made(message), Source::System);
        }
    }

    /// Forgets what was published once nobody wants it.
    pub(super) fn settle_system(&mut self) {
        if self.knows_system && !self.wants_system() {
            self.forget_system(self.now);
        }
    }

    fn forget_system(&mut self, now: Moment) {
        if !std::mem::take(&mut self.knows_system) {
            return;
        }
        for (topic, _) in SystemState::default().topics() {
            let stamp = self.stamps.next(now, self.crossing.me().0);
            self.retained.remove(topic, stamp);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_asks_for_them_only_by_their_first_level() {
        for filter in ["$SYS", "$SYS/#", "$SYS/broker/uptime"] {
            assert!(is_system(filter), "{filter}");
        }
        for filter in ["#", "+/broker/uptime", "$SYSTEM/#", "a/$SYS", "$share/g/a"] {
            assert!(!is_system(filter), "{filter}");
        }
    }
}

//! What the core has done, and how often each limit bit. Counts only grow;
//! they belong to one core and are summed by whoever shows them.

/// Declares the counters once: fields, sum and names.
macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// Counts since the core was made.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        impl Counters {
            /// Adds those of another core.
            pub fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
            }

            /// Each count with its name, for metrics.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }

            /// Each name with what is counted under it, in the order of
            /// [`iter`](Self::iter).
            pub fn descriptions() -> impl Iterator<Item = (&'static str, &'static str)> {
                [$((stringify!($name), concat!($($doc),*).trim_ascii()),)*].into_iter()
            }
        }
    };
}

counters! {
    /// CONNECT accepted.
    connects,
    /// CONNECT refused, whatever the reason.
    connects_refused,
    /// CONNECT refused for the connect rate (0x9F).
    connect_rate_exceeded,
    /// Connections that a new one with the same client id replaced.
    takeovers,
    /// Connections closed because the client was silent for too long.
    keep_alive_timeouts,
    /// Connections closed because the client broke the protocol.
    protocol_errors,
    /// Sessions refused for their number.
    sessions_exceeded,
    /// Sessions that ended because their expiry interval passed.
    sessions_expired,
    /// Packets received, of all kinds.
    packets_received,
    /// Packets handed to connections, of all kinds.
    packets_sent,
    /// PUBLISH received.
    publishes_received,
    /// PUBLISH of QoS 1 received.
    publishes_received_qos1,
    /// PUBLISH of QoS 2 received.
    publishes_received_qos2,
    /// PUBLISH refused by the access rules.
    publishes_denied,
    /// Clients sent away because what they had proved holds no longer.
    proofs_expired,
    /// Clients sent away because what they had proved was taken back.
    proofs_revoked,
    /// PUBLISH refused or dropped for the publish rate.
    publish_rate_exceeded,
    /// PUBLISH of QoS 2 received again, not delivered again.
    publishes_repeated,
    /// PUBLISH refused because the store takes no more.
    publishes_unstored,
    /// PUBLISH handed to connections.
    publishes_sent,
    /// PUBLISH of QoS 1 handed to connections.
    publishes_sent_qos1,
    /// PUBLISH of QoS 2 handed to connections.
    publishes_sent_qos2,
    /// Payload bytes received.
    payload_bytes_received,
    /// Payload bytes handed to connections.
    payload_bytes_sent,
    /// Messages dropped because the queue of a session was full by count.
    queue_messages_dropped,
    /// Messages dropped because the queue of a session was full by bytes.
    queue_bytes_dropped,
    /// Messages dropped because their expiry interval passed.
    messages_expired,
    /// Clients disconnected for a packet larger than is taken.
    packet_bytes_exceeded,
    /// Messages not sent because they are larger than the client takes.
    packets_oversize,
    /// Clients disconnected because they read no replies.
    replies_exceeded,
    /// Subscriptions refused for their number.
    subscriptions_exceeded,
    /// Subscriptions refused or topics refused for their depth.
    levels_exceeded,
    /// Subscriptions refused by the access rules, or ended by new ones.
    subscriptions_denied,
    /// Clients disconnected for passing Receive Maximum.
    receive_maximum_exceeded,
    /// Retained messages refused for number or bytes.
    retained_exceeded,
    /// Messages of a shared subscription given to another member.
    shared_redelivered,
    /// Messages that another core died over, passed on again: wills, and those of a shared
    /// subscription.
    crossings_recovered,
    /// As those, but handed to another core and not kept until it had them.
    hand_overs_exceeded,
    /// Wills published.
    wills_published,
    /// Messages passed to other cores.
    forwarded,
    /// Messages taken from other cores.
    forwards_received,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_keep_each_count_under_its_name() {
        let mut sum = Counters {
            connects: 2,
            ..Counters::default()
        };
        sum.add(&Counters {
            connects: 3,
            forwarded: 1,
            ..Counters::default()
        });
        let seen: Vec<_> = sum.iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(seen, [("connects", 5), ("forwarded", 1)]);
    }
}

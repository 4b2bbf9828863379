//! A flow at work: in a closed loop, where what arrives lets the next message go, or in an
//! open one, where messages go when they are due.

use super::client::Session;
use super::flow::Flow;
use super::ledger::{Faults, Ledger, Stamp};
use super::swarm::Swarm;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use tidegate_mqtt::broker::shard::{ShardId, shard_of};
use tidegate_mqtt::codec::QualityOfService;

/// How long what is under way may take to arrive once nothing more is sent.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// In an open loop; a broker that falls so far behind cannot take the rate.
const UNSENT_BYTES_MAX: usize = 16 << 20;
const TURN_TIMEOUT: Duration = Duration::from_millis(20);

#[derive(Debug)]
struct Publisher {
    topics: Vec<String>,
    sequence: u32,
}

/// A flow and its connections.
#[derive(Debug)]
pub(crate) struct Load {
    flow: Flow,
    swarm: Swarm,
    publishers: Vec<Publisher>,
    /// Number of the first publisher's connection.
    first_publisher: usize,
    /// Number of the first subscriber's connection.
    first_subscriber: usize,
    payload: Vec<u8>,
    started: Instant,
    ledger: Ledger,
    /// From when a message was due to its arrival.
    latencies: Vec<Duration>,
}

/// Names of connections; distinct between loads, so that no session is taken over.
pub(crate) fn names(label: &str, count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("bench-{label}-{number}"))
        .collect()
}

/// Names of a flow's publishers.
///
/// With two workers every other one is at home on the first, and so are two of four
/// [`subscribers`]: each worker has half of the clients, and half of all pairs are on one
/// worker. Thousands of clients are spread like this whatever their names are; of forty,
/// names as they come put up to three quarters on one worker.
pub(crate) fn publishers(label: &str, count: usize) -> Vec<String> {
    spread(&format!("{label}-publisher"), count, 1)
}

/// Names of a flow's subscribers.
pub(crate) fn subscribers(label: &str, count: usize) -> Vec<String> {
    spread(&format!("{label}-subscriber"), count, 2)
}

/// Names of which so many in a row are at home on the same of two workers.
fn spread(label: &str, count: usize, in_a_row: usize) -> Vec<String> {
    let name = |number| {
        let worker = ShardId((number / in_a_row % 2) as u8);
        let mut candidates = (0u32..).map(|trial| format!("bench-{label}-{number}-{trial}"));
        candidates
            .find(|name| shard_of(name, 2) == worker)
            .expect("every other name is at home on either")
    };
    (0..count).map(name).collect()
}

impl Load {
    /// Opens all connections of `flow` and subscribes.
    pub(crate) fn open(flow: Flow, port: u16, label: &str) -> Result<Self> {
        let mut swarm = Swarm::new()?;
        let subscribers = subscribers(label, flow.subscribers());
        let first_subscriber = swarm.connect(port, &subscribers, Session::Clean)?;
        for subscriber in 0..flow.subscribers() {
            let filters = flow.filters(subscriber);
            swarm.subscribe(first_subscriber + subscriber, &filters, flow.qos)?;
            swarm.settle()?;
        }
        Self::with_subscribers(flow, port, label, swarm, first_subscriber)
    }

    /// The same with subscribers that are away.
    pub(crate) fn open_without_subscribers(flow: Flow, port: u16, label: &str) -> Result<Self> {
        Self::with_subscribers(flow, port, label, Swarm::new()?, usize::MAX)
    }

    fn with_subscribers(
        flow: Flow,
        port: u16,
        label: &str,
        mut swarm: Swarm,
        first_subscriber: usize,
    ) -> Result<Self> {
        let names = publishers(label, flow.publishers());
        let first_publisher = swarm.connect(port, &names, Session::Clean)?;
        let publishers = (0..flow.publishers())
            .map(|publisher| Publisher {
                topics: flow.topics(publisher),
                sequence: 0,
            })
            .collect();
        Ok(Self {
            swarm,
            publishers,
            first_publisher,
            first_subscriber,
            payload: vec![b'x'; flow.payload_bytes],
            started: Instant::now(),
            ledger: Ledger::new(flow.audience(), flow.publishers(), flow.subscribers()),
            latencies: Vec::new(),
            flow,
        })
    }

    /// Reconnects the subscribers, whose sessions were kept, to get what waits for them.
    pub(crate) fn return_subscribers(&mut self, port: u16, names: &[String]) -> Result<()> {
        let first = self.first_publisher + self.publishers.len();
        self.first_subscriber = first;
        let ledger = &mut self.ledger;
        self.swarm
            .connect_and_listen(port, names, Session::Kept, |number, message| {
                ledger.enter(number - first, &message.payload).map(drop)
            })?;
        Ok(())
    }

    /// Messages that have arrived so far.
    pub(crate) const fn delivered(&self) -> u64 {
        self.ledger.total()
    }

    /// Messages sent so far.
    pub(crate) fn sent(&self) -> u64 {
        let sent = |publisher: &Publisher| u64::from(publisher.sequence);
        self.publishers.iter().map(sent).sum()
    }

    /// Publishes as fast as windows allow for `period`.
    pub(crate) fn press(&mut self, period: Duration) -> Result<()> {
        let until = Instant::now() + period;
        while Instant::now() < until {
            self.press_once()?;
        }
        Ok(())
    }

    /// One turn of the closed loop.
    pub(crate) fn press_once(&mut self) -> Result<()> {
        for publisher in 0..self.publishers.len() {
            while self.may_publish(publisher) {
                self.publish(publisher, Duration::ZERO)?;
            }
        }
        self.turn(TURN_TIMEOUT)
    }

    fn may_publish(&self, publisher: usize) -> bool {
        let (window, copies) = (self.flow.window, self.flow.copies());
        let sent = u64::from(self.publishers[publisher].sequence);
        let under_way = sent * copies - self.ledger.arrived(publisher);
        under_way < u64::from(window) * copies && self.unacknowledged(publisher) < window
    }

    fn unacknowledged(&self, publisher: usize) -> u32 {
        let client = self.swarm.client(self.first_publisher + publisher);
        client.unacknowledged()
    }

    /// Publishes `count` messages of each publisher to subscribers that are away, until the
    /// broker has acknowledged them.
    pub(crate) fn store(&mut self, count: u32) -> Result<()> {
        loop {
            let mut done = true;
            for publisher in 0..self.publishers.len() {
                while self.publishers[publisher].sequence < count
                    && self.unacknowledged(publisher) < self.flow.window
                {
                    self.publish(publisher, Duration::ZERO)?;
                }
                done &= self.publishers[publisher].sequence == count
                    && self.unacknowledged(publisher) == 0;
            }
            if done {
                return Ok(());
            }
            self.turn(TURN_TIMEOUT)?;
        }
    }

    /// Publishes `rate` messages a second for `period`, evenly, whatever arrives. The thread
    /// does not sleep, so that it is never late by a wake-up.
    pub(crate) fn pace(&mut self, rate: u32, period: Duration) -> Result<()> {
        let interval = Duration::from_secs(1) / rate;
        let mut due = self.started.elapsed();
        let until = due + period;
        let mut publisher = 0;
        while due < until {
            if due <= self.started.elapsed() {
                self.publish(publisher, due)?;
                let client = self.swarm.client(self.first_publisher + publisher);
                ensure!(
                    client.unsent_bytes() < UNSENT_BYTES_MAX,
                    "the broker cannot take {rate} messages a second"
                );
                publisher = (publisher + 1) % self.publishers.len();
                due += interval;
            }
            self.turn(Duration::ZERO)?;
        }
        Ok(())
    }

    fn publish(&mut self, publisher: usize, due: Duration) -> Result<()> {
        let Publisher { topics, sequence } = &mut self.publishers[publisher];
        let stamp = Stamp {
            publisher: u32::try_from(publisher)?,
            sequence: *sequence,
            due,
        };
        stamp.write(&mut self.payload);
        let topic = &topics[*sequence as usize % topics.len()];
        *sequence += 1;
        let connection = self.first_publisher + publisher;
        self.swarm
            .publish(connection, topic, self.flow.qos, &self.payload)
    }

    fn turn(&mut self, timeout: Duration) -> Result<()> {
        let Self {
            ledger,
            latencies,
            started,
            first_subscriber,
            ..
        } = self;
        self.swarm.turn(timeout, |number, message| {
            let stamp = ledger.enter(number - *first_subscriber, &message.payload)?;
            if !stamp.due.is_zero() {
                latencies.push(started.elapsed().saturating_sub(stamp.due));
            }
            Ok(())
        })
    }

    /// Forgets the latencies so far.
    pub(crate) fn forget_latencies(&mut self) {
        self.latencies.clear();
    }

    /// The latency that `share` of the messages did not exceed, if any was paced.
    pub(crate) fn latency(&mut self, share: f64) -> Option<Duration> {
        self.latencies.sort_unstable();
        let last = self.latencies.len().checked_sub(1)?;
        self.latencies.get((last as f64 * share) as usize).copied()
    }

    /// Waits for what is under way and says what went wrong. Nothing is sent any more but
    /// acknowledgements.
    pub(crate) fn drain(&mut self) -> Result<Faults> {
        let expected = self.sent() * self.flow.copies();
        let deadline = Instant::now() + DRAIN_TIMEOUT;
        while Instant::now() < deadline && !self.is_drained(expected) {
            self.turn(TURN_TIMEOUT)?;
        }
        Ok(self.ledger.faults(expected))
    }

    fn is_drained(&self, expected: u64) -> bool {
        let acknowledged = self.flow.qos == QualityOfService::AtMostOnce
            || (0..self.publishers.len()).all(|publisher| self.unacknowledged(publisher) == 0);
        self.ledger.total() >= expected && acknowledged
    }

    /// Ends all connections.
    pub(crate) fn close(self) -> Result<()> {
        self.swarm.disconnect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_workers_have_all_kinds_of_pairs_equally_often() {
        let mut kinds = [[0; 2]; 2];
        for (publisher, subscriber) in publishers("0", 20).iter().zip(subscribers("0", 20)) {
            let worker = |name: &str| usize::from(shard_of(name, 2).0);
            kinds[worker(publisher)][worker(&subscriber)] += 1;
        }
        assert_eq!(kinds, [[5; 2]; 2]);
    }
}

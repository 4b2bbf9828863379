//! The broker's own topics, below `$SYS`: the figures, told to the cores whose clients
//! subscribe to them.
//!
//! Nobody is asked and nothing is woken while nobody does. Who begins to subscribe is told
//! at once, and from then on what has changed, at an interval.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::{BrokerFigures, Operator};
use crate::broker::shard::ShardId;
use crate::broker::{Input, system::SystemState};

/// The least time between two tellings: figures are looked through session by session.
pub const SYSTEM_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// The figures as they were found last.
struct Latest {
    at: Instant,
    state: SystemState,
}

impl Operator {
    /// Publishes the broker's figures below `$SYS/broker`, for as long as it is polled: at
    /// once to who begins to subscribe to some, and those that have changed every
    /// `interval`, at least [`SYSTEM_INTERVAL_MIN`]. Zero publishes nothing, and takes back
    /// what was published. `software` is what `$SYS/broker/version` says.
    ///
    /// For one task at a time. Cancellation loses nothing.
    pub async fn publish_system(&self, software: &str, interval: Duration) {
        let interest = &self.exchange().system_interest;
        if interval.is_zero() {
            for shard in self.shards() {
                self.tell_system(shard, None).await;
            }
            return std::future::pending().await;
        }
        let interval = interval.max(SYSTEM_INTERVAL_MIN);
        let mut latest: Option<Latest> = None;
        // Who had this task before may not have told them.
        let mut due = interest.wanting();
        interest.take_begun();
        loop {
            if !due.is_empty() {
                let state = self.recent(&mut latest, software).await;
                for shard in due {
                    self.tell_system(shard, Some(state.clone())).await;
                }
            }
            due = match &latest {
                Some(latest) if !interest.wanting().is_empty() => tokio::select! {
                    () = interest.changed() => interest.take_begun(),
                    () = sleep_until(latest.at + interval) => interest.wanting(),
                },
                _ => {
                    interest.changed().await;
                    interest.take_begun()
                }
            };
        }
    }

    /// The figures, not older than [`SYSTEM_INTERVAL_MIN`]: who subscribes over and over has
    /// nobody counted over and over.
    async fn recent(&self, latest: &mut Option<Latest>, software: &str) -> SystemState {
        let is_recent = |latest: &&Latest| latest.at.elapsed() < SYSTEM_INTERVAL_MIN;
        if let Some(latest) = latest.as_ref().filter(is_recent) {
            return latest.state.clone();
        }
        let figures = self.figures().await;
        let state = self.system_state(&figures, software);
        let at = Instant::now();
        latest.insert(Latest { at, state }).state.clone()
    }

    fn system_state(&self, figures: &BrokerFigures, software: &str) -> SystemState {
        let (retained, retained_bytes) = figures.retained();
        SystemState {
            version: software.to_owned(),
            uptime: self.exchange().epoch.elapsed(),
            counters: figures.counters,
            bytes_received: figures.traffic.received_bytes,
            bytes_sent: figures.traffic.sent_bytes,
            clients_connected: figures.sum(|core| core.connections),
            clients_maximum: figures.connections_max,
            clients_total: figures.sum(|core| core.sessions),
            subscriptions: figures.sum(|core| core.subscriptions),
            retained,
            retained_bytes,
            queued: figures.sum(|core| core.queued + core.inflight),
            queued_bytes: figures.sum(|core| core.queued_bytes),
            crossings_dropped: figures.crossings_dropped,
        }
    }

    /// A core that does not answer is told the next time, or when it is there again.
    async fn tell_system(&self, shard: ShardId, state: Option<SystemState>) {
        let told = self.ask(shard, move |core| {
            core.handle(Input::System(state.map(Box::new)));
            core.settle();
        });
        let _ = told.await;
    }
}

//! What the cores of a broker have counted and hold, added up.

use std::sync::{MutexGuard, PoisonError};

use super::super::core::Core;
pub use super::super::meter::Traffic;
use super::super::meter::{self, Refusals};
use super::{NoAnswer, Operator};
use crate::broker::counters::Counters;
use crate::broker::shard::ShardId;
use crate::codec::ReasonCode;
use crate::store::{Store, StoreCounts};

/// Places of sessions that are looked at in one visit of a core.
const PLACES_PER_VISIT: u32 = 4_096;

/// What one core holds now and has counted since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreFigures {
    /// Which core: the worker of this number serves it.
    pub core: u8,
    /// Sessions, connected or not.
    pub sessions: u64,
    /// Sessions with a connection.
    pub connections: u64,
    /// Subscriptions of its sessions.
    pub subscriptions: u64,
    /// Messages that wait to be sent.
    pub queued: u64,
    /// Bytes of those.
    pub queued_bytes: u64,
    /// Messages sent and not acknowledged.
    pub inflight: u64,
    /// Retained messages; each core has its own copy of most.
    pub retained: u64,
    /// Bytes of those and of their topics.
    pub retained_bytes: u64,
    /// What the core has counted.
    pub counters: Counters,
    /// QoS 0 messages that another core was too slow for.
    pub crossings_dropped: u64,
    /// Bytes of packets.
    pub traffic: Traffic,
    incarnation: u64,
    refused: Refusals,
}

/// The figures of a broker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BrokerFigures {
    /// Those of the cores that answered.
    pub cores: Vec<CoreFigures>,
    /// What all cores have counted, those that are silent or were replaced included.
    pub counters: Counters,
    /// QoS 0 messages that were dropped because another core was too slow for them.
    pub crossings_dropped: u64,
    /// Bytes of packets, counted as `counters` are.
    pub traffic: Traffic,
    /// What its store has done, if it has one.
    pub store: Option<StoreCounts>,
    /// The most clients that have been connected at one time.
    pub connections_max: u64,
    /// Connections refused in CONNACK, by reason.
    pub refused: Vec<(ReasonCode, u64)>,
}

impl BrokerFigures {
    /// A figure of the cores, added up.
    pub fn sum(&self, figure: impl Fn(&CoreFigures) -> u64) -> u64 {
        self.cores.iter().map(figure).sum()
    }

    /// Retained messages, and the bytes of them and their topics: as the core has it that
    /// has most, since cores have copies of each other's.
    pub fn retained(&self) -> (u64, u64) {
        let cores = self.cores.iter();
        let sizes = cores.map(|core| (core.retained, core.retained_bytes));
        sizes.max().unwrap_or_default()
    }

    /// Connections refused because the client did not prove who it is, or may not come in.
    pub fn authentication_failures(&self) -> u64 {
        let failures = self.refused.iter().filter(|(reason, _)| {
            matches!(
                reason,
                ReasonCode::BadUserNameOrPassword
                    | ReasonCode::NotAuthorized
                    | ReasonCode::Banned
                    | ReasonCode::BadAuthenticationMethod
            )
        });
        failures.map(|(_, count)| count).sum()
    }
}

/// What is known of the cores there have been of one number.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The counts of the core that answered last.
    latest: Counts,
    /// The counts of those before it, as far as they were told.
    gone: Counts,
}

#[derive(Clone, Debug, Default)]
struct Counts {
    incarnation: u64,
    counters: Counters,
    crossings_dropped: u64,
    traffic: Traffic,
    refused: Refusals,
}

impl Counts {
    fn of(figures: &CoreFigures) -> Self {
        Self {
            incarnation: figures.incarnation,
            counters: figures.counters,
            crossings_dropped: figures.crossings_dropped,
            traffic: figures.traffic,
            refused: figures.refused.clone(),
        }
    }

    fn add(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        self.crossings_dropped += other.crossings_dropped;
        self.traffic.add(other.traffic);
        for (reason, count) in &other.refused {
            meter::add(&mut self.refused, *reason, *count);
        }
    }
}

impl Known {
    fn note(&mut self, figures: &CoreFigures) {
        if self.latest.incarnation != figures.incarnation {
            let replaced = std::mem::take(&mut self.latest);
            self.gone.add(&replaced);
        }
        self.latest = Counts::of(figures);
    }
}

impl Operator {
    /// The figures of every core that answers, and the sums of all counts. Takes as long as
    /// the slowest core, at most a few [`ANSWER_TIMEOUT`](super::ANSWER_TIMEOUT)s.
    pub async fn figures(&self) -> BrokerFigures {
        let mut cores = Vec::new();
        for counted in self.ask_all(|core| counted(core)).await {
            if let Ok(figures) = self.look_through(counted).await {
                cores.push(figures);
            }
        }
        let mut known = self.known();
        for figures in &cores {
            known[usize::from(figures.core)].note(figures);
        }
        let mut sum = Counts::default();
        for known in known.iter() {
            sum.add(&known.gone);
            sum.add(&known.latest);
        }
        drop(known);
        sum.refused.sort_unstable();
        BrokerFigures {
            cores,
            counters: sum.counters,
            crossings_dropped: sum.crossings_dropped,
            traffic: sum.traffic,
            store: self.exchange().store().map(Store::counts),
            connections_max: self.exchange().population.most(),
            refused: sum.refused.into_vec(),
        }
    }

    fn known(&self) -> MutexGuard<'_, Vec<Known>> {
        // Counts are whole whatever happened to whoever read them.
        self.way
            .known
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what the sessions of a core hold, some sessions at a time.
    async fn look_through(&self, mut figures: CoreFigures) -> Result<CoreFigures, NoAnswer> {
        let shard = ShardId(figures.core);
        let mut place = Some(0);
        while let Some(from) = place {
            let held = self.ask(shard, move |core| held(core, from)).await?;
            figures.subscriptions += held.subscriptions;
            figures.queued += held.queued;
            figures.queued_bytes += held.queued_bytes;
            figures.inflight += held.inflight;
            place = held.next;
        }
        Ok(figures)
    }
}

/// What a core knows without counting.
fn counted(core: &Core) -> CoreFigures {
    let broker = core.broker();
    let (retained, retained_bytes) = broker.retained_size();
    CoreFigures {
        core: core.here().0,
        sessions: broker.session_count() as u64,
        connections: broker.connected_count() as u64,
        retained: retained as u64,
        retained_bytes: retained_bytes as u64,
        counters: *broker.counters(),
        crossings_dropped: core.crossings_dropped(),
        traffic: core.meter().traffic(),
        incarnation: core.meter().incarnation,
        refused: core.meter().refused(),
        ..CoreFigures::default()
    }
}

/// What some sessions hold, and where to go on.
struct Held {
    subscriptions: u64,
    queued: u64,
    queued_bytes: u64,
    inflight: u64,
    next: Option<u32>,
}

fn held(core: &Core, from: u32) -> Held {
    let broker = core.broker();
    let mut held = Held {
        subscriptions: 0,
        queued: 0,
        queued_bytes: 0,
        inflight: 0,
        next: broker.place_after(from, PLACES_PER_VISIT),
    };
    for (_, session) in broker.sessions_from(from, PLACES_PER_VISIT) {
        held.subscriptions += session.subscriptions as u64;
        held.queued += session.queued as u64;
        held.queued_bytes += session.queued_bytes as u64;
        held.inflight += session.inflight as u64;
    }
    held
}

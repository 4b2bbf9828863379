//! What is going on, for operators.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tidegate_runtime::limit::LimitHits;
use tidegate_runtime::listener::{ListenAddr, ListenerCounters};
use tidegate_runtime::worker::WorkerIndex;
use tokio::time::{Instant, timeout_at};

use super::WorkerManager;
use crate::command::Job;
use crate::factory::ChainFactory;
use crate::site::{Generation, Phase, SiteName};

/// The connections of one generation on one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionCount {
    /// Which worker.
    pub worker: WorkerIndex,
    /// Which generation.
    pub generation: Generation,
    /// Whether it gets new connections.
    pub phase: Phase,
    /// Its open connections.
    pub open: usize,
}

/// One site.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SiteStatus {
    /// What is deployed; `None` for a removed site that still drains.
    pub generation: Option<Generation>,
    /// Where it listens, as bound.
    pub addresses: Vec<ListenAddr>,
    /// What each worker did at each address, workers in order.
    pub listeners: Vec<(ListenAddr, Vec<ListenerCounters>)>,
    /// Open connections by worker and generation, draining generations included.
    pub connections: Vec<ConnectionCount>,
}

impl SiteStatus {
    /// Open connections of all generations on all workers.
    pub fn open(&self) -> usize {
        self.connections.iter().map(|count| count.open).sum()
    }
}

/// One worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkerStatus {
    /// Which worker.
    pub worker: WorkerIndex,
    /// Whether it answered. If not, its connections are not in the counts.
    pub answered: bool,
    /// Connections that ended in a panic, on this worker and its predecessors.
    pub panics: u64,
    /// How often each limit bit.
    pub limits: LimitHits,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// The sites, by name.
    pub sites: BTreeMap<SiteName, SiteStatus>,
    /// The workers, in order.
    pub workers: Vec<WorkerStatus>,
}

impl<F: ChainFactory, LF> WorkerManager<F, LF> {
    /// Where `site` listens, as bound, in the order it was asked to; empty if it is not deployed.
    pub fn local_addresses(&self, site: &str) -> Vec<ListenAddr> {
        let table = self.shared.table();
        let deployment = table.deployed.get(site);
        deployment.map_or_else(Vec::new, |it| it.listeners.local_addresses())
    }

    /// What is deployed, and who is connected. Waits for the workers' answers until the
    /// command's deadline; it does not wait for transactions. Cancellation safe.
    pub async fn status(&self) -> Status {
        self.status_within(self.shared.command_timeout()).await
    }

    /// As [`Self::status`], but waits no longer than `patience` for the workers together:
    /// one that is stuck is to be seen, and not to keep whoever looks waiting.
    pub async fn status_within(&self, patience: Duration) -> Status {
        let shared = &self.shared;
        let mut status = Status::default();
        let mut answers = Vec::new();
        {
            let table = shared.table();
            for (site, deployment) in &table.deployed {
                let listeners = &deployment.listeners;
                let present = SiteStatus {
                    generation: Some(deployment.generation),
                    addresses: listeners.local_addresses(),
                    listeners: listeners.counters(),
                    connections: Vec::new(),
                };
                status.sites.insert(site.clone(), present);
            }
            for seat in &table.workers {
                let asked = seat.ask(|reply| Job::Inspect { reply });
                answers.push((asked, Arc::clone(&seat.counters)));
            }
        }
        let deadline = Instant::now() + patience;
        for (asked, counters) in answers {
            let worker = asked.worker;
            // Not `Shared::answer`: a shutdown is worth watching, too.
            let counted = async {
                tokio::select! {
                    biased;
                    counts = asked.answer.ok()? => counts.ok(),
                    () = asked.gone.cancelled() => None,
                }
            };
            let counts = timeout_at(deadline, counted).await.ok().flatten();
            status.workers.push(WorkerStatus {
                worker,
                answered: counts.is_some(),
                panics: counters.panics(),
                limits: counters.limits().snapshot(),
            });
            for count in counts.into_iter().flatten() {
                let site = status.sites.entry(count.site).or_default();
                site.connections.push(ConnectionCount {
                    worker,
                    generation: count.generation,
                    phase: count.phase,
                    open: count.open,
                });
            }
        }
        status
    }
}

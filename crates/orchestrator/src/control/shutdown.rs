//! The end: accept what is queued, drain, abort, join.

use std::time::Duration;

use tidegate_runtime::worker::WorkerIndex;
use tokio::time::{Instant, timeout_at};

use super::WorkerManager;
use super::table::WorkerSeat;
use crate::command::{CommandError, Job};
use crate::deployed::Idlers;
use crate::factory::ChainFactory;

/// How long workers may take to stop accepting before the first connection is told to leave,
/// which would find one that still accepts.
pub const CLOSING_PATIENCE: Duration = Duration::from_secs(2);

/// How long after the drain deadline the workers' threads may take to end.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);

/// How a shutdown went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShutdownReport {
    /// Connections dropped at the deadline.
    pub connections_dropped: usize,
    /// Workers that were aborted or died before they could say how many they dropped.
    pub unreported: Vec<WorkerIndex>,
    /// Workers whose threads did not end in time: something blocks them.
    pub stuck: Vec<WorkerIndex>,
}

impl<F: ChainFactory, LF> WorkerManager<F, LF> {
    /// Empties and closes all listeners, asks all connections to leave, drops at `drain` those
    /// that have not, and waits for the threads to end. It takes no longer than it needs; a
    /// transaction that is under way is given up.
    ///
    /// [`Self::abort`], called meanwhile, cuts it short. Cancellation: the shutdown goes on,
    /// and nobody waits for the threads.
    pub async fn shutdown(&self, drain: Duration) -> ShutdownReport {
        self.end(drain, Idlers::Leave).await
    }

    /// As [`Self::shutdown`], when somebody else listens at all addresses already: connections
    /// that idle may stay until their next request and leave with its answer, so that no
    /// request crosses a close; at the end of their site's drain time they go, too.
    pub async fn hand_over(&self, drain: Duration) -> ShutdownReport {
        self.end(drain, Idlers::Stay).await
    }

    async fn end(&self, drain: Duration, idlers: Idlers) -> ShutdownReport {
        let shared = &self.shared;
        shared.lifespan.drain();
        let mut ledger = shared.ledger.lock().await;
        ledger.clear();
        let deadline = Instant::now() + drain + SHUTDOWN_GRACE;

        let closing: Vec<_> = {
            let mut table = shared.table();
            // Given up here, so that the workers find their listeners retired.
            table.deployed.clear();
            let close = |seat: &WorkerSeat<F>| seat.ask(|reply| Job::Close { idlers, reply });
            table.workers.iter().map(close).collect()
        };
        let closed = deadline.min(Instant::now() + CLOSING_PATIENCE);
        for asked in closing {
            // One that is late, or gone, is not waited for.
            let _ = timeout_at(closed, asked.answered()).await;
        }
        let (asked, watches) = {
            let mut table = shared.table();
            let stop = |seat: &WorkerSeat<F>| {
                seat.ask(|reply| Job::Stop {
                    drain,
                    idlers,
                    reply,
                })
            };
            let asked: Vec<_> = table.workers.iter().map(stop).collect();
            (asked, std::mem::take(&mut table.watches))
        };
        drop(ledger);

        let mut report = ShutdownReport::default();
        for asked in asked {
            let worker = asked.worker;
            match timeout_at(deadline, asked.answered()).await {
                Ok(Some(dropped)) => report.connections_dropped += dropped,
                Ok(None) | Err(_) => report.unreported.push(worker),
            }
        }
        // Together: until the last is drained, its connections may be at home with another.
        shared.lifespan.abort();
        for (worker, watch) in watches {
            if timeout_at(deadline, watch.cancelled()).await.is_err() {
                report.stuck.push(worker);
            }
        }
        report
    }

    /// Makes a worker die of a panic, as a defect would, to show that the others go on and that
    /// it comes back.
    ///
    /// # Errors
    ///
    /// There is no such worker, or it does not take commands.
    pub fn kill_worker(&self, worker: WorkerIndex) -> Result<(), CommandError> {
        let table = self.shared.table();
        let seat = table.workers.iter().find(|it| it.index == worker);
        seat.ok_or(CommandError::WorkerGone)?.tell(Job::Die)
    }

    /// Ends all workers now: their connections are dropped. Follow with [`Self::shutdown`] to
    /// wait for the threads.
    pub fn abort(&self) {
        self.shared.lifespan.abort();
    }
}

//! Watching over the workers' threads: one that dies is started again with what is deployed.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tidegate_runtime::cancel::CancelToken;
use tidegate_runtime::mailbox::{self, DEFAULT_CAPACITY};
use tidegate_runtime::worker::{
    Placement, WorkerCounters, WorkerEnd, WorkerIndex, WorkerThread, respawn_worker,
};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep};

use super::Shared;
use super::table::WorkerSeat;
use crate::command::{Job, Origin};
use crate::executor::ServiceExecutor;
use crate::factory::ChainFactory;

/// The pause before a worker is started again; each further one doubles, until the worker has
/// lived for the longest.
pub const RESPAWN_PAUSE_FIRST: Duration = Duration::from_millis(10);

/// The longest such pause, and the pause before a site that failed on a new worker is tried again.
pub const RESPAWN_PAUSE_LONGEST: Duration = Duration::from_secs(5);

/// Starts a worker's thread. Its seat is there even if the thread is not.
pub(super) fn start<F: ChainFactory>(
    shared: &Shared<F>,
    index: WorkerIndex,
    counters: Arc<WorkerCounters>,
) -> (WorkerSeat<F>, io::Result<WorkerThread>) {
    let (sender, receiver) = mailbox::channel(DEFAULT_CAPACITY);
    let placement = if shared.config.pin {
        Placement::for_worker(index)
    } else {
        Placement::Unpinned
    };
    let lifespan = shared.lifespan.child();
    let thread = respawn_worker(
        index,
        placement,
        Arc::clone(&counters),
        move || async move {
            let mut executor = ServiceExecutor::<F::Service>::new(index, lifespan);
            executor.run(receiver).await;
        },
    );
    let seat = WorkerSeat {
        index,
        mailbox: sender,
        counters,
        doubt: Arc::new(Notify::new()),
        gone: CancelToken::new(),
    };
    (seat, thread)
}

/// One worker through all its lives, for whoever watches over it.
///
/// [`WorkerManager::spawn_workers_async`](super::WorkerManager::spawn_workers_async) has it
/// watched over by tasks of its own; a process with a supervisor asks for
/// [`WorkerManager::spawn_workers`](super::WorkerManager::spawn_workers) and decides itself when
/// a worker that died gets its next life.
pub struct WorkerLives<F: ChainFactory> {
    shared: Arc<Shared<F>>,
    index: WorkerIndex,
    next: Option<io::Result<WorkerThread>>,
    lived: Lived,
    /// Cancelled when there will be no further life.
    over: CancelToken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lived {
    NotYet,
    Before,
}

impl<F: ChainFactory> WorkerLives<F> {
    pub(super) fn new(
        shared: &Arc<Shared<F>>,
        index: WorkerIndex,
        first: io::Result<WorkerThread>,
        over: CancelToken,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            index,
            next: Some(first),
            lived: Lived::NotYet,
            over,
        }
    }

    /// Which worker this is.
    pub fn worker(&self) -> WorkerIndex {
        self.index
    }

    /// Whether the manager stops, so that there is to be no further life.
    pub fn is_stopping(&self) -> bool {
        self.shared.is_stopping()
    }

    /// Lives once: starts the worker's thread, unless it was started already, brings it to what
    /// is deployed, and waits for its end. Cancellation leaves the thread without watch.
    pub async fn live(&mut self) -> WorkerEnd {
        let next = match self.next.take() {
            Some(next) => next,
            None => {
                // No transaction may be half-way through when the mailbox changes.
                let _ledger = self.shared.ledger.lock().await;
                if self.is_stopping() {
                    return WorkerEnd::Returned;
                }
                let counters = Arc::clone(&self.shared.table().workers[self.index.0].counters);
                let (seat, thread) = start(&self.shared, self.index, counters);
                self.shared.table().workers[self.index.0] = seat;
                thread
            }
        };
        let is_first = std::mem::replace(&mut self.lived, Lived::Before) == Lived::NotYet;
        let end = match next {
            Ok(thread) => attend(&self.shared, thread, is_first).await,
            Err(error) => WorkerEnd::NotStarted(error),
        };
        if self.is_stopping() {
            self.over.cancel();
        }
        end
    }
}

impl<F: ChainFactory> Drop for WorkerLives<F> {
    fn drop(&mut self) {
        self.over.cancel();
    }
}

impl<F: ChainFactory> fmt::Debug for WorkerLives<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerLives")
            .field("worker", &self.index)
            .finish_non_exhaustive()
    }
}

/// Gives a worker its lives until the manager stops.
pub(super) async fn watch<F: ChainFactory>(
    mut lives: WorkerLives<F>,
    end_of_all: oneshot::Sender<WorkerEnd>,
) {
    let mut pause = RESPAWN_PAUSE_FIRST;
    loop {
        let born = Instant::now();
        let end = lives.live().await;
        if lives.is_stopping() {
            // Nobody listening is fine.
            let _ = end_of_all.send(end);
            return;
        }
        let worker = lives.worker();
        tracing::error!(%worker, %end, "a worker died and is started again");
        if born.elapsed() >= RESPAWN_PAUSE_LONGEST {
            pause = RESPAWN_PAUSE_FIRST;
        }
        tokio::select! {
            () = sleep(pause) => {}
            () = lives.shared.lifespan.draining() => {}
        }
        pause = (pause * 2).min(RESPAWN_PAUSE_LONGEST);
    }
}

/// Waits for the thread's end; meanwhile brings the worker to the table's state when in doubt.
async fn attend<F: ChainFactory>(
    shared: &Shared<F>,
    mut thread: WorkerThread,
    is_first: bool,
) -> WorkerEnd {
    let index = thread.index();
    let (doubt, gone) = {
        let seat = &shared.table().workers[index.0];
        (Arc::clone(&seat.doubt), seat.gone.clone())
    };
    if !is_first {
        doubt.notify_one();
    }
    let comparing = async {
        let mut is_complete = true;
        loop {
            tokio::select! {
                () = doubt.notified() => {}
                () = sleep(RESPAWN_PAUSE_LONGEST), if !is_complete => {}
            }
            is_complete = restore(shared, index).await;
        }
    };
    let end = tokio::select! {
        biased;
        end = thread.ended() => end,
        () = comparing => WorkerEnd::Returned,
    };
    // Whoever waits for an answer holds the ledger, which a successor needs.
    gone.cancel();
    // It has reported its end as its last act.
    thread.join();
    end
}

/// Has the worker compare itself with the table; whether it has everything now.
async fn restore<F: ChainFactory>(shared: &Shared<F>, index: WorkerIndex) -> bool {
    let _ledger = shared.ledger.lock().await;
    if shared.is_stopping() {
        return true;
    }
    let asked = {
        let table = shared.table();
        let orders = table
            .deployed
            .iter()
            .map(|(site, deployment)| deployment.order(site, Origin::Current))
            .collect();
        table.workers[index.0].ask(|reply| Job::Restore { orders, reply })
    };
    match shared.answer(asked, shared.deadline()).await {
        Ok(failed) => {
            for failure in &failed {
                let (site, error) = (&failure.site, &failure.cause);
                tracing::error!(worker = %index, %site, %error, "a site is missing on a new worker");
            }
            failed.is_empty()
        }
        Err(error) => {
            tracing::warn!(worker = %index, %error, "the worker could not be checked");
            false
        }
    }
}

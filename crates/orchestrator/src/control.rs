//! The control side: it decides, the workers do.
//!
//! One transaction is under way at a time. What is deployed is kept here as well, factories
//! and sockets, so that a worker that dies gets a successor with the same sites.

mod apply;
mod change;
mod dispatch;
mod respawn;
mod shutdown;
mod staging;
mod status;
mod table;

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidegate_runtime::cancel::{CancelToken, Lifespan};
use tidegate_runtime::worker::{WorkerEnd, WorkerIndex, allowed_cores};
use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub use self::change::{Applied, ApplyError, Change};
use self::dispatch::Ledger;
pub use self::respawn::{RESPAWN_PAUSE_FIRST, RESPAWN_PAUSE_LONGEST, WorkerLives};
pub use self::shutdown::{CLOSING_PATIENCE, SHUTDOWN_GRACE, ShutdownReport};
pub use self::status::{ConnectionCount, SiteStatus, Status, WorkerStatus};
use self::table::Table;
use crate::factory::ChainFactory;
use crate::site::Generation;

/// How long the workers together may take to answer a command.
pub const DEFAULT_COMMAND_TIMEOUT: Duration = Duration::from_secs(10);

/// How the workers are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// How many workers; 0 stands for one per core the process may use.
    pub workers: usize,
    /// Whether each worker is pinned to a core of its own.
    pub pin: bool,
    /// How long all workers together may take to answer a command.
    pub command_timeout: Duration,
}

impl RuntimeConfig {
    /// So many workers, each on a core of its own, and the default time to answer.
    pub const fn of_workers(workers: usize) -> Self {
        Self {
            workers,
            pin: true,
            command_timeout: DEFAULT_COMMAND_TIMEOUT,
        }
    }
}

impl Default for RuntimeConfig {
    /// One worker for each core the process may use.
    fn default() -> Self {
        Self::of_workers(0)
    }
}

/// Starts the workers, tells them what to do, and replaces those that die.
///
/// `F` makes a site's chain on each worker, `LF` makes its listeners. All methods belong on the
/// control side, never on a worker. Dropping the manager ends the workers at once;
/// [`Self::shutdown`] lets them finish.
pub struct WorkerManager<F: ChainFactory, LF> {
    shared: Arc<Shared<F>>,
    listeners: PhantomData<fn(LF)>,
}

impl<F: ChainFactory, LF> fmt::Debug for WorkerManager<F, LF> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerManager")
            .field("config", &self.shared.config)
            .finish_non_exhaustive()
    }
}

struct Shared<F> {
    config: RuntimeConfig,
    command_timeout: Mutex<Duration>,
    workers: usize,
    lifespan: Lifespan,
    generation: AtomicU64,
    /// Held for the length of a transaction; what single commands have staged is kept in it.
    ledger: tokio::sync::Mutex<Ledger<F>>,
    /// Held for moments only.
    table: Mutex<Table<F>>,
}

impl<F> Shared<F> {
    fn table(&self) -> MutexGuard<'_, Table<F>> {
        // Every change is a single assignment, so a poisoned table is still a whole one.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn command_timeout_slot(&self) -> MutexGuard<'_, Duration> {
        let slot = self.command_timeout.lock();
        slot.unwrap_or_else(PoisonError::into_inner)
    }

    fn command_timeout(&self) -> Duration {
        *self.command_timeout_slot()
    }

    fn next_generation(&self) -> Generation {
        Generation(self.generation.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn is_stopping(&self) -> bool {
        self.lifespan.is_draining()
    }
}

/// A worker's last word. It is told once the worker is gone for good, not when it is replaced.
#[derive(Debug)]
pub struct WorkerJoin {
    worker: WorkerIndex,
    ended: oneshot::Receiver<WorkerEnd>,
}

impl WorkerJoin {
    /// Which worker it is about.
    pub fn worker(&self) -> WorkerIndex {
        self.worker
    }

    /// Waits for the worker's end.
    pub async fn join(self) -> WorkerEnd {
        self.ended.await.unwrap_or(WorkerEnd::Returned)
    }
}

impl<F: ChainFactory, LF> WorkerManager<F, LF> {
    /// A manager whose workers are not started yet.
    pub fn new(config: RuntimeConfig) -> Self {
        let workers = match config.workers {
            0 => allowed_cores().len().max(1),
            workers => workers,
        };
        Self {
            shared: Arc::new(Shared {
                config,
                command_timeout: Mutex::new(config.command_timeout),
                workers,
                lifespan: Lifespan::new(),
                generation: AtomicU64::new(0),
                ledger: tokio::sync::Mutex::new(Ledger::default()),
                table: Mutex::new(Table::default()),
            }),
            listeners: PhantomData,
        }
    }

    /// How the workers were started.
    pub fn config(&self) -> &RuntimeConfig {
        &self.shared.config
    }

    /// Gives the workers another time to answer, from the next command on.
    pub fn set_command_timeout(&self, timeout: Duration) {
        *self.shared.command_timeout_slot() = timeout;
    }

    /// Starts the workers. Tasks on the calling tokio runtime watch over them: a worker whose
    /// thread dies is started again with what is deployed. Later calls start nothing.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn spawn_workers_async(&mut self) -> Vec<WorkerJoin> {
        let runtime = Handle::current();
        let mut joins = Vec::with_capacity(self.shared.workers);
        for lives in self.spawn_workers() {
            let worker = lives.worker();
            let (end, ended) = oneshot::channel();
            runtime.spawn(respawn::watch(lives, end));
            joins.push(WorkerJoin { worker, ended });
        }
        joins
    }

    /// Starts the workers, and leaves it to the caller to watch over each. Later calls start
    /// nothing.
    pub fn spawn_workers(&mut self) -> Vec<WorkerLives<F>> {
        if !self.shared.table().workers.is_empty() {
            return Vec::new();
        }
        let indexes = (0..self.shared.workers).map(WorkerIndex);
        let spawned = indexes.map(|index| {
            let (seat, thread) = respawn::start(&self.shared, index, Arc::default());
            let over = CancelToken::new();
            let mut table = self.shared.table();
            table.workers.push(seat);
            table.watches.push((index, over.clone()));
            WorkerLives::new(&self.shared, index, thread, over)
        });
        spawned.collect()
    }
}

impl<F: ChainFactory, LF> Drop for WorkerManager<F, LF> {
    fn drop(&mut self) {
        self.shared.lifespan.abort();
    }
}

//! A worker: one thread, pinned to one core, running one tokio `LocalRuntime`.
//!
//! The control side starts workers with [`spawn_worker`] and learns of each one's
//! end, be it a return or a panic, from [`WorkerThread::ended`].

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use rustix::process::getpid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::sync::oneshot;

use crate::limit::LimitCounters;
use crate::local;
use crate::panic::{PanicReport, install_hook};

/// Which of the workers: they are numbered from zero without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerIndex(pub usize);

impl fmt::Display for WorkerIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a worker's thread may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On this core only, by the kernel's number.
    Core(usize),
    /// Wherever the kernel puts it.
    Unpinned,
}

impl Placement {
    /// Worker `index` on the process's `index`-th allowed core, wrapping around.
    ///
    /// Unpinned when the kernel does not tell which cores are allowed.
    pub fn for_worker(index: WorkerIndex) -> Self {
        let cores = allowed_cores();
        match cores.len() {
            0 => Self::Unpinned,
            count => Self::Core(cores[index.0 % count]),
        }
    }
}

/// The cores this process may use, by the kernel's numbers, ascending; empty when
/// the kernel does not tell.
pub fn allowed_cores() -> Vec<usize> {
    // The main thread's mask: the calling thread may be a pinned worker.
    match sched_getaffinity(Some(getpid())) {
        Ok(set) => (0..CpuSet::MAX_CPU)
            .filter(|&core| set.is_set(core))
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "cannot read the allowed cores");
            Vec::new()
        }
    }
}

/// What happened on one worker, readable from any thread.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct WorkerCounters {
    panics: AtomicU64,
    limits: LimitCounters,
}

impl WorkerCounters {
    /// Connections that ended in a panic.
    pub fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    /// How often each limit bit.
    pub fn limits(&self) -> &LimitCounters {
        &self.limits
    }

    pub(crate) fn count_panic(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Clone, Debug, Default)]
struct Seat {
    index: Option<WorkerIndex>,
    counters: Arc<WorkerCounters>,
}

thread_local! {
    static SEAT: RefCell<Seat> = RefCell::default();
}

/// Which worker the calling thread is; `None` outside the workers.
pub fn current() -> Option<WorkerIndex> {
    SEAT.with_borrow(|seat| seat.index)
}

/// The calling thread's counters; a thread that is no worker has its own.
pub fn counters() -> Arc<WorkerCounters> {
    SEAT.with_borrow(|seat| Arc::clone(&seat.counters))
}

/// How a worker's thread ended.
#[derive(Debug)]
pub enum WorkerEnd {
    /// Its closure returned.
    Returned,
    /// Its closure panicked.
    Panicked(PanicReport),
    /// The machine gave it no event loop; its closure never ran.
    NotStarted(io::Error),
}

impl fmt::Display for WorkerEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Returned => f.write_str("returned"),
            Self::Panicked(report) => report.fmt(f),
            Self::NotStarted(error) => write!(f, "could not start: {error}"),
        }
    }
}

/// A running worker, as the control side sees it.
#[derive(Debug)]
pub struct WorkerThread {
    index: WorkerIndex,
    counters: Arc<WorkerCounters>,
    ended: oneshot::Receiver<WorkerEnd>,
    thread: thread::JoinHandle<()>,
}

impl WorkerThread {
    /// Which worker this is.
    pub fn index(&self) -> WorkerIndex {
        self.index
    }

    /// The worker's counters.
    pub fn counters(&self) -> &Arc<WorkerCounters> {
        &self.counters
    }

    /// Waits for the end of the worker's closure. Cancellation safe; to be awaited to its end once.
    pub async fn ended(&mut self) -> WorkerEnd {
        (&mut self.ended).await.unwrap_or(WorkerEnd::Returned)
    }

    /// Whether the thread is gone and [`Self::join`] would not block.
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Blocks until the thread is gone.
    pub fn join(self) {
        // A panic was reported through `ended` already; here it would only be told twice.
        let _ = self.thread.join();
    }
}

/// Starts the thread `tidegate-worker-<index>`, which runs `start`'s future on its own
/// `LocalRuntime` and ends with it; tasks still running then are dropped.
///
/// A thread that cannot be pinned runs unpinned, with a warning.
///
/// # Errors
///
/// The machine starts no more threads.
pub fn spawn_worker<S, F>(
    index: WorkerIndex,
    placement: Placement,
    start: S,
) -> io::Result<WorkerThread>
where
    S: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()>,
{
    respawn_worker(index, placement, Arc::default(), start)
}

/// Like [`spawn_worker`], for the successor of a worker that died: it goes on counting in
/// its predecessor's `counters`.
///
/// # Errors
///
/// The machine starts no more threads.
pub fn respawn_worker<S, F>(
    index: WorkerIndex,
    placement: Placement,
    counters: Arc<WorkerCounters>,
    start: S,
) -> io::Result<WorkerThread>
where
    S: FnOnce() -> F + Send + 'static,
    F: Future<Output = ()>,
{
    install_hook();
    let (report, ended) = oneshot::channel();
    let seat = Seat {
        index: Some(index),
        counters: Arc::clone(&counters),
    };
    let thread = thread::Builder::new()
        .name(format!("tidegate-worker-{index}"))
        .spawn(move || {
            SEAT.set(seat);
            pin(placement);
            let end = match panic::catch_unwind(AssertUnwindSafe(|| run(start))) {
                Ok(Ok(())) => WorkerEnd::Returned,
                Ok(Err(error)) => WorkerEnd::NotStarted(error),
                Err(payload) => WorkerEnd::Panicked(PanicReport::from_payload(payload)),
            };
            // Nobody listening is fine: the thread ends either way.
            let _ = report.send(end);
        })?;
    Ok(WorkerThread {
        index,
        counters,
        ended,
        thread,
    })
}

fn run<S, F>(start: S) -> io::Result<()>
where
    S: FnOnce() -> F,
    F: Future<Output = ()>,
{
    let runtime = local::build()?;
    runtime.block_on(async move { start().await });
    // Dropping the runtime would wait for blocking work that nobody waits for any more.
    runtime.shutdown_background();
    Ok(())
}

fn pin(placement: Placement) {
    let Placement::Core(core) = placement else {
        return;
    };
    let mut set = CpuSet::new();
    if core < CpuSet::MAX_CPU {
        set.set(core);
    }
    if let Err(error) = sched_setaffinity(None, &set) {
        tracing::warn!(core, %error, "cannot pin the worker; it runs unpinned");
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_worker_runs_on_its_core_alone() {
        let placement = Placement::for_worker(WorkerIndex(1));
        let (send, seen) = oneshot::channel();
        let mut worker = spawn_worker(WorkerIndex(1), placement, || async move {
            let name = thread::current().name().map(str::to_owned);
            let mine = sched_getaffinity(None).map(|set| set.count());
            send.send((current(), name, mine)).unwrap();
        })
        .unwrap();
        let (index, name, cores) = local::block_on(seen).unwrap();
        assert_eq!(index, Some(WorkerIndex(1)));
        assert_eq!(name.as_deref(), Some("tidegate-worker-1"));
        assert_eq!(cores.unwrap(), 1);
        assert!(matches!(
            local::block_on(worker.ended()),
            WorkerEnd::Returned
        ));
        worker.join();
    }

    #[test]
    fn workers_beyond_the_cores_wrap_around() {
        let cores = allowed_cores();
        let wrapped = Placement::for_worker(WorkerIndex(cores.len()));
        assert_eq!(wrapped, Placement::Core(cores[0]));
    }

    #[test]
    fn a_dying_worker_says_why() {
        let mut worker = spawn_worker(WorkerIndex(0), Placement::Unpinned, || async {
            panic!("the worst");
        })
        .unwrap();
        let WorkerEnd::Panicked(report) = local::block_on(worker.ended()) else {
            panic!("the worker panicked");
        };
        assert_eq!(report.message, "the worst");
        assert!(report.location.unwrap().contains("worker.rs:"));
        worker.join();
    }

    #[test]
    fn a_core_that_does_not_exist_is_no_reason_to_fail() {
        let placement = Placement::Core(CpuSet::MAX_CPU);
        let mut worker = spawn_worker(WorkerIndex(0), placement, || async {}).unwrap();
        assert!(matches!(
            local::block_on(worker.ended()),
            WorkerEnd::Returned
        ));
    }
}

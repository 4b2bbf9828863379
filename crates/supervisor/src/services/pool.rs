//! Workers that do jobs from a queue.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use tokio::time::timeout;

use super::wait_all::{Operation, operation};
use crate::context::Context;
use crate::error::{Failure, PanicReport};
use crate::policy::StopPolicy;
use crate::queue::{Queue, QueueError, QueueLimits};
use crate::service::{Ending, Exit, Service};

/// What a worker does after a job that failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFault {
    /// It ends; the last to end closes the queue and ends the pool.
    #[default]
    StopWorker,
    /// It goes on with the next job.
    Continue,
}

/// What becomes of jobs that wait when the pool is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drain {
    /// They are done, for at most so long.
    Finish(Duration),
    /// They are dropped. Those under way go on until the service must end.
    Discard,
}

/// How a pool works.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// How many jobs are under way at once; at least one.
    pub workers: usize,
    /// After an error.
    pub on_error: OnFault,
    /// After a panic.
    pub on_panic: OnFault,
    /// At the stop.
    pub drain: Drain,
    /// Bounds of the queue; `None` for those that suit the workers.
    pub limits: Option<QueueLimits>,
}

impl Default for PoolOptions {
    fn default() -> Self {
        Self {
            workers: 1,
            on_error: OnFault::StopWorker,
            on_panic: OnFault::StopWorker,
            drain: Drain::Finish(Duration::from_secs(30)),
            limits: None,
        }
    }
}

impl PoolOptions {
    /// The queue of such a pool.
    pub fn queue(&self) -> Queue<Operation> {
        let limits = self.limits;
        Queue::new(limits.unwrap_or_else(|| QueueLimits::for_workers(self.workers)))
    }
}

/// The way to a pool's queue.
#[derive(Clone)]
pub struct PoolHandle {
    queue: Queue<Operation>,
}

impl PoolHandle {
    /// The way to `queue`.
    pub const fn new(queue: Queue<Operation>) -> Self {
        Self { queue }
    }

    /// Puts a job in, if there is room now.
    ///
    /// # Errors
    ///
    /// The queue is full, without credit, or closed.
    pub fn try_submit<F, Fut>(&self, job: F) -> Result<(), QueueError>
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: Ending> + 'static,
    {
        let submitted = self.queue.try_submit(operation(job));
        submitted.map_err(|(_, error)| error)
    }

    /// Puts a job in as soon as there is room. Cancellation gives the job up.
    ///
    /// # Errors
    ///
    /// The queue is closed.
    pub async fn submit<F, Fut>(&self, job: F) -> Result<(), QueueError>
    where
        F: FnOnce(Context) -> Fut + Send + 'static,
        Fut: Future<Output: Ending> + 'static,
    {
        let submitted = self.queue.submit(operation(job)).await;
        submitted.map_err(|(_, error)| error)
    }
}

impl fmt::Debug for PoolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolHandle")
            .field("queue", &self.queue)
            .finish()
    }
}

/// Does the jobs of `queue`. Errors and panics are in the service's report.
///
/// The queue is closed when the pool ends, and jobs that were not begun are dropped, with a
/// warning that says how many. So a pool that has ended stays so: started again it ends at once.
pub fn worker_pool(
    name: impl Into<Arc<str>>,
    queue: Queue<Operation>,
    options: PoolOptions,
) -> Service {
    pool(name.into(), queue, options, None)
}

/// Does the jobs of `queue`, and calls `observer` with each error and each panic, but not with
/// success. They are in no report and stop no worker; a panic of the observer's own is reported.
pub fn observed_pool(
    name: impl Into<Arc<str>>,
    queue: Queue<Operation>,
    options: PoolOptions,
    observer: impl Fn(&Failure) + Send + Sync + 'static,
) -> Service {
    let options = PoolOptions {
        on_error: OnFault::Continue,
        on_panic: OnFault::Continue,
        ..options
    };
    pool(name.into(), queue, options, Some(Arc::new(observer)))
}

type Observer = Arc<dyn Fn(&Failure) + Send + Sync>;

fn pool(
    name: Arc<str>,
    queue: Queue<Operation>,
    options: PoolOptions,
    observer: Option<Observer>,
) -> Service {
    let mut stop = StopPolicy::default();
    if let Drain::Finish(limit) = options.drain {
        stop.drain = limit;
    }
    Service::new(name, move |context: Context| {
        let pool = Pool {
            queue: queue.clone(),
            options: options.clone(),
            observer: observer.clone(),
            context,
        };
        async move { pool.run().await }
    })
    .stop(stop)
}

struct Pool {
    queue: Queue<Operation>,
    options: PoolOptions,
    observer: Option<Observer>,
    context: Context,
}

impl Pool {
    async fn run(&self) {
        let workers = (0..self.options.workers.max(1)).map(|_| self.work());
        let working = join_all(workers);
        tokio::pin!(working);
        tokio::select! {
            _ = &mut working => {}
            () = self.context.drain().cancelled() => match self.options.drain {
                Drain::Finish(limit) => {
                    self.queue.close();
                    // What is not done by then goes with the queue.
                    let _ = timeout(limit, working).await;
                }
                Drain::Discard => {
                    self.give_up();
                    working.await;
                }
            },
        }
    }

    /// Closes the queue and drops what nobody will do: whoever waits for it is to hear so.
    fn give_up(&self) {
        let lost = self.queue.discard();
        if lost > 0 {
            let service = self.context.path();
            tracing::warn!(service, lost, "jobs were dropped before they were begun");
        }
    }

    async fn work(&self) {
        while let Some(job) = self.queue.receive().await {
            let work = AssertUnwindSafe(async { job(self.context.clone()).await });
            let (failure, then) = match work.catch_unwind().await {
                Ok(Ok(Exit::Done)) => continue,
                Ok(Ok(Exit::Cancelled)) => return,
                Ok(Err(error)) => (Failure::Error(error.into()), self.options.on_error),
                Err(payload) => {
                    let report = PanicReport::from_payload(&*payload);
                    (Failure::Panic(report), self.options.on_panic)
                }
            };
            self.tell(failure);
            if then == OnFault::StopWorker {
                return;
            }
        }
    }

    fn tell(&self, failure: Failure) {
        let Some(observer) = &self.observer else {
            return self.context.fail(failure);
        };
        // One that panics is at fault itself, and no reason to leave the other jobs undone.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| observer(&failure))) {
            let report = PanicReport::from_payload(&*payload);
            self.context.fail(Failure::Panic(report));
        }
    }
}

impl Drop for Pool {
    /// However it ended: by its last worker, when it was told to, or by being dropped.
    fn drop(&mut self) {
        self.give_up();
    }
}

//! The thread that writes: it takes what waits, writes it as one, and says so.
//!
//! When the disk takes no more, whoever waits is told at once, and so is everybody that
//! comes until it does again. What was handed over is kept meanwhile and written then, in
//! its order: a core's later commits build on it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::counts::Counters;
use super::directory::Directory;
use super::engine::{Engine, Found, Pair};
use super::group::Attempt;
use super::joints::{Restarts, take_ready};
use super::{Batch, Promise, StoreError};
use crate::broker::StoreState;
use crate::broker::durable::Token;
use crate::broker::shard::ShardId;
use crate::broker::time::Moment;

/// Bytes that are written together at most, but for the last batch.
const GROUP_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that are kept while the disk takes no more; what comes then waits with its core.
const KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How often it is looked what has come while the disk takes no more.
const LOOK_AFTER: Duration = Duration::from_millis(50);

/// After how many looks it is tried again.
const LOOKS_PER_TRIAL: u32 = 10;

/// What a core is told of its commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// All up to this are done.
    pub committed: Token,
    /// All up to this were either done or failed at first and are tried again.
    pub failed: Token,
    /// Whether the disk takes more.
    pub state: StoreState,
}

/// Something for the thread to do, in its turn.
#[derive(Debug)]
pub(super) enum Request {
    Write(Write),
    Load(Load),
    /// Pairs that are no records.
    SetAside(Vec<Pair>),
}

/// What a core is to start with, which starts at that moment.
#[derive(Debug)]
pub(super) struct Load {
    pub(super) shard: ShardId,
    pub(super) at: Moment,
    pub(super) reply: oneshot::Sender<Vec<Pair>>,
}

/// A commit.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) token: Token,
    pub(super) batch: Batch,
    pub(super) progress: Arc<watch::Sender<Progress>>,
}

/// How an outage went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    Over,
    Stays,
}

pub(super) struct Writer {
    pub(super) directory: Directory,
    pub(super) cores: u8,
    pub(super) promise: Promise,
    pub(super) counters: Arc<Counters>,
    pub(super) requests: mpsc::Receiver<Request>,
    /// None while it is to be opened anew: fjall takes nothing after a failure.
    pub(super) engine: Option<Engine>,
    /// What waits, for the disk or for the part of another core.
    pub(super) kept: Vec<Write>,
    /// What is being written, or will be once that is possible.
    pub(super) ready: Vec<Write>,
    pub(super) loads: Vec<Load>,
    pub(super) restarts: Restarts,
}

impl Writer {
    /// Works until nobody is left to send anything.
    pub(super) fn run(mut self) {
        while let Some(request) = self.requests.blocking_recv() {
            self.take(request);
            self.gather(GROUP_BYTES_MAX);
            self.ready = take_ready(&mut self.kept);
            if let Err(error) = self.write(Attempt::First)
                && self.outage(&error) == Outage::Stays
            {
                return;
            }
            self.answer_loads();
        }
    }

    /// Takes what waits.
    fn gather(&mut self, bytes_max: usize) {
        let kept = self.ready.iter().chain(&self.kept);
        let mut bytes: usize = kept.map(|write| write.batch.bytes()).sum();
        while bytes < bytes_max {
            match self.requests.try_recv() {
                Ok(request) => bytes += self.take(request),
                Err(_) => return,
            }
        }
    }

    /// Takes one request; returns how many bytes there are more.
    fn take(&mut self, request: Request) -> usize {
        match request {
            Request::Write(mut write) => {
                self.restarts.forgive(&mut write.batch);
                let bytes = write.batch.bytes();
                self.kept.push(write);
                return bytes;
            }
            Request::Load(load) => {
                self.restarts.note(load.shard, load.at, &mut self.kept);
                self.loads.push(load);
            }
            Request::SetAside(pairs) => self.set_aside(&pairs),
        }
        0
    }

    /// Writes what is ready.
    fn write(&mut self, attempt: Attempt) -> Result<(), StoreError> {
        if self.ready.is_empty() {
            return Ok(());
        }
        let engine = match &self.engine {
            Some(engine) => engine,
            None => self.engine.insert(self.reopened()?),
        };
        let batches = self.ready.iter().map(|write| &write.batch);
        if let Err(error) = engine.write(batches, attempt) {
            self.engine = None;
            return Err(error.into());
        }
        let bytes = self.ready.iter().map(|write| write.batch.bytes()).sum();
        self.counters.wrote(self.ready.len(), bytes);
        report(&self.ready, |progress, token| {
            progress.committed = progress.committed.max(token);
            progress.state = StoreState::Open;
        });
        self.ready.clear();
        Ok(())
    }

    fn reopened(&self) -> Result<Engine, StoreError> {
        let mut found = Found::default();
        let engine = Engine::open(&self.directory, self.cores, self.promise, &mut found);
        self.counters.found(found);
        engine
    }

    fn refuse(&self) {
        for writes in [&self.ready, &self.kept] {
            report(writes, |progress, token| {
                progress.failed = progress.failed.max(token);
                progress.state = StoreState::Full;
            });
        }
    }

    /// Tries again until it works, or there is nobody left to do it for.
    fn outage(&mut self, error: &StoreError) -> Outage {
        self.counters.failed();
        let directory = self.directory.root().to_owned();
        tracing::error!(error = error as &dyn std::error::Error, directory = %directory.display(),
            "the store cannot be written: what would have to be stored is refused");
        self.refuse();
        for look in 1_u32.. {
            std::thread::sleep(LOOK_AFTER);
            let waited = self.kept.len();
            self.gather(KEPT_BYTES_MAX);
            if self.kept.len() > waited {
                self.refuse();
            }
            let ends = self.requests.is_closed() && self.requests.is_empty();
            if !ends && look % LOOKS_PER_TRIAL != 0 {
                continue;
            }
            let ready = take_ready(&mut self.kept);
            self.ready.extend(ready);
            if self.write(Attempt::Again).is_ok() {
                tracing::info!(directory = %directory.display(), "the store can be written again");
                // Those that wait for another core's part were refused as well.
                report(&self.kept, |progress, _| progress.state = StoreState::Open);
                return Outage::Over;
            }
            self.counters.failed();
            if ends {
                break;
            }
        }
        Outage::Stays
    }

    /// Answers for the cores of which nothing waits any longer.
    fn answer_loads(&mut self) {
        for load in std::mem::take(&mut self.loads) {
            let (shard, cores) = (load.shard, self.cores);
            if self.kept.iter().any(|write| write.batch.shard() == shard) {
                self.loads.push(load);
                continue;
            }
            if let Some(engine) = self.open_engine() {
                // Nobody waits for it if its worker has ended.
                let _ = load.reply.send(engine.pairs(shard, cores));
            }
        }
    }

    fn set_aside(&mut self, pairs: &[Pair]) {
        let Some(engine) = self.open_engine() else {
            return;
        };
        if let Err(error) = engine.set_aside(pairs) {
            tracing::warn!(%error, "damaged records cannot be set aside");
            self.engine = None;
        }
    }

    fn open_engine(&mut self) -> Option<&Engine> {
        if self.engine.is_none() {
            match self.reopened() {
                Ok(engine) => self.engine = Some(engine),
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the store cannot be read"
                    );
                }
            }
        }
        self.engine.as_ref()
    }
}

/// Tells each core of the last of its commits among `writes`.
fn report(writes: &[Write], change: impl Fn(&mut Progress, Token)) {
    let mut told: Vec<&Arc<watch::Sender<Progress>>> = Vec::new();
    for write in writes.iter().rev() {
        if told.iter().any(|one| Arc::ptr_eq(one, &write.progress)) {
            continue;
        }
        told.push(&write.progress);
        let change = |progress: &mut Progress| change(progress, write.token);
        write.progress.send_modify(change);
    }
}

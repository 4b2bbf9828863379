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
use super::{Batch, Promise, StoreError};
use crate::broker::StoreState;
use crate::broker::durable::Token;
use crate::broker::shard::ShardId;

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
    /// What a core is to start with.
    Load {
        shard: ShardId,
        reply: oneshot::Sender<Vec<Pair>>,
    },
    /// Pairs that are no records.
    SetAside(Vec<Pair>),
}

/// A commit.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) token: Token,
    pub(super) batch: Batch,
    pub(super) progress: Arc<watch::Sender<Progress>>,
}

/// Whether there is more to do.
enum Next {
    Goes,
    Ends,
}

pub(super) struct Writer {
    pub(super) directory: Directory,
    pub(super) cores: u8,
    pub(super) promise: Promise,
    pub(super) counters: Arc<Counters>,
    pub(super) requests: mpsc::Receiver<Request>,
    /// None while it is to be opened anew: fjall takes nothing after a failure.
    pub(super) engine: Option<Engine>,
    /// What is being written, or will be once that is possible.
    pub(super) kept: Vec<Write>,
    /// What comes after it.
    pub(super) then: Option<Request>,
}

impl Writer {
    /// Works until nobody is left to send anything.
    pub(super) fn run(mut self) {
        while let Next::Goes = self.turn() {}
    }

    fn turn(&mut self) -> Next {
        match self.then.take().or_else(|| self.requests.blocking_recv()) {
            None => return Next::Ends,
            Some(Request::Write(write)) => self.kept.push(write),
            Some(other) => {
                self.answer(other);
                return Next::Goes;
            }
        }
        self.gather(GROUP_BYTES_MAX);
        match self.write(Attempt::First) {
            Ok(()) => Next::Goes,
            Err(error) => self.outage(&error),
        }
    }

    /// Takes what waits, up to the first that is no write.
    fn gather(&mut self, bytes_max: usize) {
        let mut bytes: usize = self.kept.iter().map(|write| write.batch.bytes()).sum();
        while bytes < bytes_max && self.then.is_none() {
            match self.requests.try_recv() {
                Ok(Request::Write(write)) => {
                    bytes += write.batch.bytes();
                    self.kept.push(write);
                }
                Ok(other) => self.then = Some(other),
                Err(_) => return,
            }
        }
    }

    fn write(&mut self, attempt: Attempt) -> Result<(), StoreError> {
        let engine = match &self.engine {
            Some(engine) => engine,
            None => self.engine.insert(self.reopened()?),
        };
        let batches = self.kept.iter().map(|write| &write.batch);
        if let Err(error) = engine.write(batches, attempt) {
            self.engine = None;
            return Err(error.into());
        }
        self.counters.wrote(self.kept.len());
        self.report(|progress, token| {
            progress.committed = progress.committed.max(token);
            progress.state = StoreState::Open;
        });
        self.kept.clear();
        Ok(())
    }

    fn reopened(&self) -> Result<Engine, StoreError> {
        let mut found = Found::default();
        let engine = Engine::open(&self.directory, self.cores, self.promise, &mut found);
        self.counters.found(found);
        engine
    }

    /// Tells each core of the last of its commits that are kept.
    fn report(&self, change: impl Fn(&mut Progress, Token)) {
        let mut told: Vec<&Arc<watch::Sender<Progress>>> = Vec::new();
        for write in self.kept.iter().rev() {
            if told.iter().any(|one| Arc::ptr_eq(one, &write.progress)) {
                continue;
            }
            told.push(&write.progress);
            let change = |progress: &mut Progress| change(progress, write.token);
            write.progress.send_modify(change);
        }
    }

    fn refuse(&self) {
        self.report(|progress, token| {
            progress.failed = progress.failed.max(token);
            progress.state = StoreState::Full;
        });
    }

    /// Tries again until it works, or there is nobody left to do it for.
    fn outage(&mut self, error: &StoreError) -> Next {
        self.counters.failed();
        tracing::error!(error = error as &dyn std::error::Error, directory = %self.directory.root().display(),
            "the store cannot be written: what would have to be stored is refused");
        self.refuse();
        for look in 1_u32.. {
            std::thread::sleep(LOOK_AFTER);
            let kept = self.kept.len();
            self.gather(KEPT_BYTES_MAX);
            if self.kept.len() > kept {
                self.refuse();
            }
            let ends = self.requests.is_closed() && self.requests.is_empty();
            if !ends && look % LOOKS_PER_TRIAL != 0 {
                continue;
            }
            if self.write(Attempt::Again).is_ok() {
                tracing::info!(directory = %self.directory.root().display(), "the store can be written again");
                return Next::Goes;
            }
            self.counters.failed();
            if ends {
                break;
            }
        }
        Next::Ends
    }

    fn answer(&mut self, request: Request) {
        if self.engine.is_none() {
            match self.reopened() {
                Ok(engine) => self.engine = Some(engine),
                // Whoever asked sees that there is no answer.
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "the store cannot be read"
                    );
                    return;
                }
            }
        }
        let Some(engine) = &self.engine else {
            return;
        };
        match request {
            Request::Load { shard, reply } => {
                // Nobody waits for it if its worker has ended.
                let _ = reply.send(engine.pairs(shard, self.cores));
            }
            Request::SetAside(pairs) => {
                if let Err(error) = engine.set_aside(&pairs) {
                    tracing::warn!(%error, "damaged records cannot be set aside");
                    self.engine = None;
                }
            }
            Request::Write(_) => {}
        }
    }
}

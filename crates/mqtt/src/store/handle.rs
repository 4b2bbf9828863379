//! A store as its cores hold it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tokio::sync::{mpsc, oneshot, watch};

use super::counts::{Counters, StoreCounts};
use super::directory::Directory;
use super::engine::{Engine, Found, restore};
use super::joints::Restarts;
use super::writer::{Load, Progress, Request, Write, Writer};
use super::{Batch, Promise, StoreError};
use crate::broker::Restored;
use crate::broker::durable::Token;
use crate::broker::shard::ShardId;
use crate::broker::time::Moment;

/// Commits that may wait for the thread; more wait with their cores.
pub const QUEUE_CAPACITY: usize = 1_024;

/// Records that are read before others on the worker have their turn.
const RECORDS_PER_TURN: usize = 1_024;

/// The store of one server.
///
/// Dropping the last handle waits until what was handed over is written, or has failed.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    promise: Promise,
    cores: u8,
    counters: Arc<Counters>,
    requests: Option<mpsc::Sender<Request>>,
    thread: Option<JoinHandle<()>>,
}

/// A commit that found the store's queue full, or its thread gone.
#[derive(Debug)]
pub enum Refused {
    /// It may be handed over again later.
    Full(Batch),
    /// There is no thread any longer.
    Stopped,
}

/// Where one core learns what has become of its commits.
#[derive(Clone, Debug)]
pub struct Reports(Arc<watch::Sender<Progress>>);

impl Reports {
    /// For a core that has handed over nothing yet, and where it reads them.
    pub fn new() -> (Self, watch::Receiver<Progress>) {
        let (sender, receiver) = watch::channel(Progress::default());
        (Self(Arc::new(sender)), receiver)
    }
}

impl Store {
    /// Opens the store in `directory`, which is made if it is not there, for a broker of so
    /// many cores, and starts its thread. Waits for the disk.
    ///
    /// What is damaged is set aside in the directory, counted and logged.
    ///
    /// # Errors
    ///
    /// When another store is open there, or it cannot be read or written.
    pub fn open(directory: &Path, promise: Promise, cores: u8) -> Result<Self, StoreError> {
        let counters = Arc::new(Counters::default());
        let taken = Directory::take(directory)?;
        let mut found = Found::default();
        let engine = Engine::open(&taken, cores, promise, &mut found)?;
        counters.found(found);
        let (sender, requests) = mpsc::channel(QUEUE_CAPACITY);
        let writer = Writer {
            directory: taken,
            cores,
            promise,
            counters: Arc::clone(&counters),
            requests,
            engine: Some(engine),
            kept: Vec::new(),
            ready: Vec::new(),
            loads: Vec::new(),
            restarts: Restarts::default(),
        };
        // Not a worker: it waits for the disk.
        let thread = thread::Builder::new()
            .name("mqtt-store".to_owned())
            .spawn(|| writer.run())
            .map_err(|source| StoreError::Directory {
                directory: directory.to_owned(),
                source,
            })?;
        Ok(Self {
            directory: directory.to_owned(),
            promise,
            cores,
            counters,
            requests: Some(sender),
            thread: Some(thread),
        })
    }

    /// Where it is.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it promises of a commit that is done.
    pub fn promise(&self) -> Promise {
        self.promise
    }

    /// The cores that it was opened for.
    pub fn cores(&self) -> u8 {
        self.cores
    }

    /// What it has done and found.
    pub fn counts(&self) -> StoreCounts {
        self.counters.read()
    }

    /// Hands over a core's commit, after all that it has handed over before. Never waits.
    ///
    /// # Errors
    ///
    /// When the queue is full, or the thread has ended.
    pub fn commit(&self, token: Token, batch: Batch, reports: &Reports) -> Result<(), Refused> {
        let Some(requests) = &self.requests else {
            return Err(Refused::Stopped);
        };
        let permit = match requests.try_reserve() {
            Ok(permit) => permit,
            Err(mpsc::error::TrySendError::Full(())) => return Err(Refused::Full(batch)),
            Err(mpsc::error::TrySendError::Closed(())) => return Err(Refused::Stopped),
        };
        // Before the thread can be done with it.
        self.counters.handed_over();
        permit.send(Request::Write(Write {
            token,
            batch,
            progress: Arc::clone(&reports.0),
        }));
        Ok(())
    }

    /// What a core is to start with that is made `now` or later: its own sessions with all that is theirs, and the
    /// retained messages of all cores, everything that was handed over before included.
    /// Records that are damaged are set aside, counted and logged.
    ///
    /// # Errors
    ///
    /// When the thread has ended, or cannot open the database.
    pub async fn load(&self, shard: ShardId, now: Moment) -> Result<Restored, StoreError> {
        let requests = self.requests.as_ref().ok_or(StoreError::Stopped)?;
        let (reply, loaded) = oneshot::channel();
        let at = now;
        let load = Request::Load(Load { shard, at, reply });
        requests.send(load).await.map_err(|_| StoreError::Stopped)?;
        let pairs = loaded.await.map_err(|_| StoreError::Stopped)?;
        let (mut state, mut damaged) = (Restored::default(), Vec::new());
        for some in pairs.chunks(RECORDS_PER_TURN) {
            damaged.extend(restore(&mut state, some));
            tokio::task::yield_now().await;
        }
        if !damaged.is_empty() {
            self.counters.found(Found {
                unreadable: damaged.len() as u64,
                ..Found::default()
            });
            let aside = Request::SetAside(damaged);
            requests
                .send(aside)
                .await
                .map_err(|_| StoreError::Stopped)?;
        }
        Ok(state)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!(directory = %self.directory.display(), "the store's thread has panicked");
        }
    }
}

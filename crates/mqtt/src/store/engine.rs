//! The database: three keyspaces of fjall, one for the records, one for how they are dealt
//! out to cores, one for records that could not be read.
//!
//! Used by one thread at a time, which may wait for the disk.

use std::path::PathBuf;

use bytes::Bytes;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::decode::decode;
use super::directory::Directory;
use super::error::{StoreError, is_damage};
use super::group::{Attempt, Group, Outcome, session_prefix};
use super::key::Table;
use super::layout::{self, Layout};
use super::{Batch, Promise};
use crate::broker::Restored;
use crate::broker::shard::ShardId;

/// Blocks of files that are kept in memory: what is read is read once, at a start.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;

/// What is written goes to a table once it is so much.
const MEMTABLE_BYTES: u64 = 16 * 1024 * 1024;

/// Journals together; fjall takes no less.
const JOURNAL_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Files that are open at once.
const OPEN_FILES_MAX: usize = 64;

/// A key and its value.
pub(super) type Pair = (Bytes, Bytes);

/// What a start has found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Bytes at the ends of journals that were no batch.
    pub(super) damaged_bytes: u64,
    /// Whole databases that could not be opened.
    pub(super) set_aside: u64,
    /// Records that could not be read.
    pub(super) unreadable: u64,
}

pub(super) struct Engine {
    database: Database,
    records: Keyspace,
    quarantine: Keyspace,
    persist: PersistMode,
}

impl Engine {
    /// Opens the database, or makes it, for so many cores. What is damaged is set aside.
    pub(super) fn open(
        directory: &Directory,
        cores: u8,
        promise: Promise,
        found: &mut Found,
    ) -> Result<Self, StoreError> {
        let repaired = directory.repair().map_err(fjall::Error::Io)?;
        found.damaged_bytes += repaired;
        let opened = Self::open_as_it_is(directory, cores, promise, found);
        let error = match opened {
            Err(fjall::Error::InvalidVersion(Some(_))) => {
                return Err(StoreError::Version {
                    directory: directory.root().to_owned(),
                });
            }
            Err(error) if is_damage(&error) => error,
            opened => return Ok(opened?),
        };
        let to: PathBuf = directory.set_aside().map_err(fjall::Error::Io)?;
        tracing::error!(error = %error, quarantine = %to.display(),
            "the store is damaged beyond reading and was set aside: the broker starts without its sessions");
        found.set_aside += 1;
        Ok(Self::open_as_it_is(directory, cores, promise, found)?)
    }

    fn open_as_it_is(
        directory: &Directory,
        cores: u8,
        promise: Promise,
        found: &mut Found,
    ) -> fjall::Result<Self> {
        let database = Database::builder(directory.database())
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES_MAX)
            .max_cached_files(Some(OPEN_FILES_MAX))
            .worker_threads(1)
            .manual_journal_persist(true)
            .open()?;
        let meta = database.keyspace("layout", KeyspaceCreateOptions::default)?;
        let before = layout::read(&database, &meta)?;
        let mut engine = Self {
            records: keyspace(&database, &before.keyspace())?,
            quarantine: keyspace(&database, "quarantine")?,
            persist: match promise {
                Promise::Os => PersistMode::Buffer,
                Promise::Fsync => PersistMode::SyncData,
            },
            database,
        };
        if before.cores != cores {
            engine.deal_out(&meta, before, cores, found)?;
        }
        Ok(engine)
    }

    /// Writes batches, all or none of them, and keeps the promise for them.
    pub(super) fn write<'a>(
        &self,
        batches: impl IntoIterator<Item = &'a Batch>,
        attempt: Attempt,
    ) -> fjall::Result<()> {
        let mut group = Group::of(batches, attempt);
        let stale = self.stale(&mut group)?;
        let count = group.outcomes.len() + stale.len();
        let mut batch = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), count)
            .durability(Some(self.persist));
        for (key, outcome) in &group.outcomes {
            match outcome {
                Outcome::Put(value) | Outcome::PutNew(value) => {
                    batch.insert(&self.records, *key, *value);
                }
                Outcome::Drop => batch.remove(&self.records, *key),
            }
        }
        for key in stale {
            batch.remove(&self.records, key);
        }
        batch.commit()
    }

    /// What the store has of sessions that end. Each key is named once in a batch: its order
    /// does not count.
    fn stale(&self, group: &mut Group<'_>) -> fjall::Result<Vec<fjall::Slice>> {
        let mut stale = Vec::new();
        for (shard, number) in std::mem::take(&mut group.ended) {
            for table in Table::OF_SESSION {
                for entry in self.records.prefix(session_prefix(table, shard, number)) {
                    let key = entry.key()?;
                    if !group.outcomes.contains_key(&key[..]) {
                        stale.push(key);
                    }
                }
            }
        }
        Ok(stale)
    }

    /// What a core starts with, as pairs: all that is its own, and the retained messages of
    /// all cores.
    pub(super) fn pairs(&self, shard: ShardId, cores: u8) -> Vec<Pair> {
        let mut pairs = Vec::new();
        self.read(&[shard.0], &mut pairs);
        for other in (0..cores).map(ShardId).filter(|other| *other != shard) {
            self.read(&Table::Retained.prefix(other), &mut pairs);
        }
        pairs
    }

    /// Reads what is there; where a file is damaged, the rest of its keys are left out.
    fn read(&self, prefix: &[u8], pairs: &mut Vec<Pair>) {
        for entry in self.records.prefix(prefix) {
            match entry.into_inner() {
                Ok((key, value)) => {
                    let copied = Bytes::copy_from_slice;
                    pairs.push((copied(&key), copied(&value)));
                }
                Err(error) => {
                    tracing::error!(%error, "a part of the store cannot be read");
                    return;
                }
            }
        }
    }

    /// Moves pairs that are no records out of the way.
    pub(super) fn set_aside(&self, pairs: &[Pair]) -> fjall::Result<()> {
        let mut batch = self.database.batch().durability(Some(self.persist));
        for (key, value) in pairs {
            batch.remove(&self.records, &key[..]);
            batch.insert(&self.quarantine, &key[..], &value[..]);
        }
        batch.commit()
    }

    /// Deals the records out to another number of cores: into a new keyspace, which counts
    /// once it is complete.
    fn deal_out(
        &mut self,
        meta: &Keyspace,
        before: Layout,
        cores: u8,
        found: &mut Found,
    ) -> fjall::Result<()> {
        let after = before.next(cores);
        let name = after.keyspace();
        if self.database.keyspace_exists(&name) {
            // Of an attempt that was interrupted.
            let unfinished = keyspace(&self.database, &name)?;
            self.database.delete_keyspace(unfinished)?;
        }
        let states: Vec<Restored> = (0..before.cores)
            .map(|shard| {
                let mut pairs = Vec::new();
                self.read(&[shard], &mut pairs);
                let mut state = Restored::default();
                let damaged = restore(&mut state, &pairs);
                found.unreadable += damaged.len() as u64;
                self.set_aside(&damaged)?;
                Ok(state)
            })
            .collect::<fjall::Result<_>>()?;
        let new = keyspace(&self.database, &name)?;
        let old = std::mem::replace(&mut self.records, new);
        let parts = Restored::redistribute(&states, cores);
        for (shard, part) in (0..).map(ShardId).zip(parts) {
            for records in part.records(shard, cores).chunks(layout::RECORDS_PER_BATCH) {
                self.write([&Batch::of(shard, records)], Attempt::First)?;
            }
        }
        self.database.persist(PersistMode::SyncAll)?;
        layout::write(meta, after)?;
        self.database.persist(PersistMode::SyncAll)?;
        self.database.delete_keyspace(old)
    }
}

/// Adds what pairs describe to a state; returns those of them that are no records.
pub(super) fn restore(state: &mut Restored, pairs: &[Pair]) -> Vec<Pair> {
    let mut damaged = Vec::new();
    for (key, value) in pairs {
        match decode(key.clone(), value.clone()) {
            Ok((_, record)) => state.apply(record),
            Err(error) => {
                tracing::warn!(%error, ?key, "a record is damaged and is set aside");
                damaged.push((key.clone(), value.clone()));
            }
        }
    }
    damaged
}

fn keyspace(database: &Database, name: &str) -> fjall::Result<Keyspace> {
    database.keyspace(name, || {
        KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
    })
}

//! How the records are dealt out: to how many cores, in which keyspace.

use fjall::{Database, Keyspace};
use xxhash_rust::xxh3::xxh3_64;

use crate::broker::shard::SHARDS_MAX;

/// Records that are dealt out in one batch.
pub(super) const RECORDS_PER_BATCH: usize = 4_096;

const KEY: &str = "layout";

/// What keyspaces of records are called, before their number.
const NAME: &str = "records-";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) cores: u8,
    /// Counts how often the records have been dealt out.
    pub(super) generation: u64,
}

impl Layout {
    pub(super) fn keyspace(self) -> String {
        format!("{NAME}{}", self.generation)
    }

    pub(super) fn next(self, cores: u8) -> Self {
        Self {
            cores,
            generation: self.generation + 1,
        }
    }

    fn to_bytes(self) -> [u8; 17] {
        let mut bytes = [0; 17];
        bytes[0] = self.cores;
        bytes[1..9].copy_from_slice(&self.generation.to_be_bytes());
        let sum = xxh3_64(&bytes[..9]);
        bytes[9..].copy_from_slice(&sum.to_be_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let generation = bytes.get(1..9)?.try_into().ok()?;
        let layout = Self {
            cores: bytes[0],
            generation: u64::from_be_bytes(generation),
        };
        (layout.to_bytes() == bytes).then_some(layout)
    }
}

/// How the records are dealt out. Where that cannot be read, they may be any core's, and
/// are those of the oldest keyspace: a newer one may not be complete.
pub(super) fn read(database: &Database, meta: &Keyspace) -> fjall::Result<Layout> {
    if let Some(layout) = meta.get(KEY)?.and_then(|bytes| Layout::from_bytes(&bytes)) {
        return Ok(layout);
    }
    let names = database.list_keyspace_names();
    let generations = names.iter().filter_map(|name| name.strip_prefix(NAME));
    let oldest = generations.filter_map(|number| number.parse().ok()).min();
    Ok(match oldest {
        Some(generation) => Layout {
            cores: SHARDS_MAX,
            generation,
        },
        None => Layout {
            cores: 0,
            generation: 0,
        },
    })
}

pub(super) fn write(meta: &Keyspace, layout: Layout) -> fjall::Result<()> {
    meta.insert(KEY, layout.to_bytes())
}

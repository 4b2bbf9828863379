//! The named edges of the trie, all in one hash table: twelve bytes an edge,
//! where a map in each node would cost a hundred.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::levels::LevelId;

#[derive(Debug, Clone, Copy)]
struct Edge {
    parent: u32,
    level: u32,
    child: u32,
}

impl Edge {
    fn is(&self, parent: u32, level: LevelId) -> bool {
        self.parent == parent && self.level == level.0
    }
}

#[derive(Debug, Default)]
pub(super) struct Edges {
    table: HashTable<Edge>,
    hasher: DefaultHashBuilder,
}

fn hash(hasher: &DefaultHashBuilder, parent: u32, level: u32) -> u64 {
    hasher.hash_one(u64::from(parent) << 32 | u64::from(level))
}

impl Edges {
    pub(super) fn get(&self, parent: u32, level: LevelId) -> Option<u32> {
        let hash = hash(&self.hasher, parent, level.0);
        let edge = self.table.find(hash, |edge| edge.is(parent, level))?;
        Some(edge.child)
    }

    /// Adds an edge that is not there yet.
    pub(super) fn insert(&mut self, parent: u32, level: LevelId, child: u32) {
        let edge = Edge {
            parent,
            level: level.0,
            child,
        };
        let hasher = &self.hasher;
        self.table
            .insert_unique(hash(hasher, parent, level.0), edge, |edge| {
                hash(hasher, edge.parent, edge.level)
            });
    }

    pub(super) fn remove(&mut self, parent: u32, level: LevelId) {
        let hash = hash(&self.hasher, parent, level.0);
        if let Ok(entry) = self.table.find_entry(hash, |edge| edge.is(parent, level)) {
            entry.remove();
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

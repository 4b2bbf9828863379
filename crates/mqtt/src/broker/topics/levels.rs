//! Interned topic levels: one number for each distinct level of any filter.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;

/// The number of an interned level; free to be given again once released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LevelId(pub(super) u32);

#[derive(Debug)]
struct Level {
    name: Box<[u8]>,
    /// How many edges of the trie carry it.
    uses: u32,
}

#[derive(Debug, Default)]
pub(super) struct Levels {
    levels: Slab<Level>,
    by_name: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl Levels {
    /// The number of a level that some filter has.
    pub(super) fn get(&self, name: &[u8]) -> Option<LevelId> {
        let hash = self.hasher.hash_one(name);
        let found = self
            .by_name
            .find(hash, |&id| &*self.levels[id as usize].name == name)?;
        Some(LevelId(*found))
    }

    /// The number of a level, made if need be, and one more use of it.
    pub(super) fn acquire(&mut self, name: &[u8]) -> LevelId {
        if let Some(id) = self.get(name) {
            self.levels[id.0 as usize].uses += 1;
            return id;
        }
        let hash = self.hasher.hash_one(name);
        let level = Level {
            name: name.into(),
            uses: 1,
        };
        let id = u32::try_from(self.levels.insert(level)).expect("levels outnumber memory");
        let (levels, hasher) = (&self.levels, &self.hasher);
        self.by_name
            .insert_unique(hash, id, |&id| hasher.hash_one(&*levels[id as usize].name));
        LevelId(id)
    }

    /// Gives one use back; the last one frees the number.
    pub(super) fn release(&mut self, id: LevelId) {
        let level = &mut self.levels[id.0 as usize];
        level.uses -= 1;
        if level.uses > 0 {
            return;
        }
        let hash = self.hasher.hash_one(&*level.name);
        if let Ok(entry) = self.by_name.find_entry(hash, |&other| other == id.0) {
            entry.remove();
        }
        self.levels.remove(id.0 as usize);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.levels.len()
    }
}

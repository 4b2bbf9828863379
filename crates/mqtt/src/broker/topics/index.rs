//! All filters anybody is interested in, each under one small number.

use std::{hash::BuildHasher, num::NonZeroU32};

use hashbrown::{DefaultHashBuilder, HashTable};
use slab::Slab;

use super::trie::Trie;

/// The number of a filter in a [`FilterIndex`]; given again after its removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FilterId(NonZeroU32);

impl FilterId {
    /// Its place in a table that runs beside the index, from 0.
    pub fn index(self) -> usize {
        self.0.get() as usize - 1
    }

    fn from_index(index: usize) -> Self {
        let number = u32::try_from(index + 1).expect("filters outnumber memory");
        Self(NonZeroU32::new(number).expect("one more than an index is not zero"))
    }
}

#[derive(Debug)]
struct Entry {
    filter: Box<str>,
    /// Where the trie holds it; none for a filter without a wildcard.
    node: Option<u32>,
}

/// Every filter once, found by its text or by the topics it matches.
///
/// ```
/// use tidegate_mqtt::broker::topics::FilterIndex;
///
/// let mut index = FilterIndex::default();
/// let exact = index.insert("rooms/1/door");
/// let wide = index.insert("rooms/+/door");
/// let mut found = Vec::new();
/// index.matches(b"rooms/1/door", &mut found);
/// assert_eq!(found, [exact, wide]);
/// ```
#[derive(Debug, Default)]
pub struct FilterIndex {
    entries: Slab<Entry>,
    by_filter: HashTable<u32>,
    hasher: DefaultHashBuilder,
    wildcards: Trie,
}

impl FilterIndex {
    /// How many filters it holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The number of a filter, compared character by character (4.7.3-4).
    pub fn get(&self, filter: &[u8]) -> Option<FilterId> {
        let hash = self.hasher.hash_one(filter);
        let found = self.by_filter.find(hash, |&id| {
            self.entries[id as usize].filter.as_bytes() == filter
        })?;
        Some(FilterId::from_index(*found as usize))
    }

    /// The text of a filter.
    ///
    /// # Panics
    ///
    /// If `id` has been removed.
    pub fn filter(&self, id: FilterId) -> &str {
        &self.entries[id.index()].filter
    }

    /// The number of a filter, added if it is new. `filter` is taken as valid.
    pub fn insert(&mut self, filter: &str) -> FilterId {
        if let Some(id) = self.get(filter.as_bytes()) {
            return id;
        }
        let id = FilterId::from_index(self.entries.vacant_key());
        let node = has_wildcard(filter).then(|| self.wildcards.insert(filter.as_bytes(), id));
        self.entries.insert(Entry {
            filter: filter.into(),
            node,
        });
        let (entries, hasher) = (&self.entries, &self.hasher);
        let hash = hasher.hash_one(filter.as_bytes());
        self.by_filter
            .insert_unique(hash, id.index() as u32, |&id| {
                hasher.hash_one(entries[id as usize].filter.as_bytes())
            });
        id
    }

    /// Forgets a filter.
    ///
    /// # Panics
    ///
    /// If `id` has been removed before.
    pub fn remove(&mut self, id: FilterId) {
        let entry = self.entries.remove(id.index());
        let hash = self.hasher.hash_one(entry.filter.as_bytes());
        let index = id.index() as u32;
        if let Ok(place) = self.by_filter.find_entry(hash, |&other| other == index) {
            place.remove();
        }
        if let Some(node) = entry.node {
            self.wildcards.remove(node, id);
        }
    }

    /// The numbers of all filters.
    pub fn ids(&self) -> Vec<FilterId> {
        let indexes = self.entries.iter().map(|(index, _)| index);
        indexes.map(FilterId::from_index).collect()
    }

    /// Adds every filter that `topic` matches to `found`, each once, in no
    /// promised order. The work is bounded by the filters that share a
    /// beginning with the topic, not by how many there are.
    pub fn matches(&self, topic: &[u8], found: &mut Vec<FilterId>) {
        // A filter's text equals a topic name only if it has no wildcard.
        found.extend(self.get(topic));
        if !self.wildcards.is_empty() {
            self.wildcards.matches(topic, found);
        }
    }

    #[cfg(test)]
    pub(super) fn trie_size(&self) -> (usize, usize, usize) {
        self.wildcards.size()
    }
}

/// Whether a valid filter has a wildcard.
pub(in crate::broker) fn has_wildcard(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

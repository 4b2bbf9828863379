//! Many batches as one: what the last change makes of each key.
//!
//! A message that is published and acknowledged within one group leaves no trace: that is
//! most of them where subscribers are connected.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;

use super::batch::{Batch, Effect};
use super::key::Table;
use crate::broker::durable::SessionNumber;
use crate::broker::shard::ShardId;

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome<'a> {
    Put(&'a [u8]),
    /// As `Put`, of a key that the store does not have yet.
    PutNew(&'a [u8]),
    Drop,
}

/// Whether the batches have been written before, with what success nobody can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    First,
    Again,
}

/// The changes of batches, by key.
#[derive(Debug, Default)]
pub(super) struct Group<'a> {
    pub(super) outcomes: BTreeMap<&'a [u8], Outcome<'a>>,
    /// Sessions of which the store may have more than the outcomes name.
    pub(super) ended: Vec<(ShardId, SessionNumber)>,
}

impl<'a> Group<'a> {
    /// The batches in their order.
    pub(super) fn of(batches: impl IntoIterator<Item = &'a Batch>, attempt: Attempt) -> Self {
        let mut group = Self::default();
        for batch in batches {
            for change in batch.changes() {
                let key = batch.slice(&change.key);
                match &change.effect {
                    Effect::Put(value) => group.put(key, Outcome::Put(batch.slice(value))),
                    Effect::PutNew(value) if attempt == Attempt::First => {
                        group.put(key, Outcome::PutNew(batch.slice(value)));
                    }
                    Effect::PutNew(value) => group.put(key, Outcome::Put(batch.slice(value))),
                    Effect::Drop => group.drop_key(key),
                    Effect::DropSession(number) => {
                        group.drop_key(key);
                        group.end_session(batch.shard(), *number);
                    }
                }
            }
        }
        group
    }

    fn put(&mut self, key: &'a [u8], outcome: Outcome<'a>) {
        match self.outcomes.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(outcome);
            }
            Entry::Occupied(mut entry) => {
                let was_new = matches!(entry.get(), Outcome::PutNew(_));
                entry.insert(match outcome {
                    Outcome::Put(value) if was_new => Outcome::PutNew(value),
                    // Written before in this group, so perhaps in the store as well.
                    Outcome::PutNew(value) if !was_new => Outcome::Put(value),
                    outcome => outcome,
                });
            }
        }
    }

    fn drop_key(&mut self, key: &'a [u8]) {
        match self.outcomes.entry(key) {
            Entry::Vacant(entry) => {
                entry.insert(Outcome::Drop);
            }
            Entry::Occupied(entry) if matches!(entry.get(), Outcome::PutNew(_)) => {
                entry.remove();
            }
            Entry::Occupied(mut entry) => {
                entry.insert(Outcome::Drop);
            }
        }
    }

    fn end_session(&mut self, shard: ShardId, number: SessionNumber) {
        for table in Table::OF_SESSION {
            let prefix = session_prefix(table, shard, number);
            let keys: Vec<&'a [u8]> = self
                .outcomes
                .range::<[u8], _>((Bound::Included(&prefix[..]), Bound::Unbounded))
                .map(|(key, _)| *key)
                .take_while(|key| key.starts_with(&prefix))
                .collect();
            keys.into_iter().for_each(|key| self.drop_key(key));
        }
        self.ended.push((shard, number));
    }
}

/// What all keys of a session in one table begin with.
pub(super) fn session_prefix(table: Table, shard: ShardId, number: SessionNumber) -> Vec<u8> {
    let mut prefix = table.prefix(shard).to_vec();
    prefix.extend_from_slice(&number.0.to_be_bytes());
    prefix
}

//! Retained messages by topic (OASIS MQTT 5.0, section 3.3.1.3), in a store
//! bounded by count and by bytes.
//!
//! Every core holds all of them, so that SUBSCRIBE is answered where it comes
//! in. Two cores may set one topic at the same time; the [`Stamp`] decides
//! alike everywhere, and a removal leaves its stamp behind for a while.

mod scan;
mod stamp;

use std::{collections::BTreeMap, ops::ControlFlow};

pub use stamp::{Stamp, StampClock};

use self::scan::Scan;

/// Removals remembered at most; past that a message that was overtaken on its
/// way between two cores may come back on one of them.
const REMOVALS_MAX: usize = 10_000;

/// How much a [`RetainedStore`] takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetainedLimits {
    /// Topics with a retained message.
    pub topics: usize,
    /// Bytes of topics and messages together.
    pub bytes: usize,
}

/// Why a retained message was not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetainedFull {
    /// [`RetainedLimits::topics`] is reached.
    Topics,
    /// [`RetainedLimits::bytes`] would be passed.
    Bytes,
}

/// What became of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is in force.
    Made,
    /// A newer stamp stands there already.
    Stale,
    /// It does not fit; what was there stands.
    Full(RetainedFull),
}

#[derive(Debug)]
struct Entry<M> {
    stamp: Stamp,
    /// `None`: removed, and remembered only so that an older message that
    /// arrives late does not come back.
    message: Option<M>,
    bytes: usize,
}

/// The retained message of each topic.
#[derive(Debug)]
pub struct RetainedStore<M> {
    topics: BTreeMap<Box<str>, Entry<M>>,
    limits: RetainedLimits,
    count: usize,
    bytes: usize,
    removals: usize,
}

impl<M> RetainedStore<M> {
    /// An empty store.
    pub fn new(limits: RetainedLimits) -> Self {
        Self {
            topics: BTreeMap::new(),
            limits,
            count: 0,
            bytes: 0,
            removals: 0,
        }
    }

    /// Topics with a message.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no topic has a message.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes of topics and messages.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// New limits; what is stored stays, even beyond them.
    pub fn set_limits(&mut self, limits: RetainedLimits) {
        self.limits = limits;
    }

    /// Whether [`set`](Self::set) would find room for `message_bytes` at `topic`.
    ///
    /// # Errors
    ///
    /// The limit that is in the way.
    pub fn room(&self, topic: &str, message_bytes: usize) -> Result<(), RetainedFull> {
        let held = match self.topics.get(topic) {
            Some(entry) if entry.message.is_some() => Some(entry.bytes),
            _ => None,
        };
        if held.is_none() && self.count >= self.limits.topics {
            return Err(RetainedFull::Topics);
        }
        let bytes = self.bytes - held.unwrap_or(0) + topic.len() + message_bytes;
        if bytes > self.limits.bytes {
            return Err(RetainedFull::Bytes);
        }
        Ok(())
    }

    /// Stores a message in place of any other (3.3.1-5).
    pub fn set(&mut self, topic: &str, stamp: Stamp, message: M, message_bytes: usize) -> Change {
        if self.is_newer(topic, stamp) {
            return Change::Stale;
        }
        if let Err(full) = self.room(topic, message_bytes) {
            return Change::Full(full);
        }
        let bytes = topic.len() + message_bytes;
        let entry = Entry {
            stamp,
            message: Some(message),
            bytes,
        };
        self.discount(topic);
        self.count += 1;
        self.bytes += bytes;
        self.replace(topic, entry);
        Change::Made
    }

    /// Removes the message of a topic (3.3.1-6).
    pub fn remove(&mut self, topic: &str, stamp: Stamp) -> Change {
        if self.is_newer(topic, stamp) {
            return Change::Stale;
        }
        self.discount(topic);
        if self.removals >= REMOVALS_MAX {
            self.topics.remove(topic);
            return Change::Made;
        }
        let entry = Entry {
            stamp,
            message: None,
            bytes: 0,
        };
        self.removals += 1;
        self.replace(topic, entry);
        Change::Made
    }

    fn is_newer(&self, topic: &str, stamp: Stamp) -> bool {
        self.topics
            .get(topic)
            .is_some_and(|held| held.stamp > stamp)
    }

    /// Takes what stands at `topic` out of the sums.
    fn discount(&mut self, topic: &str) {
        match self.topics.get(topic) {
            Some(held) if held.message.is_some() => {
                self.count -= 1;
                self.bytes -= held.bytes;
            }
            Some(_) => self.removals -= 1,
            None => {}
        }
    }

    fn replace(&mut self, topic: &str, entry: Entry<M>) {
        if let Some(held) = self.topics.get_mut(topic) {
            *held = entry;
        } else {
            self.topics.insert(topic.into(), entry);
        }
    }

    /// The message of one topic.
    pub fn get(&self, topic: &str) -> Option<&M> {
        self.topics.get(topic)?.message.as_ref()
    }

    /// When the message of a topic was set or removed, if that is remembered.
    pub fn stamp(&self, topic: &str) -> Option<Stamp> {
        self.topics.get(topic).map(|entry| entry.stamp)
    }

    /// Visits the messages whose topics match `filter`, sorted by topic, those
    /// after the topic `after` only, until `visit` breaks. `filter` is taken as
    /// valid.
    pub fn matching<'a>(
        &'a self,
        filter: &str,
        after: Option<&str>,
        mut visit: impl FnMut(&'a str, &'a M) -> ControlFlow<()>,
    ) {
        let mut scan = Scan {
            topics: &self.topics,
            after,
            visit: |topic, entry: &'a Entry<M>| match &entry.message {
                Some(message) => visit(topic, message),
                None => ControlFlow::Continue(()),
            },
        };
        // That a visitor has seen enough is not told on: it knows.
        let _ = scan.run(filter);
    }

    /// Drops messages for which `expired` says so, returning their topics, and
    /// forgets removals stamped before `forget_before`.
    pub fn purge(
        &mut self,
        forget_before: Stamp,
        mut expired: impl FnMut(&M) -> bool,
    ) -> Vec<Box<str>> {
        let mut gone = Vec::new();
        let (count, bytes, removals) = (&mut self.count, &mut self.bytes, &mut self.removals);
        self.topics.retain(|topic, entry| match &entry.message {
            None if entry.stamp < forget_before => {
                *removals -= 1;
                false
            }
            None => true,
            Some(message) if expired(message) => {
                *count -= 1;
                *bytes -= entry.bytes;
                gone.push(topic.clone());
                false
            }
            Some(_) => true,
        });
        gone
    }
}

#[cfg(test)]
mod tests;

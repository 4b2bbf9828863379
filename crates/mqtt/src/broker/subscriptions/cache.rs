//! Matches remembered by topic name.
//!
//! A publisher repeats its topics; what matches one is worked out once and
//! stands until a subscription changes that could concern it. Two tables, a
//! young and an old one, stand in for a list by age: what is used moves to the
//! young one, and when that is full it becomes the old one.

use std::{hash::BuildHasher, rc::Rc};

use hashbrown::{DefaultHashBuilder, HashMap};

use super::Matched;

/// Topics in one table.
const TOPICS_MAX: usize = 8_192;
/// Targets in one table: bounds memory where topics have many subscribers.
const TARGETS_MAX: usize = 262_144;
/// Wildcard filters are told apart by their first level into so many classes.
const CLASSES: usize = 64;

#[derive(Debug)]
struct Known {
    generation: u32,
    /// The class of its topic: worked out anew it would cost as much as finding it.
    class: u8,
    matched: Rc<Matched>,
}

#[derive(Debug)]
pub(super) struct MatchCache {
    young: HashMap<Box<[u8]>, Known>,
    old: HashMap<Box<[u8]>, Known>,
    young_targets: usize,
    generations: [u32; CLASSES],
    hasher: DefaultHashBuilder,
}

impl Default for MatchCache {
    fn default() -> Self {
        Self {
            young: HashMap::new(),
            old: HashMap::new(),
            young_targets: 0,
            generations: [0; CLASSES],
            hasher: DefaultHashBuilder::default(),
        }
    }
}

impl MatchCache {
    fn class(&self, topic: &[u8]) -> usize {
        let level = topic.split(|byte| *byte == b'/').next().unwrap_or(topic);
        self.hasher.hash_one(level) as usize % CLASSES
    }

    fn is_true(&self, known: &Known) -> bool {
        known.generation == self.generations[usize::from(known.class)]
    }

    /// What matches `topic`, if it is known and still true.
    pub(super) fn get(&mut self, topic: &[u8]) -> Option<Rc<Matched>> {
        if let Some(known) = self.young.get(topic) {
            return self.is_true(known).then(|| Rc::clone(&known.matched));
        }
        let (topic, known) = self.old.remove_entry(topic)?;
        if !self.is_true(&known) {
            return None;
        }
        let matched = Rc::clone(&known.matched);
        self.put(topic, known);
        Some(matched)
    }

    pub(super) fn insert(&mut self, topic: &[u8], matched: Rc<Matched>) {
        let class = self.class(topic);
        let known = Known {
            generation: self.generations[class],
            class: class as u8,
            matched,
        };
        self.put(topic.into(), known);
    }

    fn put(&mut self, topic: Box<[u8]>, known: Known) {
        let targets = known.matched.targets.len();
        if self.young.len() >= TOPICS_MAX || self.young_targets + targets > TARGETS_MAX {
            self.old = std::mem::take(&mut self.young);
            self.young_targets = 0;
        }
        self.young_targets += targets;
        if let Some(replaced) = self.young.insert(topic, known) {
            self.young_targets -= replaced.matched.targets.len();
        }
    }

    /// Forgets what a change to a subscription with `filter` concerns.
    pub(super) fn invalidate(&mut self, filter: &str, has_wildcard: bool) {
        if !has_wildcard {
            if let Some(known) = self.young.remove(filter.as_bytes()) {
                self.young_targets -= known.matched.targets.len();
            }
            self.old.remove(filter.as_bytes());
        } else if filter.starts_with(['+', '#']) {
            for generation in &mut self.generations {
                *generation = generation.wrapping_add(1);
            }
        } else {
            let class = self.class(filter.as_bytes());
            self.generations[class] = self.generations[class].wrapping_add(1);
        }
    }
}

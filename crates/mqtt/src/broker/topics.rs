//! Topic names against topic filters (OASIS MQTT 5.0, section 4.7).
//!
//! [`FilterIndex`] answers which filters a topic name matches: filters without
//! a wildcard by one hash look-up, the others by a trie whose levels are
//! interned. What is subscribed by whom is kept elsewhere, by [`FilterId`].

mod edges;
mod index;
mod levels;
mod trie;

pub(super) use index::has_wildcard;
pub use index::{FilterId, FilterIndex};

#[cfg(test)]
mod tests;

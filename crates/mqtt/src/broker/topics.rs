//! Topic names against topic filters (OASIS MQTT 5.0, section 4.7).
//!
//! [`FilterIndex`] answers which filters a topic name matches: filters without
//! a wildcard by one hash look-up, the others by a trie whose levels are
//! interned. [`filter`] reads what a client wrote in SUBSCRIBE. What is
//! subscribed by whom is kept elsewhere, by [`FilterId`].

mod edges;
pub mod filter;
mod index;
mod levels;
mod trie;

pub use filter::{FilterError, SubscriptionFilter};
pub use index::{FilterId, FilterIndex};

/// Whether `topic` matches `filter`, level by level; both are taken as valid.
///
/// This is the definition that [`FilterIndex`] is tested against; use it where
/// one pair is asked about, such as an access rule.
///
/// ```
/// use tidegate_mqtt::broker::topics::matches;
///
/// assert!(matches("sport/#", "sport"));
/// assert!(matches("+/tennis", "sport/tennis"));
/// assert!(!matches("#", "$SYS/broker/uptime"));
/// ```
pub fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut names = topic.split('/');
    for level in filter.split('/') {
        if level == "#" {
            return true;
        }
        match names.next() {
            Some(name) if level == "+" || level == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

#[cfg(test)]
mod tests;

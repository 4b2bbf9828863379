#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::FilterIndex;
use crate::codec::{TopicFilter, TopicName};

fn found(index: &FilterIndex, topic: &str) -> BTreeSet<String> {
    let mut ids = Vec::new();
    index.matches(topic.as_bytes(), &mut ids);
    let filters: BTreeSet<_> = ids.iter().map(|id| index.filter(*id).to_owned()).collect();
    assert_eq!(filters.len(), ids.len(), "a filter is found once");
    filters
}

/// One filter against one topic, as the codec has it.
fn matches(filter: &str, topic: &str) -> bool {
    let topic = TopicName::try_from(topic).unwrap();
    TopicFilter::try_from(filter).unwrap().matches(&topic)
}

fn index_of(filters: &[&str]) -> FilterIndex {
    let mut index = FilterIndex::default();
    for filter in filters {
        index.insert(filter);
    }
    index
}

fn set(filters: &[&str]) -> BTreeSet<String> {
    filters.iter().map(|filter| (*filter).to_owned()).collect()
}

#[test]
fn multi_level_wildcard_includes_its_parent() {
    let index = index_of(&["sport/tennis/#", "sport/#", "#"]);
    assert_eq!(
        found(&index, "sport/tennis"),
        set(&["sport/tennis/#", "sport/#", "#"])
    );
    assert_eq!(found(&index, "sport"), set(&["sport/#", "#"]));
    assert_eq!(found(&index, "sports"), set(&["#"]));
}

#[test]
fn single_level_wildcard_takes_exactly_one_level() {
    let index = index_of(&["+", "/+", "+/+", "sport/+"]);
    assert_eq!(found(&index, "/finance"), set(&["/+", "+/+"]));
    assert_eq!(found(&index, "sport"), set(&["+"]));
    assert_eq!(found(&index, "sport/"), set(&["+/+", "sport/+"]));
    assert_eq!(found(&index, "sport/tennis/player"), set(&[]));
}

#[test]
fn leading_wildcards_do_not_see_dollar_topics() {
    let index = index_of(&[
        "#",
        "+/monitor/clients",
        "$SYS/#",
        "$SYS/monitor/+",
        "$SYS/+/clients",
    ]);
    assert_eq!(
        found(&index, "$SYS/monitor/clients"),
        set(&["$SYS/#", "$SYS/monitor/+", "$SYS/+/clients"])
    );
    assert_eq!(found(&index, "a/$SYS"), set(&["#"]));
}

#[test]
fn topics_are_not_normalised() {
    let index = index_of(&["a/b", "A/b", "a//b", "/a/b", "a/b/"]);
    for topic in ["a/b", "A/b", "a//b", "/a/b", "a/b/"] {
        assert_eq!(found(&index, topic), set(&[topic]));
    }
}

#[test]
fn removal_leaves_nothing_behind() {
    let mut index = FilterIndex::default();
    let empty = index.trie_size();
    let filters = ["a/+/c", "a/+/#", "a/b/c", "#", "+", "a/#", "a/b/+", "+/+/c"];
    let ids: Vec<_> = filters.iter().map(|filter| index.insert(filter)).collect();
    for id in ids {
        index.remove(id);
    }
    assert_eq!(index.trie_size(), empty);
    assert!(index.is_empty());
    assert_eq!(found(&index, "a/b/c"), set(&[]));
}

/// Levels few enough that random topics and filters meet often.
fn level() -> impl Strategy<Value = String> {
    prop_oneof![Just(""), Just("a"), Just("b"), Just("$a"), Just("c")].prop_map(str::to_owned)
}

fn topic() -> impl Strategy<Value = String> {
    prop::collection::vec(level(), 1..6)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("not empty", |topic| !topic.is_empty())
}

fn filter() -> impl Strategy<Value = String> {
    let part = prop_oneof![3 => level(), 2 => Just("+".to_owned())];
    (prop::collection::vec(part, 0..5), any::<bool>())
        .prop_map(|(mut levels, rest)| {
            if rest {
                levels.push("#".to_owned());
            }
            levels.join("/")
        })
        .prop_filter("not empty", |filter| !filter.is_empty())
}

proptest! {
    #[test]
    fn index_agrees_with_the_definition(
        steps in prop::collection::vec((any::<bool>(), filter()), 1..60),
        topics in prop::collection::vec(topic(), 1..20),
    ) {
        let mut index = FilterIndex::default();
        let mut held = BTreeMap::new();
        for (add, filter) in steps {
            if add {
                let id = index.insert(&filter);
                prop_assert_eq!(held.insert(filter.clone(), id).unwrap_or(id), id);
            } else if let Some(id) = held.remove(&filter) {
                index.remove(id);
            }
        }
        prop_assert_eq!(index.len(), held.len());
        for topic in topics {
            let wanted: BTreeSet<_> =
                held.keys().filter(|filter| matches(filter, &topic)).cloned().collect();
            prop_assert_eq!(found(&index, &topic), wanted, "topic {:?}", topic);
        }
        for (_, id) in held {
            index.remove(id);
        }
        prop_assert_eq!(index.trie_size(), (1, 0, 0));
    }
}

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::ops::ControlFlow;

use proptest::prelude::*;

use super::{Change, RetainedFull, RetainedLimits, RetainedStore, Stamp};
use crate::codec::{TopicFilter, TopicName};

const LIMITS: RetainedLimits = RetainedLimits {
    topics: 1_000,
    bytes: 1_000_000,
};

/// One filter against one topic, as the codec has it.
fn matches(filter: &str, topic: &str) -> bool {
    let topic = TopicName::try_from(topic).unwrap();
    TopicFilter::try_from(filter).unwrap().matches(&topic)
}

fn stamp(at: u64) -> Stamp {
    Stamp { at, shard: 0 }
}

fn store(topics: &[&str]) -> RetainedStore<()> {
    let mut store = RetainedStore::new(LIMITS);
    for topic in topics {
        assert_eq!(store.set(topic, stamp(1), (), 0), Change::Made);
    }
    store
}

fn found(store: &RetainedStore<()>, filter: &str, after: Option<&str>) -> Vec<String> {
    let mut found = Vec::new();
    store.matching(filter, after, |topic, ()| {
        found.push(topic.to_owned());
        ControlFlow::Continue(())
    });
    found
}

#[test]
fn multi_level_wildcard_includes_its_parent() {
    let store = store(&["a", "a!", "a/b", "a/b/c", "a0", "b"]);
    assert_eq!(found(&store, "a/#", None), ["a", "a/b", "a/b/c"]);
    assert_eq!(
        found(&store, "+/#", None),
        ["a", "a!", "a/b", "a/b/c", "a0", "b"]
    );
    assert_eq!(found(&store, "+", None), ["a", "a!", "a0", "b"]);
}

#[test]
fn leading_wildcards_do_not_see_dollar_topics() {
    let store = store(&["%x", "$SYS/a", "$SYS", "a", "!"]);
    assert_eq!(found(&store, "#", None), ["!", "%x", "a"]);
    assert_eq!(found(&store, "+/a", None), Vec::<String>::new());
    assert_eq!(found(&store, "$SYS/+", None), ["$SYS/a"]);
}

#[test]
fn a_late_older_change_does_not_undo_a_newer_one() {
    let mut store = store(&[]);
    assert_eq!(store.remove("a", stamp(5)), Change::Made);
    assert_eq!(store.set("a", stamp(4), (), 0), Change::Stale);
    assert_eq!(store.get("a"), None);
    assert_eq!(store.set("a", stamp(6), (), 0), Change::Made);
    assert_eq!(store.remove("a", stamp(5)), Change::Stale);
    assert_eq!(store.get("a"), Some(&()));
}

#[test]
fn limits_hold_and_replacing_needs_no_new_room() {
    let mut store = RetainedStore::new(RetainedLimits {
        topics: 2,
        bytes: 20,
    });
    assert_eq!(store.set("a", stamp(1), (), 9), Change::Made);
    assert_eq!(store.set("b", stamp(1), (), 9), Change::Made);
    assert_eq!(
        store.set("c", stamp(1), (), 0),
        Change::Full(RetainedFull::Topics)
    );
    assert_eq!(
        store.set("b", stamp(2), (), 10),
        Change::Full(RetainedFull::Bytes)
    );
    assert_eq!(store.set("b", stamp(2), (), 9), Change::Made);
    assert_eq!(store.remove("a", stamp(2)), Change::Made);
    assert_eq!((store.len(), store.bytes()), (1, 10));
    assert_eq!(store.set("c", stamp(3), (), 9), Change::Made);
}

#[test]
fn purge_keeps_the_count_right() {
    let mut store = RetainedStore::new(LIMITS);
    store.set("a", stamp(1), true, 1);
    store.set("b", stamp(1), false, 1);
    store.remove("c", stamp(1));
    let gone = store.purge(stamp(2), |expired| *expired);
    assert_eq!(gone, [Box::from("a")]);
    assert_eq!((store.len(), store.bytes()), (1, 2));
    assert_eq!(store.topics.len(), 1);
}

fn level() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(""),
        Just("a"),
        Just("b"),
        Just("$a"),
        Just("a!"),
        Just("a0")
    ]
    .prop_map(str::to_owned)
}

fn topic() -> impl Strategy<Value = String> {
    prop::collection::vec(level(), 1..5)
        .prop_map(|levels| levels.join("/"))
        .prop_filter("not empty", |topic| !topic.is_empty())
}

fn filter() -> impl Strategy<Value = String> {
    let part = prop_oneof![2 => level(), 2 => Just("+".to_owned())];
    (prop::collection::vec(part, 0..4), any::<bool>())
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
    fn scan_agrees_with_the_definition(
        topics in prop::collection::btree_set(topic(), 0..40),
        filter in filter(),
        after in prop::option::of(topic()),
    ) {
        let names: Vec<_> = topics.iter().map(String::as_str).collect();
        let store = store(&names);
        let wanted: Vec<_> = topics
            .iter()
            .filter(|topic| matches(&filter, topic))
            .filter(|topic| after.as_ref().is_none_or(|after| *topic > after))
            .cloned()
            .collect();
        prop_assert_eq!(found(&store, &filter, after.as_deref()), wanted);
    }
}

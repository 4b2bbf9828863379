#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use proptest::prelude::*;

use super::*;
use crate::broker::access::Identity;
use crate::codec::TopicName;

fn with<T>(user: Option<&str>, id: &str, ask: impl FnOnce(Client<'_>) -> T) -> T {
    let identity = Identity {
        user: user.map(Into::into),
        ..Identity::default()
    };
    ask(Client {
        id,
        identity: &identity,
    })
}

fn covers(rule: &str, asked: &str) -> bool {
    let rule: RuleFilter = rule.parse().unwrap();
    with(Some("ann"), "ann-1", |client| rule.covers(client, asked))
}

fn meets(rule: &str, asked: &str) -> bool {
    let rule: RuleFilter = rule.parse().unwrap();
    with(Some("ann"), "ann-1", |client| rule.meets(client, asked))
}

#[test]
fn a_client_gets_its_own_topics_and_not_those_of_another() {
    assert!(covers("home/{user}/#", "home/ann/light"));
    assert!(covers("home/{user}/#", "home/ann"));
    assert!(covers("of-{client_id}-{user}", "of-ann-1-ann"));
    assert!(!covers("home/{user}/#", "home/bob/light"));
    assert!(!covers("home/{user}/#", "home/+/light"));
    assert!(!covers("home/{user}/#", "home/#"));
    assert!(!covers("home/{user}/#", "#"));
}

#[test]
fn a_name_does_not_become_a_wildcard_or_more_levels() {
    let rule: RuleFilter = "home/{user}/x".parse().unwrap();
    for (name, asked) in [
        ("+", "home/+/x"),
        ("a/b", "home/a/b/x"),
        ("#", "home/#"),
        ("", "home//x"),
    ] {
        assert!(!with(Some(name), "id", |it| rule.covers(it, asked)));
        // What forbids is not got around with such a name.
        assert!(with(Some(name), "id", |it| rule.meets(it, asked)));
    }
    assert!(!with(None, "id", |it| rule.covers(it, "home/ann/x")));
}

#[test]
fn topics_of_the_broker_itself_are_not_meant_by_wildcards() {
    assert!(!covers("#", "$SYS/uptime"));
    assert!(!covers("+/uptime", "$SYS/uptime"));
    assert!(covers("$SYS/#", "$SYS/uptime"));
    assert!(!meets("$SYS/#", "#"));
    assert!(!meets("#", "$SYS/+"));
    assert!(!meets("$SYS-{user}", "+"));
}

#[test]
fn mistyped_placeholders_are_refused() {
    assert_eq!(
        "a/{usr}".parse::<RuleFilter>(),
        Err(RuleFilterError::Placeholder)
    );
    assert_eq!(
        "a/{user".parse::<RuleFilter>(),
        Err(RuleFilterError::Placeholder)
    );
    assert_eq!(
        "a/user}".parse::<RuleFilter>(),
        Err(RuleFilterError::Placeholder)
    );
    assert!("a/#/b".parse::<RuleFilter>().is_err());
    assert_eq!(
        "$share/g/a".parse::<RuleFilter>(),
        Err(RuleFilterError::Shared)
    );
}

/// Filters of few levels and few words, so that they often have to do with each other.
fn filters() -> impl Strategy<Value = String> {
    let level = prop_oneof![
        3 => Just("a"),
        2 => Just("b"),
        1 => Just("$s"),
        2 => Just("+"),
        1 => Just(""),
    ];
    let ends = prop_oneof![Just(""), Just("/#")];
    let some = (prop::collection::vec(level, 1..4), ends)
        .prop_map(|(levels, end)| format!("{}{end}", levels.join("/")));
    // The empty topic, which there is not, would be all that `/#` and `+` have in common.
    prop_oneof![8 => some, 1 => Just("#".to_owned())]
        .prop_filter("a filter", |it| !it.is_empty() && !it.starts_with('/'))
}

/// All topics of up to four levels of these words.
fn topics() -> Vec<TopicName> {
    let words = ["a", "b", "$s", ""];
    let mut all: Vec<String> = words.map(str::to_owned).to_vec();
    let mut last = all.clone();
    for _ in 0..3 {
        last = last
            .iter()
            .flat_map(|topic| words.map(|word| format!("{topic}/{word}")))
            .collect();
        all.extend(last.iter().cloned());
    }
    all.retain(|topic| !topic.is_empty());
    all.iter()
        .map(|it| TopicName::try_from(it.as_str()).unwrap())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn covering_and_meeting_are_what_the_topics_say(rule in filters(), asked in filters()) {
        let (one, other) = (
            TopicFilter::try_from(rule.as_str()).unwrap(),
            TopicFilter::try_from(asked.as_str()).unwrap(),
        );
        let topics = topics();
        let of_other = || topics.iter().filter(|topic| other.matches(topic));
        prop_assert_eq!(meets(&rule, &asked), of_other().any(|topic| one.matches(topic)));
        // Two filters can have the same topics among these words and not among all.
        if covers(&rule, &asked) {
            prop_assert!(of_other().all(|topic| one.matches(topic)));
        }
        if rule == asked {
            prop_assert!(covers(&rule, &asked));
        }
    }

    #[test]
    fn a_topic_is_covered_when_it_matches(rule in filters(), at in 0_usize..300) {
        let topics = topics();
        let topic = &topics[at % topics.len()];
        let filter = TopicFilter::try_from(rule.as_str()).unwrap();
        prop_assert_eq!(covers(&rule, topic.as_str()), filter.matches(topic));
        prop_assert_eq!(meets(&rule, topic.as_str()), filter.matches(topic));
    }
}

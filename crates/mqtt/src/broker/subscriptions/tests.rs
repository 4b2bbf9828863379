#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::{
    broker::grant::{Echo, RetainAs},
    codec::{QualityOfService, SubscriptionIdentifier},
};

fn grant(qos: QualityOfService, identifier: u32) -> Grant {
    Grant {
        qos,
        retain: RetainAs::Cleared,
        echo: Echo::Local,
        identifier: SubscriptionIdentifier::new(identifier),
    }
}

fn subscriber(session: u32, grant: Grant) -> Subscriber {
    Subscriber {
        session: SessionKey(session),
        grant,
    }
}

#[test]
fn overlapping_filters_make_one_delivery_with_all_identifiers() {
    let mut table = Subscriptions::default();
    table.add("a/+", subscriber(1, grant(QualityOfService::AtMostOnce, 7)));
    table.add("a/b", subscriber(2, grant(QualityOfService::AtMostOnce, 0)));
    table.add(
        "a/b",
        subscriber(1, grant(QualityOfService::ExactlyOnce, 9)),
    );
    let mut quiet = grant(QualityOfService::AtLeastOnce, 7);
    quiet.echo = Echo::NoLocal;
    quiet.retain = RetainAs::Published;
    table.add("#", subscriber(1, quiet));

    let matched = table.matched(b"a/b");
    assert_eq!(matched.targets.len(), 2);
    let first = &matched.targets[0];
    assert_eq!(first.session, SessionKey(1));
    assert_eq!(first.joined.qos, QualityOfService::ExactlyOnce);
    assert_eq!(first.joined.retain, RetainAs::Published);
    assert_eq!(first.own, OwnMessages::Some);
    let mut identifiers = first
        .joined
        .identifiers
        .as_slice()
        .iter()
        .map(|id| id.get())
        .collect::<Vec<_>>();
    identifiers.sort_unstable();
    assert_eq!(identifiers, [7, 9]);
    assert!(matched.targets[1].joined.identifiers.as_slice().is_empty());

    let own = table.own_joined(b"a/b", SessionKey(1)).unwrap();
    assert_eq!(
        (own.qos, own.retain),
        (QualityOfService::ExactlyOnce, RetainAs::Cleared)
    );
}

#[test]
fn every_change_is_seen_by_the_next_match() {
    let mut table = Subscriptions::default();
    let sessions = |table: &mut Subscriptions| -> Vec<u32> {
        let matched = table.matched(b"a/b");
        matched
            .targets
            .iter()
            .map(|target| target.session.0)
            .collect()
    };
    assert_eq!(sessions(&mut table), Vec::<u32>::new());
    let (exact, at) = table.add("a/b", subscriber(1, grant(QualityOfService::AtMostOnce, 0)));
    assert_eq!(sessions(&mut table), [1]);
    let (wide, wide_at) = table.add("a/#", subscriber(2, grant(QualityOfService::AtMostOnce, 0)));
    assert_eq!(sessions(&mut table), [1, 2]);
    table.replace(exact, at, grant(QualityOfService::ExactlyOnce, 0));
    assert_eq!(
        table.matched(b"a/b").targets[0].joined.qos,
        QualityOfService::ExactlyOnce
    );
    table.remove(wide, wide_at);
    assert_eq!(sessions(&mut table), [1]);
    let (wider, wider_at) = table.add("+/b", subscriber(3, grant(QualityOfService::AtMostOnce, 0)));
    assert_eq!(sessions(&mut table), [1, 3]);
    table.remove(wider, wider_at);
    table.remove(exact, at);
    assert_eq!(sessions(&mut table), Vec::<u32>::new());
    table.apply(ShardId(3), &InterestChange::Wanted("a/b".into()));
    assert!(table.matched(b"a/b").shards.contains(ShardId(3)));
    table.apply(ShardId(3), &InterestChange::Unwanted("a/b".into()));
    assert!(table.matched(b"a/b").shards.is_empty());
    assert!(table.index().is_empty());
}

#[test]
fn other_cores_hear_of_the_first_and_the_last_subscriber_only() {
    let mut table = Subscriptions::new(1);
    let (id, first) = table.add("a", subscriber(1, grant(QualityOfService::AtMostOnce, 0)));
    let (_, _) = table.add("a", subscriber(2, grant(QualityOfService::AtMostOnce, 0)));
    assert_eq!(table.take_changes(), [InterestChange::Wanted("a".into())]);
    let moved = table.remove(id, first).unwrap();
    assert_eq!((moved.session, moved.to), (SessionKey(2), first));
    assert_eq!(table.take_changes(), []);
    assert_eq!(table.remove(id, moved.to), None);
    assert_eq!(table.take_changes(), [InterestChange::Unwanted("a".into())]);
}

#[test]
fn a_group_ends_with_its_last_member() {
    let mut table = Subscriptions::default();
    let member = |session| Member {
        session: SessionKey(session),
        grant: grant(QualityOfService::AtLeastOnce, 0),
    };
    let (group, before) = table.join("a/+", "g", member(1));
    assert_eq!(before, None);
    assert_eq!(table.matched(b"a/b").groups, [group]);
    table.join("a/+", "g", member(2));
    table.leave(group, SessionKey(1));
    assert_eq!(table.matched(b"a/b").groups, [group]);
    table.leave(group, SessionKey(2));
    assert!(table.matched(b"a/b").groups.is_empty());
    assert!(table.index().is_empty());
}

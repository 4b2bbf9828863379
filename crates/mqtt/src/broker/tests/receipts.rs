//! Whoever runs the broker is told of a message when it is where it is to be.

use super::super::durable::Durability;
use super::super::shard::ShardId;
use super::super::{Input, MessageParts, Published, Receipt, StoreState};
use super::cores::Cores;
use super::driver::*;
use crate::codec::{MessageProperties, QualityOfService, TopicName};

pub(super) fn own(number: u64, qos: QualityOfService, retain: bool) -> Input {
    Input::Publish {
        message: MessageParts {
            topic: TopicName::try_from("a").unwrap(),
            properties: MessageProperties::new(),
            payload: "x".into(),
            qos,
            retain,
            expires_at: None,
        },
        receipt: Receipt(number),
    }
}

#[test]
fn a_message_is_published_once_the_store_has_what_is_kept_of_it() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.subscribe(1, &[filter("a", Q1)]);
    driver.holds_commits = true;
    driver.input(own(1, Q1, false));
    driver.input(own(2, Q0, true));
    // Nothing of this one is kept.
    driver.input(own(3, Q0, false));
    assert_eq!(driver.published, [(3, Published::Done)]);
    driver.published.clear();
    driver.commit();
    assert_eq!(
        driver.published,
        [(1, Published::Done), (2, Published::Done)]
    );
}

#[test]
fn what_the_store_cannot_take_is_not_published() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.subscribe(1, &[filter("a", Q1)]);
    driver.holds_commits = true;
    driver.input(own(1, Q1, false));
    let token = driver.commits.back().unwrap().token;
    driver.input(Input::CommitFailed(token));
    assert_eq!(driver.published, [(1, Published::NotStored)]);
    driver.input(Input::Store(StoreState::Full));
    driver.input(own(2, Q1, false));
    driver.input(own(3, Q0, false));
    let later = [(2, Published::NotStored), (3, Published::Done)];
    assert_eq!(driver.published[1..], later);
}

#[test]
fn a_message_is_published_once_other_cores_have_it_and_not_if_one_dies_over_it() {
    let mut cores = Cores::of(3, Durability::Stored);
    cores.core(1).join(1, persistent("sub"));
    cores.settle();
    cores.core(1).subscribe(1, &[filter("a", Q1)]);
    cores.settle();
    cores.core(0).input(own(1, Q1, false));
    assert!(cores.core(0).published.is_empty());
    cores.settle();
    assert_eq!(cores.core(0).published, [(1, Published::Done)]);
    cores.core(0).input(own(2, Q1, false));
    cores.lose_mail(ShardId(1));
    cores.core(1).crash();
    let restarted = Input::NeighbourRestarted(ShardId(1));
    cores.core(0).input(restarted);
    assert_eq!(cores.core(0).published[1..], [(2, Published::Lost)]);
}

//! Retained messages for new subscriptions.

use std::time::Duration;

use super::driver::*;
use super::packets::{Filter, Packet, Publish};
use crate::codec::RetainHandling;

fn with_retained(topics: &[&str]) -> Driver {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("pub"));
    for topic in topics {
        driver.retain(1, topic, "kept");
    }
    driver.join(2, connect_packet("sub"));
    driver
}

fn handled(handling: RetainHandling) -> Filter<'static> {
    Filter {
        retain_handling: handling,
        ..filter("a", Q0)
    }
}

#[test]
fn a_new_subscription_gets_what_matches_and_an_emptied_topic_nothing() {
    let mut driver = with_retained(&["a/1", "a/2", "b"]);
    driver.retain(1, "a/1", "");
    driver.subscribe(2, &[filter("a/+", Q1)]);
    assert_eq!(driver.got(2), ["a/2 kept q0 retain"]);
    assert_eq!(driver.broker.retained_size().0, 2);
}

#[test]
fn retain_handling_says_whether_they_are_sent() {
    let mut driver = with_retained(&["a"]);
    driver.subscribe(2, &[handled(RetainHandling::DoNotSend)]);
    assert!(driver.got(2).is_empty());
    driver.subscribe(2, &[handled(RetainHandling::SendIfNew)]);
    assert!(driver.got(2).is_empty());
    driver.subscribe(2, &[handled(RetainHandling::Send)]);
    assert_eq!(driver.got(2), ["a kept q0 retain"]);
    driver.unsubscribe(2, &["a"]);
    driver.subscribe(2, &[handled(RetainHandling::SendIfNew)]);
    assert_eq!(driver.got(2), ["a kept q0 retain"]);
}

#[test]
fn shared_subscriptions_get_none() {
    let mut driver = with_retained(&["a"]);
    driver.subscribe(2, &[filter("$share/g/a", Q0)]);
    assert!(driver.got(2).is_empty());
}

#[test]
fn more_than_the_queue_holds_arrive_whole_and_in_order() {
    let topics: Vec<String> = (0..500).map(|number| format!("a/{number:03}")).collect();
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut driver = with_retained(&names);
    driver.subscribe_as(2, &[filter("a/#", Q0)], Some(4));
    let expected: Vec<_> = topics
        .iter()
        .map(|topic| format!("{topic} kept q0 retain ids=[4]"))
        .collect();
    assert_eq!(driver.got(2), expected);
}

#[test]
fn an_expired_one_is_neither_sent_nor_kept() {
    let mut driver = with_retained(&[]);
    let packet = Publish {
        retain: true,
        message_expiry: Some(10),
        ..publish_packet("a", "x", Q0, 0)
    };
    driver.packet(1, Packet::Publish(packet));
    driver.pass(Duration::from_secs(4));
    driver.subscribe(2, &[filter("a", Q0)]);
    assert_eq!(driver.got(2), ["a x q0 retain expiry=6"]);
    driver.pass(Duration::from_secs(10));
    driver.subscribe(2, &[filter("a", Q0)]);
    assert!(driver.got(2).is_empty());
    driver.pass(Duration::from_secs(60));
    assert_eq!(driver.broker.retained_size(), (0, 0));
}

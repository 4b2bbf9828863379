#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::rc::Rc;

use super::*;
use crate::{
    broker::{grant::Identifiers, message::Message},
    codec::QualityOfService,
};

const LIMITS: OutboxLimits = OutboxLimits {
    messages: 10,
    bytes: 1_500,
    policy: DropPolicy::Newest,
};

fn delivery(topic: &str, qos: QualityOfService) -> Delivery {
    Delivery {
        message: Rc::new(Message::of_test(topic)),
        identifiers: Identifiers::None,
        position: Position(0),
        group: None,
        qos,
        retain: RetainFlag::Clear,
    }
}

fn id(number: u16) -> PacketIdentifier {
    PacketIdentifier::new(number).unwrap()
}

fn push(outbox: &mut Outbox, topic: &str, qos: QualityOfService) -> Queued {
    let delivery = delivery(topic, qos);
    let queued = match qos {
        QualityOfService::AtMostOnce => outbox.push_instant(delivery, LIMITS),
        _ => outbox.push_waiting(delivery, LIMITS),
    };
    outbox.kept(outbox.next_position());
    queued
}

/// Sends what may be sent with `quota`: topics, `!` before one sent again.
fn send(outbox: &mut Outbox, quota: u16) -> Vec<String> {
    let mut sent = Vec::new();
    while let Some(next) = outbox.next(quota) {
        let topic = |entry: &Inflight| match &entry.stage {
            Stage::Sent(delivery) => delivery.message.topic().to_string(),
            Stage::Released => format!("pubrel {}", entry.packet_id().get()),
        };
        sent.push(match next {
            Next::Again(_) => format!("!{}", topic(outbox.send_again().unwrap())),
            Next::Instant => outbox.pop_instant().unwrap().message.topic().to_string(),
            Next::Waiting => topic(outbox.send_waiting().unwrap()),
        });
    }
    sent
}

#[test]
fn messages_leave_in_order_while_nothing_is_in_the_way() {
    let mut outbox = Outbox::default();
    push(&mut outbox, "a", QualityOfService::AtLeastOnce);
    push(&mut outbox, "b", QualityOfService::AtMostOnce);
    push(&mut outbox, "c", QualityOfService::ExactlyOnce);
    push(&mut outbox, "d", QualityOfService::AtMostOnce);
    assert_eq!(send(&mut outbox, 10), ["a", "b", "c", "d"]);
    assert_eq!(outbox.queued_bytes(), 0);
}

#[test]
fn qos_0_flows_while_the_window_is_full() {
    let mut outbox = Outbox::default();
    push(&mut outbox, "a", QualityOfService::AtLeastOnce);
    push(&mut outbox, "b", QualityOfService::AtLeastOnce);
    push(&mut outbox, "c", QualityOfService::AtMostOnce);
    assert_eq!(send(&mut outbox, 1), ["a", "c"]);
    let place = outbox.find(id(1)).unwrap();
    outbox.complete(place);
    assert_eq!(send(&mut outbox, 1), ["b"]);
}

#[test]
fn a_new_connection_is_sent_what_is_in_flight_again_and_first() {
    let mut outbox = Outbox::default();
    for topic in ["a", "b", "c", "d"] {
        push(&mut outbox, topic, QualityOfService::ExactlyOnce);
    }
    assert_eq!(send(&mut outbox, 3), ["a", "b", "c"]);
    let place = outbox.find(id(2)).unwrap();
    assert!(outbox.release(place).is_some());
    push(&mut outbox, "lost", QualityOfService::AtMostOnce);
    assert_eq!(outbox.disconnect(), 1);
    // Even a smaller window than before is kept.
    assert_eq!(send(&mut outbox, 2), ["!a", "!pubrel 2"]);
    let place = outbox.find(id(2)).unwrap();
    outbox.complete(place);
    assert_eq!(send(&mut outbox, 2), ["!c"]);
    let place = outbox.find(id(1)).unwrap();
    outbox.complete(place);
    assert_eq!(send(&mut outbox, 2), ["d"]);
}

#[test]
fn an_identifier_in_flight_is_not_given_again() {
    let mut outbox = Outbox::default();
    push(&mut outbox, "first", QualityOfService::AtLeastOnce);
    assert_eq!(send(&mut outbox, 10), ["first"]);
    outbox.continue_at(Position(65_533));
    for topic in ["a", "b", "c"] {
        push(&mut outbox, topic, QualityOfService::AtLeastOnce);
    }
    // `c` would have the identifier 1, which is still out.
    assert_eq!(send(&mut outbox, 10), ["a", "b"]);
    assert_eq!(outbox.find(id(65_535)), Some(2));
    outbox.complete(0);
    assert_eq!(send(&mut outbox, 10), ["c"]);
    assert_eq!(outbox.find(id(1)), Some(2));
    assert_eq!(outbox.find(id(2)), None);
}

#[test]
fn a_full_queue_drops_by_its_policy_and_counts_right() {
    let mut outbox = Outbox::default();
    let oldest = OutboxLimits {
        messages: 2,
        policy: DropPolicy::Oldest,
        ..LIMITS
    };
    for topic in ["a", "b"] {
        outbox.push_waiting(delivery(topic, QualityOfService::AtLeastOnce), oldest);
    }
    let new = delivery("c", QualityOfService::AtLeastOnce);
    let Queued::Dropped(Full::Messages, dropped) = outbox.push_waiting(new, oldest) else {
        panic!("the queue was full");
    };
    assert_eq!(dropped.message.topic().as_str(), "a");
    let newest = OutboxLimits {
        messages: 2,
        ..LIMITS
    };
    let new = delivery("d", QualityOfService::AtMostOnce);
    assert!(matches!(
        outbox.push_instant(new, newest),
        Queued::Dropped(..)
    ));
    assert_eq!(send(&mut outbox, 10), ["b", "c"]);
    assert_eq!(outbox.queued_bytes(), 0);
}

#[test]
fn bytes_are_bounded_too() {
    let mut outbox = Outbox::default();
    let topic = "x".repeat(600);
    assert!(matches!(
        push(&mut outbox, &topic, QualityOfService::AtLeastOnce),
        Queued::Done
    ));
    let second = push(&mut outbox, &topic, QualityOfService::AtLeastOnce);
    assert!(matches!(second, Queued::Dropped(Full::Bytes, _)));
}

#[test]
fn unsent_shared_messages_can_be_taken_back() {
    let mut outbox = Outbox::default();
    for (topic, group) in [("a", true), ("b", false), ("c", true)] {
        let mut delivery = delivery(topic, QualityOfService::AtLeastOnce);
        delivery.group = Some(GroupId(u32::from(!group)));
        outbox.push_waiting(delivery, LIMITS);
    }
    assert_eq!(send(&mut outbox, 1), ["a"]);
    let shared = outbox.take_shared(GroupId(0));
    assert_eq!(shared.len(), 1);
    assert_eq!(shared[0].message.topic().as_str(), "c");
    assert_eq!(send(&mut outbox, 10), ["b"]);
    assert!(outbox.take_shared(GroupId(0)).is_empty());
    assert_eq!(outbox.queued_bytes(), 0);
}

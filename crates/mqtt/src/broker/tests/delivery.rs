//! Who gets a message, and how.

use std::time::Duration;

use super::driver::*;
use super::packets::{Connect, Filter, Packet, Publish};

#[test]
fn overlapping_subscriptions_make_one_copy_with_every_identifier() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("sub"));
    driver.subscribe_as(1, &[filter("a/+", Q0)], Some(7));
    driver.subscribe_as(1, &[filter("a/#", Q2)], Some(9));
    driver.subscribe_as(1, &[filter("a/b", Q1)], None);
    driver.join(2, connect_packet("pub"));
    driver.publish(2, "a/b", "x", Q2);
    assert_eq!(driver.got(1), ["a/b x q2 #1 ids=[7, 9]"]);
}

#[test]
fn no_local_keeps_a_client_from_its_own_messages_only() {
    let mut driver = Driver::plain();
    let quiet = Filter {
        no_local: true,
        ..filter("a", Q0)
    };
    driver.join(1, connect_packet("one"));
    driver.join(2, connect_packet("two"));
    driver.subscribe(1, &[quiet]);
    driver.subscribe(2, &[filter("a", Q0)]);
    driver.publish(1, "a", "from one", Q0);
    driver.publish(2, "a", "from two", Q0);
    assert_eq!(driver.got(1), ["a from two q0"]);
    assert_eq!(driver.got(2), ["a from one q0", "a from two q0"]);
    // With another subscription that is not No Local it gets them by that one.
    driver.subscribe_as(1, &[filter("#", Q0)], Some(3));
    driver.publish(1, "a", "again", Q0);
    assert_eq!(driver.got(1), ["a again q0 ids=[3]"]);
}

#[test]
fn retain_is_forwarded_only_as_published_if_asked_for() {
    let mut driver = Driver::plain();
    let as_published = Filter {
        retain_as_published: true,
        ..filter("a", Q0)
    };
    driver.join(1, connect_packet("one"));
    driver.join(2, connect_packet("two"));
    driver.subscribe(1, &[as_published]);
    driver.subscribe(2, &[filter("a", Q0)]);
    driver.retain(1, "a", "x");
    driver.publish(1, "a", "y", Q0);
    assert_eq!(driver.got(1), ["a x q0 retain", "a y q0"]);
    assert_eq!(driver.got(2), ["a x q0", "a y q0"]);
}

#[test]
fn the_window_holds_messages_back_but_not_those_of_qos_0() {
    let mut driver = Driver::plain();
    let narrow = Connect {
        receive_maximum: Some(2),
        ..connect_packet("sub")
    };
    driver.join(1, narrow);
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("a", Q1)]);
    for payload in ["1", "2", "3"] {
        driver.publish(2, "a", payload, Q1);
    }
    driver.publish(2, "a", "0", Q0);
    assert_eq!(driver.got(1), ["a 1 q1 #1", "a 2 q1 #2", "a 0 q0"]);
    driver.ack(1, Packet::PubAck, 1);
    assert_eq!(driver.got(1), ["a 3 q1 #3"]);
}

#[test]
fn a_session_is_sent_in_order_what_it_missed_and_what_it_did_not_acknowledge() {
    let mut driver = Driver::plain();
    driver.join(1, persistent("sub"));
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("a", Q1)]);
    driver.publish(2, "a", "1", Q1);
    driver.publish(2, "a", "2", Q1);
    driver.ack(1, Packet::PubAck, 1);
    driver.got(1);
    driver.lose(1);
    driver.publish(2, "a", "3", Q1);
    driver.publish(2, "a", "lost", Q0);
    let got = driver.connect(1, persistent("sub"));
    assert_eq!(
        got,
        ["connack Success present", "a 2 q1 #2 dup", "a 3 q1 #3"]
    );
}

#[test]
fn a_message_that_waited_too_long_is_not_sent_and_one_that_waited_says_so() {
    let mut driver = Driver::plain();
    driver.join(1, persistent("sub"));
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("a", Q1)]);
    driver.lose(1);
    for (payload, secs) in [("short", 10), ("long", 100)] {
        let packet = Publish {
            message_expiry: Some(secs),
            ..publish_packet("a", payload, Q1, 1)
        };
        driver.packet(2, Packet::Publish(packet));
    }
    driver.pass(Duration::from_secs(30));
    let got = driver.connect(1, persistent("sub"));
    assert_eq!(got, ["connack Success present", "a long q1 #2 expiry=70"]);
    assert_eq!(driver.broker.counters().messages_expired, 1);
}

#[test]
fn a_message_too_large_for_a_client_costs_only_itself() {
    let mut driver = Driver::plain();
    let small = Connect {
        maximum_packet_size: Some(30),
        ..connect_packet("small")
    };
    driver.join(1, small);
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("a", Q1)]);
    driver.subscribe(2, &[filter("a", Q0)]);
    driver.publish(2, "a", &"x".repeat(30), Q1);
    driver.publish(2, "a", "fits", Q1);
    assert_eq!(driver.got(1), ["a fits q1 #2"]);
    let got = driver.got(2);
    assert_eq!(got.iter().filter(|line| line.starts_with("a ")).count(), 2);
    assert_eq!(driver.broker.counters().packets_oversize, 1);
    driver.ack(1, Packet::PubAck, 2);
    driver.publish(2, "a", "next", Q1);
    assert_eq!(driver.got(1), ["a next q1 #3"]);
}

#[test]
fn aliases_are_used_up_to_what_the_client_takes_and_anew_on_each_connection() {
    let mut driver = Driver::plain();
    let with_alias = || Connect {
        topic_alias_maximum: 1,
        ..persistent("sub")
    };
    driver.join(1, with_alias());
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("#", Q0)]);
    for topic in ["a", "a", "b"] {
        driver.publish(2, topic, "x", Q0);
    }
    assert_eq!(driver.got(1), ["a=1 x q0", "=1 x q0", "b x q0"]);
    driver.lose(1);
    driver.join(1, with_alias());
    driver.publish(2, "a", "x", Q0);
    assert_eq!(driver.got(1), ["a=1 x q0"]);
}

#[test]
fn a_publisher_may_use_aliases_it_has_set_and_no_others() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("sub"));
    driver.subscribe(1, &[filter("#", Q0)]);
    driver.join(2, connect_packet("pub"));
    let with = |topic, alias| {
        Packet::Publish(Publish {
            topic_alias: Some(alias),
            ..publish_packet(topic, "x", Q0, 0)
        })
    };
    driver.packet(2, with("a", 3));
    driver.packet(2, with("", 3));
    assert_eq!(driver.got(1), ["a x q0", "a x q0"]);
    driver.packet(2, with("", 4));
    assert_eq!(driver.got(2), ["disconnect ProtocolError", "close"]);
    driver.join(2, connect_packet("pub"));
    driver.packet(2, with("a", 1_000));
    assert_eq!(driver.got(2), ["disconnect TopicAliasInvalid", "close"]);
}

#[test]
fn unsubscribing_stops_new_messages_and_tells_what_there_was_not() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("a"));
    driver.subscribe(1, &[filter("t", Q0), filter("u/+", Q0)]);
    assert_eq!(
        driver.unsubscribe(1, &["t", "x", "u/+"]),
        ["unsuback [Success, NoSubscriptionExisted, Success]"]
    );
    driver.publish(1, "t", "x", Q0);
    driver.publish(1, "u/v", "x", Q0);
    assert!(driver.got(1).is_empty());
    assert_eq!(driver.broker.filter_count(), 0);
}

#[test]
fn subscribing_again_replaces_and_does_not_double() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("a"));
    driver.subscribe_as(1, &[filter("t", Q0)], Some(1));
    driver.subscribe_as(1, &[filter("t", Q1)], Some(2));
    driver.publish(1, "t", "x", Q1);
    assert_eq!(
        driver.got(1),
        ["t x q1 #1 ids=[2]", "puback 3 Success"]
            .map(str::to_owned)
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
    );
    assert_eq!(driver.broker.filter_count(), 1);
}

#[test]
fn many_subscribers_leave_in_any_order() {
    let mut driver = Driver::plain();
    for client in 0..20 {
        driver.join(client, connect_packet(&format!("c{client}")));
        driver.subscribe(client, &[filter("t", Q0)]);
    }
    for client in [3, 19, 0, 7, 12] {
        driver.lose(client);
    }
    driver.publish(5, "t", "x", Q0);
    let got = (0..20)
        .filter(|client| !driver.got(*client).is_empty())
        .count();
    assert_eq!(got, 15);
    for client in 0..20 {
        driver.lose(client);
    }
    assert_eq!(driver.broker.filter_count(), 0);
}

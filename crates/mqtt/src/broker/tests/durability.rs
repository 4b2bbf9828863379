//! What was acknowledged survives, and is not doubled.

use super::super::durable::Durability;
use super::super::{Input, StoreState};
use super::cores::Cores;
use super::driver::*;
use super::packets::{Connect, Packet, Publish};
use crate::codec::ProtocolVersion;

#[test]
fn acknowledgements_wait_for_the_store_and_keep_their_order() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("a", Q1)]);
    driver.holds_commits = true;
    driver.publish(2, "a", "x", Q1);
    driver.publish(2, "nobody", "x", Q1);
    driver.packet(2, Packet::PingReq);
    assert_eq!(driver.got(2), ["pingresp"]);
    driver.commit();
    assert_eq!(
        driver.got(2),
        ["puback 2 Success", "puback 3 NoMatchingSubscribers"]
    );
}

#[test]
fn a_failed_commit_refuses_what_waited_for_it() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.subscribe(1, &[filter("a", Q1)]);
    driver.join(2, persistent("pub"));
    driver.holds_commits = true;
    driver.packet(2, Packet::Publish(publish_packet("a", "x", Q1, 7)));
    driver.packet(2, Packet::Publish(publish_packet("a", "y", Q2, 8)));
    let tokens: Vec<_> = driver.commits.iter().map(|commit| commit.token).collect();
    for token in tokens {
        driver.input(Input::CommitFailed(token));
    }
    assert_eq!(
        driver.got(2),
        ["puback 7 QuotaExceeded", "pubrec 8 QuotaExceeded"]
    );
}

#[test]
fn a_client_of_mqtt_311_takes_no_refusal_for_an_acknowledgement() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.subscribe(1, &[filter("a", Q1)]);
    let old = Connect {
        version: ProtocolVersion::V311,
        ..connect_packet("pub")
    };
    driver.join(2, old);
    driver.holds_commits = true;
    driver.packet(2, Packet::Publish(publish_packet("a", "x", Q1, 7)));
    let token = driver.commits.back().unwrap().token;
    driver.input(Input::CommitFailed(token));
    let got = driver.got(2);
    assert!(
        got.iter().all(|line| !line.starts_with("puback")),
        "{got:?}"
    );
    assert_eq!(got.last().map(String::as_str), Some("close"));
}

#[test]
fn a_crash_loses_no_acknowledged_message_and_no_state() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.subscribe_as(1, &[filter("a/+", Q2)], Some(5));
    driver.join(2, persistent("pub"));
    driver.retain(2, "kept", "r");
    driver.lose(1);
    driver.publish(2, "a/1", "one", Q1);
    driver.publish(2, "a/2", "two", Q2);
    driver.crash();
    assert_eq!(driver.broker.retained_size().0, 1);
    let got = driver.connect(1, persistent("sub"));
    let expected = [
        "connack Success present",
        "a/1 one q1 #1 ids=[5]",
        "a/2 two q2 #2 ids=[5]",
    ];
    assert_eq!(got, expected);
    driver.join(2, persistent("pub"));
    driver.publish(2, "a/3", "three", Q0);
    assert_eq!(driver.got(1), ["a/3 three q0 ids=[5]"]);
}

#[test]
fn a_message_in_flight_over_a_crash_keeps_its_identifier_and_says_dup() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("a", Q2)]);
    driver.publish(2, "a", "one", Q2);
    driver.publish(2, "a", "two", Q2);
    driver.publish(2, "a", "three", Q2);
    driver.ack(1, Packet::PubRec, 2);
    driver.crash();
    let got = driver.connect(1, persistent("sub"));
    let expected = [
        "connack Success present",
        "a one q2 #1 dup",
        "pubrel 2 Success",
        "a three q2 #3 dup",
    ];
    assert_eq!(got, expected);
    for id in [1, 2, 3] {
        driver.ack(1, Packet::PubRec, id);
        driver.ack(1, Packet::PubComp, id);
    }
    driver.crash();
    assert_eq!(
        driver.connect(1, persistent("sub")),
        ["connack Success present"]
    );
    assert!(driver.store.queue.is_empty());
    assert!(driver.store.messages.is_empty());
}

#[test]
fn a_message_of_qos_2_that_comes_again_after_a_crash_is_not_delivered_again() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.subscribe(1, &[filter("a", Q1)]);
    driver.lose(1);
    driver.join(2, persistent("pub"));
    driver.packet(2, Packet::Publish(publish_packet("a", "x", Q2, 7)));
    assert_eq!(driver.got(2), ["pubrec 7 Success"]);
    driver.crash();
    driver.join(2, persistent("pub"));
    let again = Publish {
        dup: true,
        ..publish_packet("a", "x", Q2, 7)
    };
    driver.packet(2, Packet::Publish(again));
    driver.ack(2, Packet::PubRel, 7);
    assert_eq!(driver.got(2), ["pubrec 7 Success", "pubcomp 7 Success"]);
    assert_eq!(driver.connect(1, persistent("sub")).len(), 2);
    driver.crash();
    assert!(driver.store.received.is_empty());
}

#[test]
fn pubrel_waits_until_the_store_knows_of_pubrec() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("a", Q2)]);
    driver.publish(2, "a", "x", Q2);
    driver.got(1);
    driver.holds_commits = true;
    driver.ack(1, Packet::PubRec, 1);
    assert!(driver.got(1).is_empty());
    // Not even a new connection may be told before.
    driver.lose(1);
    assert!(driver.connect(1, persistent("sub")).is_empty());
    driver.commit();
    assert_eq!(
        driver.got(1),
        ["connack Success present", "pubrel 1 Success"]
    );
}

#[test]
fn a_message_of_qos_2_is_sent_once_the_store_has_it() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("a", Q2)]);
    driver.holds_commits = true;
    driver.publish(2, "a", "one", Q1);
    driver.publish(2, "a", "two", Q2);
    driver.publish(2, "a", "three", Q1);
    assert_eq!(driver.got(1), ["a one q1 #1"]);
    driver.commit();
    assert_eq!(driver.got(1), ["a two q2 #2", "a three q1 #3"]);
}

#[test]
fn an_uncommitted_message_that_was_sent_does_not_shadow_the_next() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("a", Q2)]);
    driver.holds_commits = true;
    driver.publish(2, "a", "lost", Q1);
    assert_eq!(driver.got(1), ["a lost q1 #1"]);
    driver.holds_commits = false;
    driver.crash();
    driver.join(1, persistent("sub"));
    driver.join(2, connect_packet("pub"));
    driver.publish(2, "a", "next", Q2);
    let got = driver.got(1);
    assert!(
        got[0].starts_with("a next q2 #") && got[0] != "a next q2 #1",
        "{got:?}"
    );
}

#[test]
fn a_session_that_ends_leaves_nothing_in_the_store() {
    let mut driver = Driver::durable();
    driver.join(1, persistent("sub"));
    driver.join(2, persistent("other"));
    for client in [1, 2] {
        driver.subscribe(client, &[filter("a", Q1), filter("$share/g/b", Q1)]);
        driver.lose(client);
    }
    driver.join(3, connect_packet("pub"));
    driver.publish(3, "a", "x", Q1);
    driver.publish(3, "b", "y", Q1);
    assert_eq!(
        (driver.store.messages.len(), driver.store.queue.len()),
        (2, 3)
    );
    driver.pass(std::time::Duration::from_secs(3_601));
    let store = &driver.store;
    assert!(store.sessions.is_empty() && store.subscriptions.is_empty());
    assert!(
        store.queue.is_empty() && store.messages.is_empty(),
        "{store:?}"
    );
}

/// A subscriber on core 1 whose session stays; publishers on core 0, who store nothing.
fn stored_elsewhere() -> Cores {
    let mut cores = Cores::of(2, Durability::Stored);
    cores.core(1).join(1, persistent("sub"));
    cores.core(0).join(1, connect_packet("pub"));
    cores.settle();
    cores
        .core(1)
        .subscribe(1, &[filter("a", Q2), filter("$share/g/s", Q1)]);
    cores.settle();
    cores.core(1).lose(1);
    cores.settle();
    cores.core(1).holds_commits = true;
    cores
}

#[test]
fn what_only_the_receiving_core_cannot_store_is_refused_and_not_waited_for() {
    let mut cores = stored_elsewhere();
    for qos in [Q1, Q2] {
        cores.core(0).publish(1, "a", "x", qos);
    }
    cores.core(0).publish(1, "s", "x", Q1);
    cores.settle();
    assert!(cores.core(0).got(1).is_empty(), "it is being written");
    let token = cores.core(1).commits.back().unwrap().token;
    cores.core(1).input(Input::CommitFailed(token));
    cores.core(1).input(Input::Store(StoreState::Full));
    cores.settle();
    let got = cores.core(0).got(1);
    assert_eq!(
        got,
        [
            "puback 1 QuotaExceeded",
            "pubrec 2 QuotaExceeded",
            "puback 3 QuotaExceeded"
        ]
    );
    // What comes now is not even sent there.
    let before = cores.core(1).broker.counters().forwards_received;
    cores.core(0).publish(1, "a", "y", Q1);
    cores.core(0).publish(1, "s", "y", Q1);
    cores.core(0).retain(1, "r", "y");
    cores.core(0).publish(1, "nobody", "y", Q1);
    cores.core(0).publish(1, "a", "y", Q0);
    cores.settle();
    let got = cores.core(0).got(1);
    assert_eq!(
        got,
        [
            "puback 4 QuotaExceeded",
            "puback 5 QuotaExceeded",
            "puback 6 NoMatchingSubscribers"
        ]
    );
    let after = cores.core(1).broker.counters().forwards_received;
    assert_eq!(after - before, 1, "that of QoS 0");
    // There is room again.
    cores.core(1).input(Input::Store(StoreState::Open));
    cores.core(1).holds_commits = false;
    cores.core(1).commit();
    cores.settle();
    cores.core(0).publish(1, "a", "z", Q1);
    cores.settle();
    let got = cores.core(0).got(1);
    assert_eq!(got, ["puback 8 Success"]);
}

#[test]
fn who_subscribes_while_another_core_cannot_store_hears_of_it() {
    let mut cores = stored_elsewhere();
    cores.core(0).publish(1, "a", "x", Q1);
    cores.settle();
    let token = cores.core(1).commits.back().unwrap().token;
    cores.core(1).input(Input::CommitFailed(token));
    cores.core(1).input(Input::Store(StoreState::Full));
    cores.settle();
    cores.core(0).got(1);
    cores.core(0).subscribe(1, &[filter("b", Q1)]);
    cores.settle();
    assert_eq!(cores.core(0).got(1), ["suback [GrantedQos1]"]);
}

#[test]
fn messages_on_their_way_when_another_core_is_full_are_refused_too() {
    let mut cores = stored_elsewhere();
    cores.core(1).input(Input::Store(StoreState::Full));
    cores.core(0).publish(1, "a", "x", Q1);
    assert!(cores.core(0).got(1).is_empty());
    cores.settle();
    assert_eq!(cores.core(0).got(1), ["puback 1 QuotaExceeded"]);
}

//! Shared subscriptions: one member gets each message, and none is stranded.

use super::driver::*;
use super::packets::{Connect, Packet};

fn members(count: u32) -> Driver {
    let mut driver = Driver::plain();
    driver.join(9, connect_packet("pub"));
    for member in 1..=count {
        let packet = Connect {
            receive_maximum: Some(1),
            ..persistent("")
        };
        let name = format!("m{member}");
        driver.join(
            member,
            Connect {
                client_id: &name,
                ..packet
            },
        );
        driver.subscribe(member, &[filter("$share/g/a", Q1)]);
    }
    driver
}

fn payloads(driver: &mut Driver, connection: u32) -> Vec<String> {
    let lines = driver.got(connection);
    lines
        .iter()
        .filter(|line| line.starts_with("a "))
        .map(|line| line[2..3].to_owned())
        .collect()
}

#[test]
fn each_message_goes_to_one_member_in_turn() {
    let mut driver = members(3);
    for payload in ["1", "2", "3"] {
        driver.publish(9, "a", payload, Q0);
    }
    let counts: Vec<_> = (1..=3)
        .map(|member| payloads(&mut driver, member).len())
        .collect();
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn unsent_messages_of_a_member_that_goes_offline_go_to_the_others() {
    let mut driver = members(2);
    for payload in ["1", "2", "3", "4"] {
        driver.publish(9, "a", payload, Q1);
    }
    let (first, mut second) = (payloads(&mut driver, 1), payloads(&mut driver, 2));
    assert_eq!((first.len(), second.len()), (1, 1));
    driver.lose(1);
    for _ in 0..3 {
        let id = 1 + second.len() as u16 - 1;
        driver.ack(2, Packet::PubAck, id);
        second.extend(payloads(&mut driver, 2));
    }
    // All but the one that the first was sent and may yet acknowledge.
    let mut all = [first, second].concat();
    all.sort_unstable();
    assert_eq!(all, ["1", "2", "3", "4"]);
    assert_eq!(driver.broker.counters().shared_redelivered, 1);
}

#[test]
fn what_an_ended_session_did_not_acknowledge_goes_to_another_member() {
    let mut driver = members(2);
    driver.publish(9, "a", "1", Q1);
    driver.publish(9, "a", "2", Q1);
    let first = payloads(&mut driver, 1);
    let second = payloads(&mut driver, 2);
    driver.join(3, connect_packet("m1"));
    driver.ack(2, Packet::PubAck, 1);
    assert_eq!(payloads(&mut driver, 2), first);
    assert_ne!(first, second);
}

#[test]
fn with_nobody_there_messages_wait_for_whoever_comes_first() {
    let mut driver = members(2);
    driver.lose(1);
    driver.lose(2);
    for payload in ["1", "2", "3"] {
        driver.publish(9, "a", payload, Q1);
    }
    driver.join(2, persistent("m2"));
    let mut got = payloads(&mut driver, 2);
    for id in 1..=3 {
        driver.ack(2, Packet::PubAck, id);
        got.extend(payloads(&mut driver, 2));
    }
    got.sort_unstable();
    assert_eq!(got, ["1", "2", "3"]);
}

#[test]
fn leaving_the_group_leaves_unsent_messages_to_the_others() {
    let mut driver = members(2);
    for payload in ["1", "2", "3", "4"] {
        driver.publish(9, "a", payload, Q1);
    }
    let mut got = [payloads(&mut driver, 1), payloads(&mut driver, 2)].concat();
    driver.unsubscribe(1, &["$share/g/a"]);
    for id in 1..=3 {
        driver.ack(2, Packet::PubAck, id);
        got.extend(payloads(&mut driver, 2));
    }
    got.sort_unstable();
    assert_eq!(got, ["1", "2", "3", "4"]);
}

#[test]
fn no_local_on_a_shared_subscription_is_a_protocol_error() {
    let mut driver = members(1);
    let quiet = super::packets::Filter {
        no_local: true,
        ..filter("$share/g/b", Q0)
    };
    driver.subscribe(1, &[quiet]);
    assert_eq!(driver.got(1), ["disconnect ProtocolError", "close"]);
}

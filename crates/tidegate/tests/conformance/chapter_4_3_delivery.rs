//! Session state and the delivery protocols of QoS 0, 1 and 2 (sections 4.1 to 4.3).

use std::time::{Duration, Instant};

use crate::client::{Client, unique};
use crate::packet::Publish;
use crate::property::{MESSAGE_EXPIRY, SESSION_EXPIRY};
use crate::request::Connect;
use crate::server::broker;

/// A subscriber whose session outlives it, and a publisher.
fn pair(topic: &str, qos: u8) -> (Client, Client, Connect) {
    let connect = Connect::new(unique()).lasting();
    let mut subscriber = Client::connect(&connect);
    subscriber.subscribe(topic, qos);
    (subscriber, Client::new(), connect.resume())
}

fn wait(duration: Duration) {
    // Time itself is the condition here.
    let begun = Instant::now();
    while begun.elapsed() < duration {
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn mqtt_4_1_0_1_the_session_stays_while_the_connection_is_open() {
    // Even one that is not to outlive it.
    let topic = unique();
    let mut client = Client::connect(&Connect::new(unique()).with(SESSION_EXPIRY, 0));
    client.subscribe(&topic, 1);
    wait(Duration::from_millis(1_200));
    client.publish_to_itself(&topic);
}

#[test]
fn mqtt_4_1_0_2_the_session_is_discarded_when_its_interval_has_passed() {
    let (brief, none) = (unique(), unique());
    Client::connect(&Connect::new(&brief).with(SESSION_EXPIRY, 1)).disconnect();
    Client::connect(&Connect::new(&none)).disconnect();
    let lasting = Connect::new(unique()).lasting();
    Client::connect(&lasting).disconnect();
    let present = |connect: Connect| Client::welcome(&connect.resume()).1.session_present;
    assert!(!present(Connect::new(none)));
    wait(Duration::from_millis(2_100));
    assert!(!present(Connect::new(brief)));
    assert!(present(lasting));
}

#[test]
fn mqtt_4_2_1_tcp_carries_the_protocol_however_it_is_cut() {
    let connect = Connect::new(unique()).bytes();
    let mut client = Client::open();
    for byte in connect {
        client.send([byte]);
    }
    assert_eq!(client.connect_ack().reason, 0);
    let topic = unique();
    client.subscribe(&topic, 0);
    let many: Vec<u8> = (0..100_u8)
        .flat_map(|number| Publish::new(&topic, [number]).bytes(client.version))
        .collect();
    client.send(many);
    for number in 0..100 {
        assert_eq!(client.published().payload, [number]);
    }
}

#[test]
fn mqtt_4_3_1_1_qos_0_is_sent_without_dup() {
    let topic = unique();
    let (mut subscriber, mut publisher, _) = pair(&topic, 0);
    publisher.publish(Publish::new(&topic, "x"));
    let publish = subscriber.published();
    assert_eq!((publish.qos, publish.dup), (0, false));
}

#[test]
fn mqtt_4_3_2_1_each_new_qos_1_message_gets_an_unused_identifier() {
    let topic = unique();
    let (mut subscriber, mut publisher, _) = pair(&topic, 1);
    let mut ids = Vec::new();
    for _ in 0..20 {
        publisher.publish(Publish::new(&topic, "x"));
        ids.push(subscriber.published().id);
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

#[test]
fn mqtt_4_3_2_2_qos_1_is_sent_first_without_dup() {
    let topic = unique();
    let (mut subscriber, mut publisher, _) = pair(&topic, 1);
    publisher.publish(Publish::new(&topic, "x"));
    let publish = subscriber.published();
    assert_eq!((publish.qos, publish.dup), (1, false));
    assert!(publish.id > 0);
}

#[test]
fn mqtt_4_3_2_3_qos_1_is_unacknowledged_until_puback() {
    let topic = unique();
    let (mut subscriber, mut publisher, connect) = pair(&topic, 1);
    publisher.publish(Publish::new(&topic, "x"));
    let first = subscriber.published();
    subscriber.vanish();
    let mut subscriber = Client::connect(&connect);
    let again = subscriber.published();
    assert_eq!((again.id, again.payload()), (first.id, "x"));
    subscriber.answer(0x40, again.id);
    subscriber.ping();
    subscriber.vanish();
    Client::connect(&connect).ping();
}

#[test]
fn mqtt_4_3_2_4_qos_1_is_answered_with_puback_and_delivered() {
    let topic = unique();
    let (mut subscriber, mut publisher, _) = pair(&topic, 0);
    publisher.put(&Publish::new(&topic, "x").qos(1, 321));
    assert_eq!(publisher.publish_ack().id, 321);
    assert_eq!(subscriber.published().payload(), "x");
}

#[test]
fn mqtt_4_3_2_5_after_puback_the_same_identifier_is_a_new_message() {
    let topic = unique();
    let (mut subscriber, mut publisher, _) = pair(&topic, 0);
    let first = Publish::new(&topic, "x").qos(1, 5);
    for publish in [first.clone(), first.again()] {
        publisher.put(&publish);
        assert_eq!(publisher.publish_ack().id, 5);
        assert_eq!(subscriber.published().payload(), "x");
    }
}

#[test]
fn mqtt_4_3_3_1_each_new_qos_2_message_gets_an_unused_identifier() {
    let topic = unique();
    let (mut subscriber, mut publisher, _) = pair(&topic, 2);
    let mut ids = Vec::new();
    for round in 0..20 {
        publisher.publish_twice_acked(Publish::new(&topic, "x"));
        let id = subscriber.published().id;
        ids.push(id);
        // In use to PUBCOMP, not only to PUBREC.
        if round % 2 == 0 {
            subscriber.answer(0x50, id);
            assert_eq!(subscriber.publish_release().id, id);
        }
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 20);
}

#[test]
fn mqtt_4_3_3_2_qos_2_is_sent_first_without_dup() {
    let topic = unique();
    let (mut subscriber, mut publisher, _) = pair(&topic, 2);
    publisher.publish_twice_acked(Publish::new(&topic, "x"));
    let publish = subscriber.published();
    assert_eq!((publish.qos, publish.dup), (2, false));
    assert!(publish.id > 0);
}

#[test]
fn mqtt_4_3_3_3_qos_2_is_unacknowledged_until_pubrec() {
    let topic = unique();
    let (mut subscriber, mut publisher, connect) = pair(&topic, 2);
    publisher.publish_twice_acked(Publish::new(&topic, "x"));
    let first = subscriber.published();
    subscriber.vanish();
    let again = Client::connect(&connect).published();
    assert_eq!((again.id, again.qos, again.dup), (first.id, 2, true));
}

#[test]
fn mqtt_4_3_3_4_pubrec_is_answered_with_pubrel() {
    let topic = unique();
    let (mut subscriber, mut publisher, _) = pair(&topic, 2);
    publisher.publish_twice_acked(Publish::new(&topic, "x"));
    let publish = subscriber.published();
    // 0x10 is below 0x80 as well.
    subscriber.answer_with(0x50, publish.id, 0x10);
    let release = subscriber.publish_release();
    assert_eq!((release.id, release.reason), (publish.id, 0));
}

#[test]
fn mqtt_4_3_3_5_pubrel_is_unacknowledged_until_pubcomp() {
    let topic = unique();
    let (mut subscriber, mut publisher, connect) = pair(&topic, 2);
    publisher.publish_twice_acked(Publish::new(&topic, "x"));
    let id = subscriber.published().id;
    subscriber.answer(0x50, id);
    assert_eq!(subscriber.publish_release().id, id);
    subscriber.vanish();
    let mut subscriber = Client::connect(&connect);
    assert_eq!(subscriber.publish_release().id, id);
    subscriber.answer(0x70, id);
    subscriber.ping();
    subscriber.vanish();
    Client::connect(&connect).ping();
}

#[test]
fn mqtt_4_3_3_6_no_publish_again_once_pubrel_was_sent() {
    let topic = unique();
    let (mut subscriber, mut publisher, connect) = pair(&topic, 2);
    publisher.publish_twice_acked(Publish::new(&topic, "x"));
    let id = subscriber.published().id;
    subscriber.answer(0x50, id);
    assert_eq!(subscriber.publish_release().id, id);
    subscriber.vanish();
    let mut subscriber = Client::connect(&connect);
    assert_eq!(subscriber.publish_release().id, id);
    subscriber.ping();
}

#[test]
fn mqtt_4_3_3_7_a_message_that_was_sent_does_not_expire() {
    let topic = unique();
    let (mut subscriber, mut publisher, connect) = pair(&topic, 2);
    publisher.publish_twice_acked(Publish::new(&topic, "x").with(MESSAGE_EXPIRY, 1));
    let first = subscriber.published();
    subscriber.vanish();
    wait(Duration::from_millis(2_100));
    let mut subscriber = Client::connect(&connect);
    let again = subscriber.published();
    assert_eq!((again.id, again.payload()), (first.id, "x"));
    subscriber.answer(0x50, again.id);
    assert_eq!(subscriber.publish_release().id, again.id);
}

#[test]
fn mqtt_4_3_3_8_qos_2_is_answered_with_pubrec_and_delivered() {
    let topic = unique();
    let (mut subscriber, mut publisher, _) = pair(&topic, 0);
    publisher.put(&Publish::new(&topic, "x").qos(2, 321));
    assert_eq!(publisher.publish_received().id, 321);
    publisher.answer(0x62, 321);
    assert_eq!(publisher.publish_complete().id, 321);
    assert_eq!(subscriber.published().payload(), "x");
}

#[test]
fn mqtt_4_3_3_9_after_a_pubrec_with_an_error_the_same_identifier_is_a_new_message() {
    let topic = unique();
    let tight = || Client::welcome_at(broker().tight, &Connect::new(unique())).0;
    let mut subscriber = tight();
    subscriber.subscribe(&topic, 0);
    let mut publisher = tight();
    // More than that broker retains.
    let too_much = Publish::new(&topic, [b'x'; 100]).retained();
    publisher.put(&too_much.qos(2, 5));
    assert_eq!(publisher.publish_received().reason, 0x97);
    publisher.put(&Publish::new(&topic, "fits").qos(2, 5));
    let received = publisher.publish_received();
    assert_eq!((received.id, received.reason), (5, 0));
    assert_eq!(subscriber.published().payload(), "fits");
    publisher.answer(0x62, 5);
    assert_eq!(publisher.publish_complete().reason, 0);
}

#[test]
fn mqtt_4_3_3_10_until_pubrel_a_repeated_publish_is_acknowledged_and_not_delivered() {
    let topic = unique();
    let (mut subscriber, mut publisher, _) = pair(&topic, 2);
    let publish = Publish::new(&topic, "once").qos(2, 9);
    for repeated in [publish.clone(), publish.clone().again(), publish.again()] {
        publisher.put(&repeated);
        assert_eq!(publisher.publish_received().id, 9);
    }
    publisher.answer(0x62, 9);
    assert_eq!(publisher.publish_complete().id, 9);
    publisher.publish_twice_acked(Publish::new(&topic, "marker"));
    assert_eq!(subscriber.published().payload(), "once");
    assert_eq!(subscriber.published().payload(), "marker");
}

#[test]
fn mqtt_4_3_3_11_pubrel_is_answered_with_pubcomp() {
    let mut publisher = Client::new();
    publisher.put(&Publish::new(unique(), "").qos(2, 77));
    assert_eq!(publisher.publish_received().id, 77);
    publisher.answer(0x62, 77);
    let complete = publisher.publish_complete();
    assert_eq!((complete.id, complete.reason), (77, 0));
}

#[test]
fn mqtt_4_3_3_12_after_pubcomp_the_same_identifier_is_a_new_message() {
    let topic = unique();
    let (mut subscriber, mut publisher, _) = pair(&topic, 2);
    let first = Publish::new(&topic, "x").qos(2, 5);
    for publish in [first.clone(), first.again()] {
        publisher.put(&publish);
        assert_eq!(publisher.publish_received().id, 5);
        publisher.answer(0x62, 5);
        assert_eq!(publisher.publish_complete().id, 5);
        assert_eq!(subscriber.published().payload(), "x");
    }
}

#[test]
fn mqtt_4_3_3_13_the_exchange_goes_on_when_the_message_has_expired() {
    let topic = unique();
    let mut publisher = Client::connect(&Connect::new(unique()).lasting());
    publisher.put(&Publish::new(&topic, "").qos(2, 6).with(MESSAGE_EXPIRY, 1));
    assert_eq!(publisher.publish_received().id, 6);
    wait(Duration::from_millis(1_500));
    publisher.answer(0x62, 6);
    let complete = publisher.publish_complete();
    assert_eq!((complete.id, complete.reason), (6, 0));
}

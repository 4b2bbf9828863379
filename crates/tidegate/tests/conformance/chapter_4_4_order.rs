//! Sending again, taking over, order, and the send quota (sections 4.4 to 4.6 and 4.9).

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::property::RECEIVE_MAXIMUM;
use crate::request::Connect;

/// A subscriber at QoS 2 whose session outlives it.
fn subscriber(topic: &str) -> (Client, Connect) {
    let connect = Connect::new(unique()).lasting();
    let mut client = Client::connect(&connect);
    client.subscribe(topic, 2);
    (client, connect.resume())
}

#[test]
fn mqtt_4_4_0_1_what_is_unacknowledged_is_sent_again_on_reconnecting_and_only_then() {
    let topic = unique();
    let (mut client, connect) = subscriber(&topic);
    let mut publisher = Client::new();
    publisher.publish(Publish::new(&topic, "1"));
    publisher.publish_twice_acked(Publish::new(&topic, "2"));
    publisher.publish_twice_acked(Publish::new(&topic, "3"));
    let sent = [client.published(), client.published(), client.published()];
    client.answer(0x50, sent[1].id);
    assert_eq!(client.publish_release().id, sent[1].id);
    // Not while the connection lasts.
    client.ping();
    client.vanish();
    let mut client = Client::connect(&connect);
    let again = [client.next(), client.next(), client.next()];
    let [
        Packet::Publish(first),
        Packet::PublishRelease(second),
        Packet::Publish(third),
    ] = again
    else {
        panic!("{again:?}");
    };
    assert_eq!((first.id, first.payload()), (sent[0].id, "1"));
    assert_eq!(second.id, sent[1].id);
    assert_eq!((third.id, third.payload()), (sent[2].id, "3"));
    client.ping();
}

#[test]
fn mqtt_4_4_0_2_a_message_refused_by_the_client_is_not_sent_again() {
    let topic = unique();
    let (mut client, connect) = subscriber(&topic);
    let mut publisher = Client::new();
    publisher.publish(Publish::new(&topic, "1"));
    publisher.publish_twice_acked(Publish::new(&topic, "2"));
    publisher.publish(Publish::new(&topic, "3"));
    let sent = [client.published(), client.published(), client.published()];
    client.answer_with(0x40, sent[0].id, 0x83);
    client.answer_with(0x50, sent[1].id, 0x97);
    // No PUBREL for it either.
    client.ping();
    client.vanish();
    let mut client = Client::connect(&connect);
    assert_eq!(client.published().id, sent[2].id);
    client.ping();
}

#[test]
fn mqtt_4_5_0_1_a_message_goes_to_every_session_with_a_matching_subscription() {
    let prefix = unique();
    let topic = format!("{prefix}/topic");
    let (mut here, _) = subscriber(&topic);
    let (mut matching, _) = subscriber(&format!("{prefix}/+"));
    let (away, connect) = subscriber(&topic);
    away.disconnect();
    let (mut other, _) = subscriber(&format!("{prefix}/other"));
    Client::new().publish(Publish::new(&topic, "x"));
    for client in [&mut here, &mut matching, &mut Client::connect(&connect)] {
        assert_eq!(client.published().payload(), "x");
    }
    other.publish_to_itself(&format!("{prefix}/other"));
}

/// Publishes 200 messages without waiting for any answer, and those that arrive.
fn in_order(subscriber: &mut Client, topic: &str, qos: u8) -> Vec<u16> {
    let mut publisher = Client::new();
    let numbers = 1..=200_u16;
    for number in numbers.clone() {
        let publish = Publish::new(topic, number.to_string());
        publisher.put(&publish.qos(qos, if qos > 0 { number } else { 0 }));
    }
    let receive = |_| loop {
        match subscriber.next() {
            Packet::Publish(publish) => {
                assert_eq!(publish.qos, qos);
                match qos {
                    1 => subscriber.answer(0x40, publish.id),
                    2 => subscriber.answer(0x50, publish.id),
                    _ => {}
                }
                return publish.payload().parse().unwrap();
            }
            Packet::PublishRelease(release) => subscriber.answer(0x70, release.id),
            other => panic!("{other:?}"),
        }
    };
    numbers.map(receive).collect()
}

#[test]
fn mqtt_4_6_0_5_messages_of_a_client_keep_their_order() {
    for qos in 0..3 {
        let topic = unique();
        // Subscribers at whichever worker: the order holds across them as well.
        for _ in 0..3 {
            let (mut client, _) = subscriber(&topic);
            let got = in_order(&mut client, &topic, qos);
            assert_eq!(got, (1..=200).collect::<Vec<_>>());
        }
    }
}

#[test]
fn mqtt_4_6_0_6_every_topic_is_ordered_through_wildcards_and_absence_too() {
    let prefix = unique();
    let (client, connect) = subscriber(&format!("{prefix}/#"));
    client.disconnect();
    let mut publisher = Client::new();
    for number in 0..50 {
        publisher.publish(Publish::new(format!("{prefix}/topic"), number.to_string()));
    }
    let mut client = Client::connect(&connect);
    for number in 0..50 {
        assert_eq!(client.published().payload(), number.to_string());
    }
    // What is sent again is in its old order too.
    client.vanish();
    let mut client = Client::connect(&connect);
    for number in 0..50 {
        assert_eq!(client.published().payload(), number.to_string());
    }
}

/// A client that takes so many messages at a time, and got that many of five.
fn full(receive_maximum: u32) -> (Client, Vec<Publish>) {
    let topic = unique();
    let connect = Connect::new(unique()).with(RECEIVE_MAXIMUM, receive_maximum);
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 1);
    let mut publisher = Client::new();
    for number in 0..5 {
        publisher.publish(Publish::new(&topic, number.to_string()));
    }
    let got = (0..receive_maximum).map(|_| client.published()).collect();
    (client, got)
}

#[test]
fn mqtt_4_9_0_1_the_first_messages_are_as_many_as_the_receive_maximum_at_most() {
    for receive_maximum in 1..=4 {
        let (mut client, got) = full(receive_maximum);
        assert!(!got.is_empty());
        client.ping();
    }
}

#[test]
fn mqtt_4_9_0_2_without_quota_no_message_is_sent_until_one_is_acknowledged() {
    let (mut client, got) = full(1);
    let mut last = got[0].id;
    for number in 1..5 {
        client.ping();
        client.answer(0x40, last);
        let publish = client.published();
        assert_eq!(publish.payload(), number.to_string());
        last = publish.id;
    }
}

#[test]
fn mqtt_4_9_0_3_without_quota_other_packets_are_still_processed() {
    let (mut client, _) = full(2);
    let topic = unique();
    client.subscribe(&topic, 0);
    // QoS 0 needs no quota.
    client.publish_to_itself(&topic);
    assert_eq!(client.publish(Publish::new(unique(), "")) & 0x80, 0);
    client.publish_twice_acked(Publish::new(unique(), ""));
    assert_eq!(client.unsubscribe(&topic), [0]);
    client.ping();
}

//! SUBSCRIBE and SUBACK (sections 3.8 and 3.9).

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::property::{REASON_STRING, USER_PROPERTY};
use crate::request::{Connect, Subscribe};
use crate::server::broker;
use crate::wire::Wire;

const NO_LOCAL: u8 = 0x04;
const RETAIN_NEVER: u8 = 0x20;

/// SUBSCRIBE for one filter, good but for what a test does to it.
fn subscribe_body(filter: impl AsRef<[u8]>, options: u8) -> Wire {
    Wire::new().two(1).byte(0).string(filter).byte(options)
}

#[test]
fn mqtt_3_8_1_1_subscribe_with_other_reserved_bits_is_malformed() {
    let mut good = Client::new();
    good.send(subscribe_body("a", 0).frame(0x82));
    assert_eq!(good.subscribe_ack().reasons, [0]);
    for first in [0x80, 0x81, 0x83, 0x86, 0x8a] {
        let mut client = Client::new();
        client.send(subscribe_body("a", 0).frame(first));
        assert_eq!(client.disconnected(), 0x81);
    }
}

#[test]
fn mqtt_3_8_3_1_a_filter_that_is_not_utf_8_is_refused() {
    let topic = format!("{}/grüße", unique());
    Client::subscribed(&topic, 0).publish_to_itself(&topic);
    let mut client = Client::new();
    client.send(subscribe_body(b"a\xc3", 0).frame(0x82));
    assert_eq!(client.disconnected(), 0x81);
}

#[test]
fn mqtt_3_8_3_2_a_subscribe_without_filters_is_a_protocol_error() {
    let mut client = Client::new();
    client.ping();
    client.send(Wire::new().two(1).byte(0).frame(0x82));
    assert!(matches!(client.disconnected(), 0x81 | 0x82));
}

#[test]
fn mqtt_3_8_3_3_no_local_keeps_ones_own_messages_away() {
    let topic = unique();
    let mut client = Client::subscribed(&topic, NO_LOCAL | 1);
    client.publish(Publish::new(&topic, "own"));
    Client::new().publish(Publish::new(&topic, "another's"));
    assert_eq!(client.published().payload(), "another's");
    // Not so without the option.
    client.subscribe(&topic, 1);
    client.publish_to_itself(&topic);
}

#[test]
fn mqtt_3_8_3_4_no_local_on_a_shared_subscription_is_a_protocol_error() {
    let mut client = Client::new();
    client.subscribe("$share/group/a", 0);
    client.send(
        Subscribe::new(2)
            .to("$share/group/b", NO_LOCAL)
            .bytes(client.version),
    );
    assert_eq!(client.disconnected(), 0x82);
}

#[test]
fn mqtt_3_8_3_5_reserved_option_bits_are_malformed() {
    for options in [0x40, 0x80, 0xc0] {
        let mut client = Client::subscribed("a", 0);
        client.send(subscribe_body("b", options).frame(0x82));
        assert_eq!(client.disconnected(), 0x81);
    }
    // As are the values that mean nothing: QoS 3 and Retain Handling 3.
    for options in [0x03, 0x30] {
        let mut client = Client::new();
        client.send(subscribe_body("b", options).frame(0x82));
        assert!(matches!(client.disconnected(), 0x81 | 0x82));
    }
}

#[test]
fn mqtt_3_8_4_1_subscribe_is_answered_with_suback() {
    let mut client = Client::new();
    client.send(Subscribe::new(1).to("a", 0).bytes(client.version));
    assert!(matches!(client.next(), Packet::SubscribeAck(_)));
}

#[test]
fn mqtt_3_8_4_2_suback_has_the_identifier_of_subscribe() {
    let mut client = Client::new();
    for id in [1, 40_000, u16::MAX, 2] {
        assert_eq!(client.request(&Subscribe::new(id).to("a", 0)).id, id);
    }
}

#[test]
fn mqtt_3_8_4_3_the_same_filter_again_replaces_the_subscription() {
    let topic = unique();
    let mut client = Client::subscribed(&topic, 2);
    client.subscribe(&topic, 0);
    let mut publisher = Client::new();
    publisher.publish(Publish::new(&topic, "once"));
    assert_eq!(client.published().qos, 0);
    publisher.publish(Publish::new(&topic, "twice"));
    assert_eq!(client.published().payload(), "twice");
    // One UNSUBSCRIBE is enough for it.
    assert_eq!(client.unsubscribe(&topic), [0]);
    assert_eq!(client.unsubscribe(&topic), [0x11]);
}

#[test]
fn mqtt_3_8_4_4_replacing_a_subscription_loses_nothing_and_sends_the_retained() {
    let topic = unique();
    let mut publisher = Client::new();
    publisher.publish(Publish::new(&topic, "retained").retained());
    let mut client = Client::subscribed(&topic, RETAIN_NEVER | 1);
    let rounds = 30;
    let mut passing = Vec::new();
    for round in 1..=rounds {
        publisher.put(&Publish::new(&topic, round.to_string()).qos(1, round));
        client.subscribe(&topic, 1);
        // Once for each time it subscribes.
        while let publish = client.published()
            && !publish.retain
        {
            client.answer(0x40, publish.id);
            passing.push(publish.payload().parse::<u16>().unwrap());
        }
    }
    while passing.len() < usize::from(rounds) {
        passing.push(client.published().payload().parse().unwrap());
    }
    assert_eq!(passing, (1..=rounds).collect::<Vec<_>>());
    client.ping();
}

#[test]
fn mqtt_3_8_4_5_several_filters_are_as_several_subscribes() {
    let topics = [unique(), unique(), unique()];
    let mut publisher = Client::new();
    for topic in &topics {
        publisher.publish(Publish::new(topic, "kept").retained());
    }
    let mut client = Client::new();
    // The last of them replaces the first.
    let all = Subscribe::new(9)
        .to(&topics[0], 0)
        .to(&topics[1], 1)
        .to(&topics[2], 2);
    let ack = client.request(&all.to(&topics[0], RETAIN_NEVER | 1));
    assert_eq!((ack.id, ack.reasons.as_slice()), (9, &[0, 1, 2, 1][..]));
    let mut kept: Vec<String> = (0..3)
        .map(|_| client.published().topic().to_owned())
        .collect();
    kept.sort();
    let mut expected = topics.to_vec();
    expected.sort();
    assert_eq!(kept, expected);
    publisher.publish_twice_acked(Publish::new(&topics[0], "x"));
    assert_eq!(client.published().qos, 1);
}

#[test]
fn mqtt_3_8_4_6_suback_has_a_reason_for_each_filter() {
    let mut client = Client::new();
    for count in [1, 2, 40] {
        let filters = (0..count).fold(Subscribe::new(1), |subscribe, number| {
            subscribe.to(format!("filter/{number}"), 1)
        });
        assert_eq!(client.request(&filters).reasons.len(), count);
    }
}

#[test]
fn mqtt_3_8_4_7_the_reason_tells_the_granted_qos_or_the_failure() {
    let mut client = Client::welcome_at(broker().tight, &Connect::new(unique())).0;
    let [first, second, third] = [unique(), unique(), unique()];
    let filters = Subscribe::new(1).to(&first, 2).to(&second, 1);
    let filters = filters.to(&third, 0);
    // That server allows two.
    assert_eq!(client.request(&filters).reasons, [2, 1, 0x97]);
    client.put(&Publish::new(&third, "not subscribed"));
    client.publish_to_itself(&first);
}

#[test]
fn mqtt_3_8_4_8_a_message_is_sent_at_the_lower_qos() {
    for granted in 0..3 {
        let topic = unique();
        let mut client = Client::subscribed(&topic, granted);
        let mut publisher = Client::new();
        for published in 0..3 {
            let id = u16::from(published) + 1;
            publisher.put(&Publish::new(&topic, "x").qos(published, id));
            let got = client.published();
            assert_eq!(got.qos, granted.min(published));
        }
    }
}

/// SUBACK comes, within the client's bound and without this property.
fn fits_without(property: u8) {
    let (mut client, most) = Client::terse_at(broker().tight);
    for (filter, reason) in [("a", 0), ("b", 0), ("c", 0x97)] {
        let ack = client.request(&Subscribe::new(1).to(filter, 0));
        assert_eq!(ack.reasons, [reason]);
        assert!(client.packet_bytes <= most && !ack.properties.has(property));
    }
}

#[test]
fn mqtt_3_9_2_1_no_reason_string_that_makes_suback_too_large() {
    fits_without(REASON_STRING);
}

#[test]
fn mqtt_3_9_2_2_no_user_property_that_makes_suback_too_large() {
    fits_without(USER_PROPERTY);
}

#[test]
fn mqtt_3_9_3_1_the_reasons_are_in_the_order_of_the_filters() {
    let mut client = Client::new();
    let filters = Subscribe::new(1)
        .to("a", 2)
        .to("b", 0)
        .to("c", 1)
        .to("d", 2);
    assert_eq!(client.request(&filters).reasons, [2, 0, 1, 2]);
}

#[test]
fn mqtt_3_9_3_2_the_reasons_are_those_of_suback() {
    let known = [
        0x00, 0x01, 0x02, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2,
    ];
    let mut client = Client::welcome_at(broker().tight, &Connect::new(unique())).0;
    let filters = Subscribe::new(1).to("a", 2).to("$SYS/#", 1).to("c", 0);
    let reasons = client.request(&filters).reasons;
    assert_eq!(reasons.len(), 3);
    assert!(
        reasons.iter().all(|reason| known.contains(reason)),
        "{reasons:?}"
    );
}

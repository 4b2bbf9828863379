//! PUBLISH: topic, properties and what a server does with them (sections 3.3.2 to 3.3.4).

use std::time::{Duration, Instant};

use crate::client::{Client, unique};
use crate::packet::Publish;
use crate::property::{
    CONTENT_TYPE, CORRELATION_DATA, MESSAGE_EXPIRY, PAYLOAD_FORMAT, RECEIVE_MAXIMUM,
    RESPONSE_TOPIC, SUBSCRIPTION_IDENTIFIER, TOPIC_ALIAS, TOPIC_ALIAS_MAXIMUM, USER_PROPERTY,
};
use crate::request::{Connect, Subscribe};
use crate::server::broker;
use crate::wire::Wire;

const NOT_UTF_8: &[u8] = b"x\xff";

/// What a subscriber gets of this message.
fn forwarded(publish: impl Fn(Publish) -> Publish) -> Publish {
    let topic = unique();
    let mut client = Client::subscribed(&topic, 2);
    Client::new().publish(publish(Publish::new(&topic, "payload")));
    client.published()
}

/// The reason for which the connection ends on this PUBLISH; without the last step of
/// its making it is served.
fn refused(good: &Publish, bad: &Publish) -> u8 {
    let mut client = Client::new();
    client.put(good);
    client.ping();
    client.put(bad);
    client.disconnected()
}

#[test]
fn mqtt_3_3_2_1_the_topic_comes_first_and_is_utf_8() {
    let topic = format!("{}/grüße/€/😀", unique());
    let mut client = Client::subscribed(&topic, 0);
    client.publish_to_itself(&topic);
    client.put(&Publish::new(NOT_UTF_8, ""));
    assert_eq!(client.disconnected(), 0x81);
    // A PUBLISH of one byte has no place for it.
    let mut client = Client::new();
    client.send(Wire::new().byte(0).frame(0x30));
    assert_eq!(client.disconnected(), 0x81);
}

#[test]
fn mqtt_3_3_2_2_wildcards_in_a_topic_are_refused() {
    let good = Publish::new("a/b", "");
    for topic in ["a/#", "+/b", "a+", "#"] {
        assert!(matches!(
            refused(&good, &Publish::new(topic, "")),
            0x81 | 0x82 | 0x90
        ));
    }
}

#[test]
fn mqtt_3_3_2_3_the_topic_of_what_is_sent_matches_the_filter() {
    let prefix = unique();
    let mut client = Client::subscribed(&format!("{prefix}/+/c"), 0);
    let mut publisher = Client::new();
    for topic in ["a/b", "a/c/d", "a", "a/c", "/c"] {
        publisher.publish(Publish::new(format!("{prefix}/{topic}"), topic));
    }
    for topic in ["a/c", "/c"] {
        let publish = client.published();
        assert_eq!(publish.topic(), format!("{prefix}/{topic}"));
        assert_eq!(publish.payload(), topic);
    }
    client.ping();
}

#[test]
fn mqtt_3_3_2_4_the_payload_format_is_passed_on() {
    for format in [0, 1] {
        let publish = forwarded(|publish| publish.with(PAYLOAD_FORMAT, format));
        assert_eq!(publish.properties.number(PAYLOAD_FORMAT), Some(format));
    }
    assert!(!forwarded(|publish| publish).properties.has(PAYLOAD_FORMAT));
}

#[test]
fn mqtt_3_3_2_5_an_expired_message_is_not_delivered() {
    let (id, topic) = (unique(), unique());
    let connect = Connect::new(&id).lasting();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 1);
    client.disconnect();
    let mut publisher = Client::new();
    let published = Instant::now();
    publisher.publish(Publish::new(&topic, "short").with(MESSAGE_EXPIRY, 1));
    publisher.publish(Publish::new(&topic, "long").with(MESSAGE_EXPIRY, 600));
    publisher.publish(Publish::new(&topic, "for ever"));
    // Time itself is the condition here; the broker rounds to seconds.
    while published.elapsed() < Duration::from_millis(2_100) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut client = Client::connect(&connect.resume());
    assert_eq!(client.published().payload(), "long");
    assert_eq!(client.published().payload(), "for ever");
}

#[test]
fn mqtt_3_3_2_6_the_expiry_interval_shrinks_while_the_message_waits() {
    let (id, topic) = (unique(), unique());
    let connect = Connect::new(&id).lasting();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 1);
    let mut publisher = Client::new();
    publisher.publish(Publish::new(&topic, "at once").with(MESSAGE_EXPIRY, 100));
    let at_once = client.published();
    let left = at_once.properties.number(MESSAGE_EXPIRY).unwrap();
    assert!((99..=100).contains(&left), "{left} s");
    client.answer(0x40, at_once.id);
    client.disconnect();
    let published = Instant::now();
    publisher.publish(Publish::new(&topic, "later").with(MESSAGE_EXPIRY, 100));
    while published.elapsed() < Duration::from_millis(2_100) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let later = Client::connect(&connect.resume()).published();
    assert_eq!(later.payload(), "later");
    let left = later.properties.number(MESSAGE_EXPIRY).unwrap();
    assert!((80..=98).contains(&left), "{left} s");
}

#[test]
fn mqtt_3_3_2_7_a_topic_alias_ends_with_its_connection() {
    let (id, topic) = (unique(), unique());
    let connect = Connect::new(&id).lasting().resume();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 0);
    client.put(&Publish::new(&topic, "by name").with(TOPIC_ALIAS, 1));
    assert_eq!(client.published().payload(), "by name");
    client.put(&Publish::new("", "by alias").with(TOPIC_ALIAS, 1));
    assert_eq!(client.published().payload(), "by alias");
    client.disconnect();
    let mut client = Client::connect(&connect);
    client.put(&Publish::new("", "by alias").with(TOPIC_ALIAS, 1));
    assert!(matches!(client.disconnected(), 0x82 | 0x94));
}

#[test]
fn mqtt_3_3_2_8_topic_alias_zero_is_refused() {
    let good = Publish::new("t", "").with(TOPIC_ALIAS, 1);
    let bad = Publish::new("t", "").with(TOPIC_ALIAS, 0);
    assert_eq!(refused(&good, &bad), 0x94);
}

#[test]
fn mqtt_3_3_2_9_a_topic_alias_over_the_maximum_is_refused() {
    let (_, ack) = Client::welcome(&Connect::new(unique()));
    let maximum = ack.properties.number(TOPIC_ALIAS_MAXIMUM).unwrap_or(0);
    let good = Publish::new("t", "").with(TOPIC_ALIAS, maximum);
    let bad = Publish::new("t", "").with(TOPIC_ALIAS, maximum + 1);
    assert_eq!(refused(&good, &bad), 0x94);
}

#[test]
fn mqtt_3_3_2_11_aliases_given_by_the_server_stay_within_the_maximum() {
    let prefix = unique();
    let mut client = Client::connect(&Connect::new(unique()).with(TOPIC_ALIAS_MAXIMUM, 1));
    client.subscribe(&format!("{prefix}/#"), 1);
    let mut publisher = Client::new();
    for round in 0..6 {
        let topic = format!("{prefix}/{}", round % 3);
        publisher.publish(Publish::new(&topic, ""));
        let publish = client.published();
        client.answer(0x40, publish.id);
        assert_eq!(client.resolve(&publish), topic);
        let alias = publish.properties.number(TOPIC_ALIAS);
        assert!(matches!(alias, None | Some(1)), "{alias:?}");
    }
}

#[test]
fn mqtt_3_3_2_12_every_topic_alias_up_to_the_maximum_is_taken() {
    let prefix = unique();
    let (mut client, ack) = Client::welcome(&Connect::new(unique()));
    let maximum = ack.properties.number(TOPIC_ALIAS_MAXIMUM).unwrap();
    assert!(maximum > 0);
    client.subscribe(&format!("{prefix}/#"), 0);
    for alias in 1..=maximum {
        let topic = format!("{prefix}/{alias}");
        client.put(&Publish::new(&topic, "").with(TOPIC_ALIAS, alias));
        assert_eq!(client.published().topic(), topic);
    }
    for alias in 1..=maximum {
        client.put(&Publish::new("", "").with(TOPIC_ALIAS, alias));
        assert_eq!(client.published().topic(), format!("{prefix}/{alias}"));
    }
}

#[test]
fn mqtt_3_3_2_13_a_response_topic_that_is_not_utf_8_is_refused() {
    let good = Publish::new("t", "").with(RESPONSE_TOPIC, "grüße");
    let bad = Publish::new("t", "").with(RESPONSE_TOPIC, NOT_UTF_8);
    assert_eq!(refused(&good, &bad), 0x81);
}

#[test]
fn mqtt_3_3_2_14_a_response_topic_with_wildcards_is_refused() {
    let good = Publish::new("t", "").with(RESPONSE_TOPIC, "a/b");
    for topic in ["a/#", "+"] {
        let bad = Publish::new("t", "").with(RESPONSE_TOPIC, topic);
        assert!(matches!(refused(&good, &bad), 0x81 | 0x82 | 0x90));
    }
}

#[test]
fn mqtt_3_3_2_15_the_response_topic_is_passed_on() {
    let publish = forwarded(|publish| publish.with(RESPONSE_TOPIC, "answers//here "));
    assert_eq!(
        publish.properties.text(RESPONSE_TOPIC),
        Some("answers//here ")
    );
}

#[test]
fn mqtt_3_3_2_16_the_correlation_data_is_passed_on() {
    let data: &[u8] = &[0, 0xff, 0x80, 7];
    let publish = forwarded(|publish| publish.with(CORRELATION_DATA, data));
    assert_eq!(publish.properties.data(CORRELATION_DATA), Some(data));
}

#[test]
fn mqtt_3_3_2_17_all_user_properties_are_passed_on() {
    let pairs = [
        ("name", "value"),
        ("", ""),
        ("name", "value"),
        ("ü", "\u{feff}"),
    ];
    let publish = forwarded(|publish| {
        let with = |publish: Publish, &pair| publish.with(USER_PROPERTY, pair);
        pairs.iter().fold(publish, with)
    });
    assert_eq!(publish.properties.pairs(), pairs);
}

#[test]
fn mqtt_3_3_2_18_user_properties_keep_their_order() {
    let names: Vec<String> = (0..50).map(|n| (n * 37 % 50).to_string()).collect();
    let publish = forwarded(|publish| {
        let with =
            |publish: Publish, name: &String| publish.with(USER_PROPERTY, (name.as_str(), "x"));
        names.iter().fold(publish, with)
    });
    let got: Vec<&str> = publish
        .properties
        .pairs()
        .iter()
        .map(|pair| pair.0)
        .collect();
    assert_eq!(got, names);
}

#[test]
fn mqtt_3_3_2_19_a_content_type_that_is_not_utf_8_is_refused() {
    let good = Publish::new("t", "").with(CONTENT_TYPE, "text/plain");
    let bad = Publish::new("t", "").with(CONTENT_TYPE, NOT_UTF_8);
    assert_eq!(refused(&good, &bad), 0x81);
}

#[test]
fn mqtt_3_3_2_20_the_content_type_is_passed_on() {
    let publish = forwarded(|publish| publish.with(CONTENT_TYPE, "text/x-ü"));
    assert_eq!(publish.properties.text(CONTENT_TYPE), Some("text/x-ü"));
}

/// What a client with overlapping subscriptions gets of one message: for each copy its
/// Subscription Identifiers.
fn overlapping_copies() -> Vec<Vec<u32>> {
    let prefix = unique();
    let mut client = Client::new();
    for (filter, identifier) in [("a/b", Some(7)), ("a/+", Some(268_435_455)), ("#", None)] {
        let id = client.fresh_id();
        let mut subscribe = Subscribe::new(id).to(format!("{prefix}/{filter}"), 1);
        if let Some(identifier) = identifier {
            subscribe = subscribe.with(SUBSCRIPTION_IDENTIFIER, identifier);
        }
        assert_eq!(client.request(&subscribe).reasons, [1]);
    }
    let mut publisher = Client::new();
    publisher.publish(Publish::new(format!("{prefix}/a/b"), "x"));
    publisher.publish(Publish::new(format!("{prefix}/end"), "end"));
    let mut copies = Vec::new();
    loop {
        let publish = client.published();
        if publish.payload == b"end" {
            return copies;
        }
        let mut identifiers = publish.properties.numbers(SUBSCRIPTION_IDENTIFIER);
        identifiers.sort_unstable();
        copies.push(identifiers);
    }
}

#[test]
fn mqtt_3_3_4_3_overlapping_subscriptions_tell_their_identifiers() {
    let mut all = overlapping_copies().concat();
    all.sort_unstable();
    assert_eq!(all, [7, 268_435_455]);
}

#[test]
fn mqtt_3_3_4_4_a_single_copy_tells_all_identifiers() {
    assert_eq!(overlapping_copies(), [[7, 268_435_455]]);
}

#[test]
fn mqtt_3_3_4_5_each_copy_tells_the_identifier_of_its_subscription() {
    // One copy stands for all here, but a shared subscription has one of its own.
    let topic = unique();
    let mut client = Client::new();
    for (filter, identifier) in [(topic.clone(), 3), (format!("$share/group/{topic}"), 5)] {
        let id = client.fresh_id();
        let subscribe = Subscribe::new(id).to(filter, 0);
        let subscribe = subscribe.with(SUBSCRIPTION_IDENTIFIER, identifier);
        assert_eq!(client.request(&subscribe).reasons, [0]);
    }
    Client::new().publish(Publish::new(&topic, "x"));
    let mut got = [client.published(), client.published()]
        .map(|publish| publish.properties.numbers(SUBSCRIPTION_IDENTIFIER));
    got.sort();
    assert_eq!(got, [[3], [5]]);
}

#[test]
fn mqtt_3_3_4_6_a_subscription_identifier_from_a_client_is_refused() {
    let good = Publish::new("t", "");
    let bad = Publish::new("t", "").with(SUBSCRIPTION_IDENTIFIER, 1);
    assert!(matches!(refused(&good, &bad), 0x81 | 0x82));
}

#[test]
fn mqtt_3_3_4_7_more_than_the_servers_receive_maximum_ends_the_connection() {
    let (mut client, ack) = Client::welcome_at(broker().tight, &Connect::new(unique()));
    assert_eq!(ack.properties.number(RECEIVE_MAXIMUM), Some(2));
    for id in 1..=2 {
        client.put(&Publish::new("t", "").qos(2, id));
        assert_eq!(client.publish_received().id, id);
    }
    client.put(&Publish::new("t", "").qos(2, 3));
    assert_eq!(client.disconnected(), 0x93);
}

/// A client with a Receive Maximum of 2 to which three messages were published at QoS 2,
/// and the two that it got.
fn full_client(topic: &str) -> (Client, [Publish; 2]) {
    let mut client = Client::connect(&Connect::new(unique()).with(RECEIVE_MAXIMUM, 2));
    client.subscribe(topic, 2);
    let mut publisher = Client::new();
    for payload in ["1", "2", "3"] {
        publisher.publish_twice_acked(Publish::new(topic, payload));
    }
    let got = [client.published(), client.published()];
    (client, got)
}

#[test]
fn mqtt_3_3_4_9_no_more_publishes_than_the_clients_receive_maximum() {
    let (mut client, [first, _]) = full_client(&unique());
    client.ping();
    // PUBREC without an error frees no place; PUBCOMP does.
    client.answer(0x50, first.id);
    assert_eq!(client.publish_release().id, first.id);
    client.ping();
    client.answer(0x70, first.id);
    let third = client.published();
    assert_eq!(third.payload(), "3");
}

#[test]
fn mqtt_3_3_4_10_other_packets_are_sent_when_the_receive_maximum_is_reached() {
    let topic = unique();
    let (mut client, [first, second]) = full_client(&topic);
    client.ping();
    client.subscribe("another/topic", 0);
    assert_eq!(client.unsubscribe("another/topic"), [0]);
    assert_eq!(client.publish(Publish::new(unique(), "")) & 0x80, 0);
    client.answer(0x50, second.id);
    assert_eq!(client.publish_release().id, second.id);
    client.answer_with(0x50, first.id, 0x97);
    assert_eq!(client.published().payload(), "3");
}

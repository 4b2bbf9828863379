//! CONNECT: what a client says it takes (sections 3.1.2.11.4 to 3.1.2.11.9).

use crate::client::{Client, unique};
use crate::packet::Publish;
use crate::property::{
    AUTHENTICATION_METHOD, MAXIMUM_PACKET_SIZE, REASON_STRING, REQUEST_PROBLEM_INFORMATION,
    REQUEST_RESPONSE_INFORMATION, RESPONSE_INFORMATION, TOPIC_ALIAS, TOPIC_ALIAS_MAXIMUM,
    USER_PROPERTY,
};
use crate::request::{Connect, Subscribe};
use crate::server::broker;

const SMALL: u32 = 64;

fn small_client(topic: &str) -> Client {
    let mut client = Client::connect(&Connect::new(unique()).with(MAXIMUM_PACKET_SIZE, SMALL));
    client.subscribe(topic, 1);
    client
}

#[test]
fn mqtt_3_1_2_24_no_packet_is_larger_than_the_client_takes() {
    let topic = unique();
    let mut small = small_client(&topic);
    let mut publisher = Client::new();
    // Each a byte longer than the one before: it stops at the client's bound.
    let mut largest = 0;
    for length in 30..70 {
        publisher.publish(Publish::new(&topic, vec![b'x'; length]));
    }
    publisher.publish(Publish::new(&topic, "marker"));
    loop {
        let publish = small.published();
        if publish.payload == b"marker" {
            break;
        }
        largest = largest.max(small.packet_bytes);
        small.answer(0x40, publish.id);
    }
    assert_eq!(largest, SMALL as usize);
}

#[test]
fn mqtt_3_1_2_25_what_is_too_large_counts_as_sent() {
    let topic = unique();
    let mut small = small_client(&topic);
    let mut publisher = Client::new();
    // More of them than could be under way at a time, were they waited for.
    for _ in 0..300 {
        publisher.publish(Publish::new(&topic, vec![b'x'; 100]));
    }
    publisher.publish(Publish::new(&topic, "fits"));
    assert_eq!(small.published().payload(), "fits");
}

#[test]
fn mqtt_3_1_2_26_topic_aliases_stay_within_the_clients_maximum() {
    let prefix = unique();
    let connect = Connect::new(unique()).with(TOPIC_ALIAS_MAXIMUM, 2);
    let mut client = Client::connect(&connect);
    client.subscribe(&format!("{prefix}/#"), 0);
    let mut publisher = Client::new();
    let mut aliases = Vec::new();
    for round in 0..12 {
        let topic = format!("{prefix}/{}", round % 4);
        publisher.publish(Publish::new(&topic, topic.as_bytes()));
        let publish = client.published();
        aliases.extend(publish.properties.numbers(TOPIC_ALIAS));
        assert_eq!(client.resolve(&publish), topic);
    }
    assert!(
        aliases.iter().all(|alias| (1..=2).contains(alias)),
        "{aliases:?}"
    );
}

#[test]
fn mqtt_3_1_2_27_no_topic_alias_for_a_client_that_takes_none() {
    for maximum in [None, Some(0)] {
        let topic = unique();
        let mut connect = Connect::new(unique());
        if let Some(maximum) = maximum {
            connect = connect.with(TOPIC_ALIAS_MAXIMUM, maximum);
        }
        let mut client = Client::connect(&connect);
        client.subscribe(&topic, 0);
        let mut publisher = Client::new();
        for _ in 0..3 {
            // Not for a publisher that uses one either.
            publisher.put(&Publish::new(&topic, "x").with(TOPIC_ALIAS, 1));
            let publish = client.published();
            assert_eq!(publish.topic(), topic);
            assert!(!publish.properties.has(TOPIC_ALIAS));
        }
    }
}

#[test]
fn mqtt_3_1_2_28_no_response_information_unless_asked_for() {
    for asked in [None, Some(0)] {
        let mut connect = Connect::new(unique());
        if let Some(asked) = asked {
            connect = connect.with(REQUEST_RESPONSE_INFORMATION, asked);
        }
        let (mut client, ack) = Client::welcome(&connect);
        assert!(!ack.properties.has(RESPONSE_INFORMATION));
        client.ping();
    }
}

#[test]
fn mqtt_3_1_2_29_no_reasons_in_words_for_a_client_that_wants_none() {
    let connect = Connect::new(unique()).with(REQUEST_PROBLEM_INFORMATION, 0);
    let mut client = Client::welcome_at(broker().tight, &connect).0;
    // One more than that server allows.
    let ack = client.request(&Subscribe::new(1).to("a", 0).to("b", 0).to("c", 0));
    assert_eq!(ack.reasons, [0, 0, 0x97]);
    let mut said = vec![ack.properties];
    client.send(
        Subscribe::new(2)
            .to("never/subscribed", 0)
            .unsubscribe(client.version),
    );
    let ack = client.unsubscribe_ack();
    assert_eq!(ack.reasons, [0x11]);
    said.push(ack.properties);
    client.answer(0x62, 77);
    let ack = client.publish_complete();
    assert_eq!(ack.reason, 0x92);
    said.push(ack.properties);
    for properties in said {
        assert!(!properties.has(REASON_STRING) && !properties.has(USER_PROPERTY));
    }
}

#[test]
fn mqtt_3_1_2_30_other_packets_while_authenticating_are_not_served() {
    // No broker may process what follows a CONNECT that it turns down either.
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let connect = Connect::new(unique()).with(AUTHENTICATION_METHOD, "none such");
    let mut client = Client::open();
    let publish = Publish::new(&topic, "not let in").bytes(client.version);
    client.send([connect.bytes(), publish].concat());
    assert!(client.connect_ack().reason >= 0x80);
    client.closed();
    watcher.publish_to_itself(&topic);
}

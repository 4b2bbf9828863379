//! CONNECT: its payload and what follows from it (sections 3.1.3 and 3.1.4).

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::property::{
    ASSIGNED_CLIENT_IDENTIFIER, AUTHENTICATION_METHOD, USER_PROPERTY, WILL_DELAY,
};
use crate::request::{Connect, Will};
use crate::wire::Wire;

/// No UTF-8: an encoded surrogate.
const SURROGATE: &[u8] = b"x\xed\xa0\x80";

#[test]
fn mqtt_3_1_3_1_the_payload_fields_come_in_their_order() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let connect = Connect::new(unique())
        .will(Will::new(&topic, "the payload").with(USER_PROPERTY, ("a", "b")))
        .user("somebody")
        .password("secret");
    Client::connect(&connect).vanish();
    let will = watcher.published();
    assert_eq!(will.payload(), "the payload");
    assert_eq!(will.properties.pairs(), [("a", "b")]);
}

#[test]
fn mqtt_3_1_3_2_the_client_identifier_finds_the_session() {
    let (one, other) = (unique(), unique());
    let (one_topic, other_topic) = (unique(), unique());
    for (id, topic) in [(&one, &one_topic), (&other, &other_topic)] {
        let mut client = Client::connect(&Connect::new(id).lasting());
        client.subscribe(topic, 1);
        client.disconnect();
    }
    let mut publisher = Client::new();
    publisher.publish(Publish::new(&one_topic, "for one"));
    publisher.publish(Publish::new(&other_topic, "for the other"));
    for (id, payload) in [(other, "for the other"), (one, "for one")] {
        let (mut client, ack) = Client::welcome(&Connect::new(id).resume());
        assert!(ack.session_present);
        assert_eq!(client.published().payload(), payload);
        client.ping();
    }
}

#[test]
fn mqtt_3_1_3_3_the_client_identifier_is_the_first_field() {
    // Without one the payload is too short.
    let bytes = Wire::new().string("MQTT").byte(5).byte(2).two(60).byte(0);
    Client::turned_away(bytes.clone().frame(0x10));
    let mut client = Client::open();
    client.send(bytes.string(unique()).frame(0x10));
    assert_eq!(client.connect_ack().reason, 0);
}

#[test]
fn mqtt_3_1_3_4_a_client_identifier_that_is_not_utf_8_is_refused() {
    Client::connect(&Connect::new("zoë-3-1-3-4")).disconnect();
    Client::turned_away(Connect::new(SURROGATE).bytes());
}

#[test]
fn mqtt_3_1_3_5_identifiers_of_23_letters_and_digits_are_allowed() {
    for id in [
        "0123456789abcdefghijklm",
        "nopqrstuvwxyzABCDEFGHIJ",
        "KLMNOPQRSTUVWXYZ",
        "Z",
    ] {
        Client::connect(&Connect::new(id)).ping();
    }
}

#[test]
fn mqtt_3_1_3_6_an_empty_identifier_gets_one_of_its_own() {
    let mut assigned = Vec::new();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let (client, ack) = Client::welcome(&Connect::new(""));
        let id = ack.properties.text(ASSIGNED_CLIENT_IDENTIFIER);
        assigned.push(id.expect("no identifier").to_owned());
        clients.push(client);
    }
    for client in &mut clients {
        client.ping();
    }
    assigned.sort();
    assigned.dedup();
    assert_eq!(assigned.len(), 4);
    let (_, ack) = Client::welcome(&Connect::new(unique()));
    assert!(!ack.properties.has(ASSIGNED_CLIENT_IDENTIFIER));
}

#[test]
fn mqtt_3_1_3_7_the_assigned_identifier_is_as_good_as_ones_own() {
    let topic = unique();
    let (mut client, ack) = Client::welcome(&Connect::new("").lasting());
    let id = ack
        .properties
        .text(ASSIGNED_CLIENT_IDENTIFIER)
        .unwrap()
        .to_owned();
    client.subscribe(&topic, 1);
    client.disconnect();
    Client::new().publish(Publish::new(&topic, "meanwhile"));
    let (mut client, ack) = Client::welcome(&Connect::new(id).resume());
    assert!(ack.session_present);
    assert_eq!(client.published().payload(), "meanwhile");
}

#[test]
fn mqtt_3_1_3_8_an_identifier_that_is_refused_ends_the_connection() {
    // U+0000 is in no string.
    let reason = Client::turned_away(Connect::new("a\0b").bytes());
    assert!(matches!(reason, None | Some(0x81 | 0x85)), "{reason:?}");
    Client::new().ping();
}

#[test]
fn mqtt_3_1_3_9_a_delayed_will_is_not_sent_if_the_client_is_back() {
    let (topic, id) = (unique(), unique());
    let mut watcher = Client::subscribed(&topic, 0);
    let will = Will::new(&topic, "not to be sent").with(WILL_DELAY, 1);
    let connect = Connect::new(&id).lasting().will(will);
    Client::connect(&connect).vanish();
    let mut back = Client::connect(&Connect::new(&id).lasting().resume());
    // Another one that goes at the same time and stays away tells when the delay is over.
    let marker = Will::new(&topic, "marker").with(WILL_DELAY, 2);
    Client::connect(&Connect::new(unique()).lasting().will(marker)).vanish();
    assert_eq!(watcher.published().payload(), "marker");
    back.ping();
}

#[test]
fn mqtt_3_1_3_10_user_properties_of_a_will_keep_their_order() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let pairs = [("b", "1"), ("a", "2"), ("b", "1"), ("", ""), ("a", "0")];
    let will = pairs.iter().fold(Will::new(&topic, "gone"), |will, &pair| {
        will.with(USER_PROPERTY, pair)
    });
    Client::connect(&Connect::new(unique()).will(will)).vanish();
    assert_eq!(watcher.published().properties.pairs(), pairs);
}

#[test]
fn mqtt_3_1_3_11_a_will_topic_that_is_not_utf_8_is_refused() {
    let id = unique();
    Client::connect(&Connect::new(&id).will(Will::new("grüße", ""))).disconnect();
    Client::turned_away(Connect::new(&id).will(Will::new(SURROGATE, "")).bytes());
}

#[test]
fn mqtt_3_1_3_12_a_user_name_that_is_not_utf_8_is_refused() {
    let id = unique();
    Client::connect(&Connect::new(&id).user("zoë")).disconnect();
    Client::turned_away(Connect::new(&id).user(SURROGATE).bytes());
}

#[test]
fn mqtt_3_1_4_1_a_connect_of_another_form_ends_the_connection() {
    let good = Connect::new(unique()).bytes();
    let mut client = Client::open();
    client.send(&good);
    assert_eq!(client.connect_ack().reason, 0);
    client.disconnect();

    let body = good[2..].to_vec();
    let too_long = Wire::new().raw(&body).byte(0).frame(0x10);
    let too_short = Wire::new().raw(&body[..body.len() - 1]).frame(0x10);
    let reserved_bits = Wire::new().raw(&body).frame(0x11);
    for bad in [too_long, too_short, reserved_bits] {
        Client::turned_away(bad);
    }
}

#[test]
fn mqtt_3_1_4_2_a_connect_that_fails_a_check_ends_the_connection() {
    let connect = Connect::new(unique()).with(AUTHENTICATION_METHOD, "none such");
    let reason = Client::turned_away(connect.bytes());
    assert!(matches!(reason, Some(0x8c)), "{reason:?}");
}

#[test]
fn mqtt_3_1_4_3_a_second_connection_takes_the_session_over() {
    let id = unique();
    let mut first = Client::connect(&Connect::new(&id));
    let mut second = Client::connect(&Connect::new(&id));
    assert_eq!(first.disconnected(), 0x8e);
    second.ping();
}

#[test]
fn mqtt_3_1_4_4_clean_start_is_honoured_when_taking_over_too() {
    let (id, topic) = (unique(), unique());
    let mut first = Client::connect(&Connect::new(&id).lasting());
    first.subscribe(&topic, 0);
    let (mut second, ack) = Client::welcome(&Connect::new(&id).lasting().resume());
    assert!(ack.session_present);
    second.publish_to_itself(&topic);
    let (mut third, ack) = Client::welcome(&Connect::new(&id).lasting());
    assert!(!ack.session_present);
    third.put(&Publish::new(&topic, "nobody subscribes any more"));
    third.ping();
}

#[test]
fn mqtt_3_1_4_5_a_good_connect_is_answered_with_success() {
    let mut client = Client::open();
    client.send(Connect::new(unique()).bytes());
    assert!(matches!(client.next(), Packet::ConnectAck(ack) if ack.reason == 0));
}

#[test]
fn mqtt_3_1_4_6_nothing_behind_a_refused_connect_is_processed() {
    let (topic, id) = (unique(), unique());
    let mut watcher = Client::subscribed(&topic, 0);
    let refused = Connect {
        level: 6,
        ..Connect::new(&id)
    };
    let mut client = Client::open();
    let publish = Publish::new(&topic, "not let in").bytes(client.version);
    client.send([refused.bytes(), publish].concat());
    assert_eq!(client.connect_ack().reason, 0x84);
    client.closed();
    watcher.publish_to_itself(&topic);
}

//! MQTT 3.1.1 where it differs: PUBLISH, SUBSCRIBE, UNSUBSCRIBE and their answers.

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::request::{Connect, Subscribe, Version};
use crate::server::broker;
use crate::wire::Wire;

fn new() -> Client {
    Client::connect(&Connect::v311(unique()))
}

fn subscribed(topic: &str, qos: u8) -> Client {
    let mut client = new();
    client.subscribe(topic, qos);
    client
}

/// Each of these bytes closes the connection without a word.
fn closes(bytes: impl AsRef<[u8]>) {
    let mut client = new();
    client.ping();
    client.send(bytes);
    client.closed();
}

#[test]
fn mqtt311_1_5_3_1_a_string_that_is_not_utf_8_closes_the_connection() {
    let topic = format!("{}/grüße", unique());
    subscribed(&topic, 0).publish_to_itself(&topic);
    closes(Publish::new(b"a\xed\xa0\x80", "").bytes(Version::V311));
    closes(Subscribe::new(1).to(b"\xff", 0).bytes(Version::V311));
}

#[test]
fn mqtt311_1_5_3_2_a_string_with_u_0000_closes_the_connection() {
    closes(Publish::new("a\0", "").bytes(Version::V311));
}

#[test]
fn mqtt311_2_2_2_2_wrong_flag_bits_close_the_connection() {
    let subscribe = Wire::new().two(1).string("a").byte(0);
    for bytes in [
        subscribe.frame(0x80),
        Wire::new().two(1).string("a").frame(0xa0),
        Wire::new().two(1).frame(0x60),
        Wire::new().two(1).frame(0x42),
        vec![0xc4, 0],
        // AUTH is of MQTT 5.0.
        vec![0xf0, 0],
    ] {
        closes(bytes);
    }
}

#[test]
fn mqtt311_2_3_1_1_a_packet_identifier_of_zero_closes_the_connection() {
    closes(Publish::new("t", "").qos(1, 0).bytes(Version::V311));
    closes(Subscribe::new(0).to("a", 0).bytes(Version::V311));
    closes(Subscribe::new(0).to("a", 0).unsubscribe(Version::V311));
}

#[test]
fn mqtt311_3_3_1_5_a_retained_message_is_stored_with_its_qos() {
    for qos in [1, 2] {
        let topic = unique();
        let mut publisher = new();
        let publish = Publish::new(&topic, "kept").retained();
        match qos {
            1 => drop(publisher.publish(publish)),
            _ => publisher.publish_twice_acked(publish),
        }
        let kept = subscribed(&topic, 2).published();
        assert_eq!((kept.qos, kept.payload()), (qos, "kept"));
    }
}

#[test]
fn mqtt311_3_3_1_6_a_new_subscription_gets_the_last_retained_messages() {
    let prefix = unique();
    let mut publisher = new();
    for payload in ["old", "last"] {
        for level in ["a", "b"] {
            publisher.publish(Publish::new(format!("{prefix}/{level}"), payload).retained());
        }
    }
    let mut client = subscribed(&format!("{prefix}/+"), 0);
    let mut got = [client.published(), client.published()];
    got.sort_by(|one, other| one.topic.cmp(&other.topic));
    for (publish, level) in got.iter().zip(["a", "b"]) {
        assert_eq!(publish.topic(), format!("{prefix}/{level}"));
        assert_eq!(publish.payload(), "last");
    }
    client.ping();
}

#[test]
fn mqtt311_3_3_1_7_a_retained_message_of_qos_0_replaces_the_one_before() {
    let topic = unique();
    let mut publisher = new();
    publisher.publish(Publish::new(&topic, "before").retained());
    publisher.put(&Publish::new(&topic, "at QoS 0").retained());
    publisher.ping();
    let kept = subscribed(&topic, 1).published();
    assert_eq!(kept.payload(), "at QoS 0");
}

#[test]
fn mqtt311_3_3_1_8_what_a_new_subscription_gets_has_retain_set() {
    let topic = unique();
    new().publish(Publish::new(&topic, "kept").retained());
    assert!(subscribed(&topic, 0).published().retain);
}

#[test]
fn mqtt311_3_3_1_9_what_an_existing_subscription_gets_has_it_clear() {
    let topic = unique();
    let mut client = subscribed(&topic, 0);
    new().publish(Publish::new(&topic, "passing").retained());
    let publish = client.published();
    assert_eq!((publish.payload(), publish.retain), ("passing", false));
}

#[test]
fn mqtt311_3_3_5_1_overlapping_subscriptions_are_served_at_their_highest_qos() {
    let prefix = unique();
    let topic = format!("{prefix}/topic");
    let mut client = subscribed(&topic, 0);
    client.subscribe(&format!("{prefix}/#"), 2);
    new().publish_twice_acked(Publish::new(&topic, "x"));
    assert_eq!(client.published().qos, 2);
}

#[test]
fn mqtt311_3_3_5_2_a_publish_that_is_not_allowed_is_acknowledged_or_closes() {
    // Nobody may publish to the broker's own topics. The client cannot be told why.
    let mut client = new();
    client.put(&Publish::new("$private/topic", "").qos(1, 7));
    match client.next_or_end() {
        None => {}
        Some(Packet::PublishAck(ack)) => assert_eq!((ack.id, client.packet_bytes), (7, 4)),
        Some(other) => panic!("{other:?}"),
    }
}

#[test]
fn mqtt311_3_8_3_4_reserved_option_bits_close_the_connection() {
    // Among them the options of MQTT 5.0.
    for options in [0x03, 0x04, 0x08, 0x10, 0x20, 0x40, 0x80] {
        closes(Subscribe::new(1).to("a", options).bytes(Version::V311));
    }
}

#[test]
fn mqtt311_3_8_4_3_the_same_filter_again_brings_the_retained_messages_again() {
    let topic = unique();
    new().publish(Publish::new(&topic, "kept").retained());
    let mut client = new();
    for qos in [0, 1, 0] {
        client.subscribe(&topic, qos);
        let kept = client.published();
        assert_eq!((kept.payload(), kept.qos), ("kept", qos));
        if qos > 0 {
            client.answer(0x40, kept.id);
        }
    }
    client.publish_to_itself(&topic);
    client.ping();
}

#[test]
fn mqtt311_3_8_4_5_suback_has_a_code_for_each_filter() {
    let mut client = new();
    let ack = client.request(&Subscribe::new(7).to("a", 0).to("b", 1).to("c", 2));
    assert_eq!((ack.id, ack.reasons), (7, vec![0, 1, 2]));
}

#[test]
fn mqtt311_3_8_4_6_the_code_tells_the_granted_qos_or_the_failure() {
    let mut client = Client::welcome_at(broker().tight, &Connect::v311(unique())).0;
    let filters = Subscribe::new(1).to("a", 2).to("b", 1).to("c", 0);
    assert_eq!(client.request(&filters).reasons, [2, 1, 0x80]);
}

#[test]
fn mqtt311_3_9_3_2_suback_has_no_code_of_mqtt_5() {
    let mut client = Client::welcome_at(broker().tight, &Connect::v311(unique())).0;
    for filter in ["a", "b", "c", "$SYS/#"] {
        let ack = client.request(&Subscribe::new(1).to(filter, 1));
        assert!(matches!(ack.reasons[..], [1 | 0x80]), "{ack:?}");
        assert_eq!(client.packet_bytes, 5);
    }
}

#[test]
fn mqtt311_3_10_4_5_unsuback_is_an_identifier_and_nothing_else() {
    let mut client = subscribed("a", 0);
    for (id, filter) in [(513, "a"), (u16::MAX, "never")] {
        client.send(Subscribe::new(id).to(filter, 0).unsubscribe(Version::V311));
        assert_eq!(client.unsubscribe_ack().id, id);
        assert_eq!(client.packet_bytes, 4);
    }
}

#[test]
fn mqtt311_3_10_4_6_several_filters_have_one_unsuback() {
    let topics = [unique(), unique(), unique()];
    let mut client = new();
    for topic in &topics {
        client.subscribe(topic, 0);
    }
    let both = Subscribe::new(9).to(&topics[0], 0).to(&topics[1], 0);
    client.send(both.unsubscribe(Version::V311));
    assert_eq!(client.unsubscribe_ack().id, 9);
    client.put(&Publish::new(&topics[0], "no more"));
    client.put(&Publish::new(&topics[1], "no more"));
    client.publish_to_itself(&topics[2]);
}

#[test]
fn mqtt311_4_3_1_1_qos_0_is_sent_to_either_version_as_such() {
    let topic = unique();
    let (mut old, mut young) = (subscribed(&topic, 0), Client::subscribed(&topic, 0));
    for mut publisher in [new(), Client::new()] {
        publisher.put(&Publish::new(&topic, "x"));
        for client in [&mut old, &mut young] {
            let publish = client.published();
            assert_eq!(
                (publish.qos, publish.dup, publish.payload()),
                (0, false, "x")
            );
        }
    }
}

#[test]
fn mqtt311_4_3_2_2_puback_is_an_identifier_and_nothing_else() {
    // Nobody subscribes, which MQTT 5.0 has a reason for.
    let mut client = new();
    client.put(&Publish::new(unique(), "").qos(1, 513));
    assert_eq!(client.publish_ack().id, 513);
    assert_eq!(client.packet_bytes, 4);
}

#[test]
fn mqtt311_4_3_3_2_pubrec_and_pubcomp_are_an_identifier_and_nothing_else() {
    let mut client = new();
    client.put(&Publish::new(unique(), "").qos(2, 513));
    assert_eq!(client.publish_received().id, 513);
    assert_eq!(client.packet_bytes, 4);
    // Twice: the second belongs to nothing, which MQTT 5.0 has a reason for.
    for _ in 0..2 {
        client.answer(0x62, 513);
        assert_eq!(client.publish_complete().id, 513);
        assert_eq!(client.packet_bytes, 4);
    }
}

#[test]
fn mqtt311_4_4_0_1_what_is_open_is_sent_again_on_reconnecting() {
    let topic = unique();
    let connect = Connect::v311(unique()).resume();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 2);
    let mut publisher = new();
    publisher.publish(Publish::new(&topic, "1"));
    publisher.publish_twice_acked(Publish::new(&topic, "2"));
    let (first, second) = (client.published(), client.published());
    client.answer(0x50, second.id);
    assert_eq!(client.publish_release().id, second.id);
    client.vanish();
    let mut client = Client::connect(&connect);
    let again = client.published();
    assert_eq!((again.id, again.dup), (first.id, true));
    assert_eq!(client.publish_release().id, second.id);
    client.ping();
}

#[test]
fn mqtt311_4_7_2_1_a_leading_wildcard_does_not_match_a_leading_dollar() {
    let name = unique();
    let mut client = subscribed(&format!("+/{name}"), 0);
    let own = format!("private/{name}");
    client.put(&Publish::new(format!("${own}"), "under $"));
    client.publish_to_itself(&own);
}

#[test]
fn mqtt311_4_8_0_1_a_protocol_violation_closes_the_connection() {
    for bytes in [
        // What only a server sends, what there is not, too short, too long.
        vec![0xd0, 0],
        vec![0x00, 0],
        vec![0x40, 1, 0],
        vec![0xc0, 1, 0],
        vec![0x30, 0xff, 0xff, 0xff, 0xff],
        Wire::new().two(1).frame(0x82),
        Publish::new("a/#", "").bytes(Version::V311),
        Publish::new("", "").bytes(Version::V311),
        Publish::new("t", "").qos(3, 1).bytes(Version::V311),
        Subscribe::new(1).to("a#", 0).bytes(Version::V311),
    ] {
        closes(bytes);
    }
}

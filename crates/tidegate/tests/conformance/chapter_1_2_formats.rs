//! Data formats and the form of every packet (sections 1.5 and 2).

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::property::USER_PROPERTY;
use crate::request::{Connect, Subscribe};
use crate::wire::Wire;

#[test]
fn mqtt_1_5_4_1_strings_that_are_not_well_formed_utf_8_are_malformed() {
    // Surrogates, overlong forms, beyond U+10FFFF, cut off, a lone continuation.
    let malformed: [&[u8]; 6] = [
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xc0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
        b"\x80",
    ];
    for topic in malformed {
        let mut client = Client::new();
        client.put(&Publish::new(topic, ""));
        assert_eq!(client.disconnected(), 0x81, "{topic:x?}");
    }
    let topic = format!("{}/\u{10ffff}/\u{d7ff}/\u{e000}", unique());
    Client::subscribed(&topic, 0).publish_to_itself(&topic);
}

#[test]
fn mqtt_1_5_4_2_a_string_with_u_0000_is_malformed() {
    let mut client = Client::new();
    client.put(&Publish::new("t", "a payload may have it: \0"));
    client.ping();
    client.put(&Publish::new("a\0b", ""));
    assert_eq!(client.disconnected(), 0x81);
    Client::turned_away(Connect::new("a\0").bytes());
}

#[test]
fn mqtt_1_5_4_3_u_feff_is_kept_where_it_stands() {
    let topic = format!("\u{feff}{}\u{feff}", unique());
    let mut client = Client::subscribed(&topic, 0);
    client.put(&Publish::new(
        topic.replace('\u{feff}', ""),
        "another topic",
    ));
    client.put(&Publish::new(&topic, "").with(USER_PROPERTY, ("\u{feff}a", "b\u{feff}")));
    let publish = client.published();
    assert_eq!(publish.topic(), topic);
    assert_eq!(publish.properties.pairs(), [("\u{feff}a", "b\u{feff}")]);
}

#[test]
fn mqtt_1_5_5_1_lengths_take_no_more_bytes_than_they_need() {
    // The reader of this suite refuses longer ones from the broker, at every width.
    let topic = unique();
    let mut client = Client::subscribed(&topic, 0);
    for length in [0, 100, 200, 16_000, 17_000, 70_000] {
        client.put(&Publish::new(&topic, vec![b'x'; length]));
        assert_eq!(client.published().payload.len(), length);
    }
    // And the broker refuses them: PINGREQ with its length in two bytes.
    client.send([0xc0, 0x80, 0x00]);
    assert_eq!(client.disconnected(), 0x81);
}

#[test]
fn mqtt_1_5_7_1_both_strings_of_a_pair_are_utf_8() {
    let pair = |name: &[u8], value: &[u8]| {
        let properties = Wire::new().byte(USER_PROPERTY).string(name).string(value).0;
        let body = Wire::new()
            .string("topic")
            .variable(properties.len().try_into().unwrap());
        body.raw(properties).frame(0x30)
    };
    let mut good = Client::new();
    good.send(pair("naïve".as_bytes(), b""));
    good.ping();
    for bad in [
        pair(b"\xff", b"x"),
        pair(b"x", b"\xc0\x80"),
        pair(b"x\0", b"x"),
    ] {
        let mut client = Client::new();
        client.send(bad);
        assert_eq!(client.disconnected(), 0x81);
    }
}

#[test]
fn mqtt_2_1_3_1_reserved_flag_bits_are_malformed() {
    // PUBACK, PUBREC, PUBCOMP, PINGREQ, DISCONNECT, AUTH; then with another bit each.
    for (first, flag) in [
        (0x40, 1),
        (0x50, 2),
        (0x70, 4),
        (0xc0, 8),
        (0xe0, 1),
        (0xf0, 2),
    ] {
        let mut client = Client::new();
        client.ping();
        let body = match first {
            0x40 | 0x50 | 0x70 => Wire::new().two(1),
            _ => Wire::new(),
        };
        client.send(body.frame(first | flag));
        assert_eq!(client.disconnected(), 0x81, "{first:#04x}");
    }
}

#[test]
fn mqtt_2_2_1_2_a_publish_at_qos_0_has_no_packet_identifier() {
    let topic = unique();
    let mut client = Client::subscribed(&topic, 2);
    // What would be an identifier is the payload's, or the properties' length.
    client.put(&Publish::new(&topic, [0, 7]));
    let publish = client.published();
    assert_eq!((publish.qos, publish.payload.as_slice()), (0, &[0, 7][..]));
}

#[test]
fn mqtt_2_2_1_3_a_packet_identifier_of_zero_is_refused() {
    let refused = |bytes: Vec<u8>| {
        let mut client = Client::new();
        client.send(bytes);
        client.disconnected()
    };
    let version = crate::request::Version::V5;
    let subscribe = Subscribe::new(0).to("a", 0);
    for bytes in [
        Publish::new("t", "").qos(1, 0).bytes(version),
        Publish::new("t", "").qos(2, 0).bytes(version),
        subscribe.bytes(version),
        subscribe.unsubscribe(version),
    ] {
        assert!(matches!(refused(bytes), 0x81 | 0x82));
    }
    Client::new().publish(Publish::new("t", ""));
}

#[test]
fn mqtt_2_2_1_4_identifiers_from_the_server_are_unused_and_not_zero() {
    let topic = unique();
    let mut client = Client::subscribed(&topic, 2);
    let mut publisher = Client::new();
    let mut under_way = std::collections::BTreeSet::new();
    for round in 0..60 {
        match round % 2 {
            0 => drop(publisher.publish(Publish::new(&topic, ""))),
            _ => publisher.publish_twice_acked(Publish::new(&topic, "")),
        }
        let publish = client.published();
        assert!(publish.id > 0 && under_way.insert(publish.id), "in use");
        // Some stay under way, at either QoS.
        if round % 3 == 0 && publish.qos == 1 {
            client.answer(0x40, publish.id);
            under_way.remove(&publish.id);
        }
    }
}

#[test]
fn mqtt_2_2_1_5_acknowledgements_have_the_identifier_of_the_publish() {
    let topic = unique();
    let mut client = Client::new();
    for id in [1, 513, u16::MAX] {
        client.put(&Publish::new(&topic, "").qos(1, id));
        assert_eq!(client.publish_ack().id, id);
        client.put(&Publish::new(&topic, "").qos(2, id));
        assert_eq!(client.publish_received().id, id);
        client.answer(0x62, id);
        assert_eq!(client.publish_complete().id, id);
    }
    let mut subscriber = Client::subscribed(&topic, 2);
    client.publish_twice_acked(Publish::new(&topic, ""));
    let publish = subscriber.published();
    subscriber.answer(0x50, publish.id);
    assert_eq!(subscriber.publish_release().id, publish.id);
}

#[test]
fn mqtt_2_2_1_6_suback_and_unsuback_have_the_identifier_of_the_request() {
    let mut client = Client::new();
    for id in [1, 513, u16::MAX] {
        let request = Subscribe::new(id).to("a", 0);
        assert_eq!(client.request(&request).id, id);
        client.send(request.unsubscribe(client.version));
        assert_eq!(client.unsubscribe_ack().id, id);
    }
}

#[test]
fn mqtt_2_2_2_1_no_properties_are_a_length_of_zero() {
    // From the broker: the reader of this suite wants a length in each of these.
    let topic = unique();
    let mut client = Client::subscribed(&topic, 0);
    client.publish_to_itself(&topic);
    assert_eq!(client.unsubscribe(&topic), [0]);
    // To the broker: SUBSCRIBE without one is cut off within its filter.
    client.send(Wire::new().two(9).string("a").byte(0).frame(0x82));
    assert!(matches!(client.next(), Packet::Disconnect(end) if end.reason == 0x81));
}

//! UNSUBSCRIBE and UNSUBACK, PINGREQ (sections 3.10 to 3.12).

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::property::{REASON_STRING, USER_PROPERTY};
use crate::request::{Connect, Subscribe};
use crate::server::broker;
use crate::wire::Wire;

fn unsubscribe_body(filter: impl AsRef<[u8]>) -> Wire {
    Wire::new().two(1).byte(0).string(filter)
}

#[test]
fn mqtt_3_10_1_1_unsubscribe_with_other_reserved_bits_is_malformed() {
    let mut good = Client::new();
    good.send(unsubscribe_body("a").frame(0xa2));
    assert_eq!(good.unsubscribe_ack().reasons, [0x11]);
    for first in [0xa0, 0xa1, 0xa3, 0xa6, 0xaa] {
        let mut client = Client::new();
        client.send(unsubscribe_body("a").frame(first));
        assert_eq!(client.disconnected(), 0x81);
    }
}

#[test]
fn mqtt_3_10_3_1_a_filter_that_is_not_utf_8_is_refused() {
    let mut client = Client::new();
    client.send(unsubscribe_body("grüße").frame(0xa2));
    assert_eq!(client.unsubscribe_ack().id, 1);
    client.send(unsubscribe_body(b"a\xc3").frame(0xa2));
    assert_eq!(client.disconnected(), 0x81);
}

#[test]
fn mqtt_3_10_3_2_an_unsubscribe_without_filters_is_a_protocol_error() {
    let mut client = Client::new();
    client.ping();
    client.send(Wire::new().two(1).byte(0).frame(0xa2));
    assert!(matches!(client.disconnected(), 0x81 | 0x82));
}

#[test]
fn mqtt_3_10_4_1_only_the_same_filter_is_deleted() {
    let prefix = unique();
    let filters = [
        format!("{prefix}/a"),
        format!("{prefix}/+"),
        format!("{prefix}/A"),
    ];
    let mut client = Client::new();
    for filter in &filters {
        client.subscribe(filter, 0);
    }
    // Neither what it matches, nor what matches it, nor another letter case.
    assert_eq!(client.unsubscribe(&format!("{prefix}/#")), [0x11]);
    assert_eq!(client.unsubscribe(&format!("{prefix}/b")), [0x11]);
    assert_eq!(client.unsubscribe(&filters[1]), [0]);
    client.put(&Publish::new(format!("{prefix}/b"), "no more"));
    client.publish_to_itself(&filters[0]);
    client.publish_to_itself(&filters[2]);
    assert_eq!(client.unsubscribe(&filters[0]), [0]);
    client.put(&Publish::new(&filters[0], "no more"));
    client.publish_to_itself(&filters[2]);
}

#[test]
fn mqtt_3_10_4_2_nothing_is_added_after_unsubscribe() {
    let (topic, other) = (unique(), unique());
    let mut client = Client::subscribed(&topic, 1);
    client.subscribe(&other, 1);
    let mut publisher = Client::new();
    publisher.publish(Publish::new(&topic, "before"));
    assert_eq!(client.published().payload(), "before");
    assert_eq!(client.unsubscribe(&topic), [0]);
    publisher.publish(Publish::new(&topic, "after"));
    publisher.publish(Publish::new(&other, "marker"));
    assert_eq!(client.published().payload(), "marker");
}

#[test]
fn mqtt_3_10_4_3_what_is_under_way_is_delivered_to_the_end() {
    let (id, topic) = (unique(), unique());
    let connect = Connect::new(&id).lasting();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 2);
    let mut publisher = Client::new();
    publisher.publish(Publish::new(&topic, "at QoS 1"));
    publisher.publish_twice_acked(Publish::new(&topic, "at QoS 2"));
    let (first, second) = (client.published(), client.published());
    assert_eq!(client.unsubscribe(&topic), [0]);
    client.answer(0x50, second.id);
    assert_eq!(client.publish_release().id, second.id);
    client.vanish();
    let mut client = Client::connect(&connect.resume());
    let mut again = [client.next(), client.next()];
    again.sort_by_key(|packet| matches!(packet, Packet::PublishRelease(_)));
    let [Packet::Publish(publish), Packet::PublishRelease(release)] = again else {
        panic!("{again:?}");
    };
    assert_eq!((publish.id, publish.payload()), (first.id, "at QoS 1"));
    assert_eq!(release.id, second.id);
    client.answer(0x40, first.id);
    client.answer(0x70, second.id);
    client.ping();
}

#[test]
fn mqtt_3_10_4_4_unsubscribe_is_answered_with_unsuback() {
    let mut client = Client::subscribed("a", 0);
    client.send(unsubscribe_body("a").frame(0xa2));
    assert!(matches!(client.next(), Packet::UnsubscribeAck(_)));
}

#[test]
fn mqtt_3_10_4_5_unsuback_has_the_identifier_even_when_nothing_was_deleted() {
    let mut client = Client::subscribed("a", 0);
    for (id, filter) in [(40_000, "a"), (u16::MAX, "a"), (3, "never")] {
        client.send(Subscribe::new(id).to(filter, 0).unsubscribe(client.version));
        assert_eq!(client.unsubscribe_ack().id, id);
    }
}

#[test]
fn mqtt_3_10_4_6_several_filters_are_as_several_unsubscribes() {
    let topics = [unique(), unique(), unique()];
    let mut client = Client::new();
    for topic in &topics {
        client.subscribe(topic, 0);
    }
    let both = Subscribe::new(9).to(&topics[0], 0).to(&topics[1], 0);
    client.send(both.unsubscribe(client.version));
    let ack = client.unsubscribe_ack();
    assert_eq!((ack.id, ack.reasons.as_slice()), (9, &[0, 0][..]));
    client.put(&Publish::new(&topics[0], "no more"));
    client.put(&Publish::new(&topics[1], "no more"));
    client.publish_to_itself(&topics[2]);
}

/// UNSUBACK comes, within the client's bound and without this property.
fn fits_without(property: u8) {
    let (mut client, most) = Client::terse_at(broker().plain);
    client.send(Subscribe::new(1).to("never", 0).unsubscribe(client.version));
    let ack = client.unsubscribe_ack();
    assert_eq!(ack.reasons, [0x11]);
    assert!(client.packet_bytes <= most && !ack.properties.has(property));
}

#[test]
fn mqtt_3_11_2_1_no_reason_string_that_makes_unsuback_too_large() {
    fits_without(REASON_STRING);
}

#[test]
fn mqtt_3_11_2_2_no_user_property_that_makes_unsuback_too_large() {
    fits_without(USER_PROPERTY);
}

#[test]
fn mqtt_3_11_3_1_the_reasons_are_in_the_order_of_the_filters() {
    let mut client = Client::new();
    client.request(&Subscribe::new(1).to("a", 0).to("b", 0));
    let filters = ["x", "b", "y", "a", "a"];
    let request = filters
        .iter()
        .fold(Subscribe::new(2), |request, filter| request.to(filter, 0));
    client.send(request.unsubscribe(client.version));
    assert_eq!(client.unsubscribe_ack().reasons, [0x11, 0, 0x11, 0, 0x11]);
}

#[test]
fn mqtt_3_11_3_2_the_reasons_are_those_of_unsuback() {
    let known = [0x00, 0x11, 0x80, 0x83, 0x87, 0x8f, 0x91];
    let mut client = Client::subscribed("a", 0);
    for filter in ["a", "b", "$SYS/#", "$share/group/a"] {
        let reasons = client.unsubscribe(filter);
        assert!(
            matches!(reasons[..], [reason] if known.contains(&reason)),
            "{reasons:?}"
        );
    }
}

#[test]
fn mqtt_3_12_4_1_pingreq_is_answered_with_pingresp() {
    let mut client = Client::new();
    client.send([0xc0, 0, 0xc0, 0]);
    assert_eq!(client.next(), Packet::PingResponse);
    assert_eq!(client.next(), Packet::PingResponse);
    client.ping();
}

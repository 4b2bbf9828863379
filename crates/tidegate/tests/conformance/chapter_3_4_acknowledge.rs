//! PUBACK, PUBREC, PUBREL and PUBCOMP (sections 3.4 to 3.7).

use crate::client::{Client, unique};
use crate::packet::{Ack, Publish};
use crate::property::{REASON_STRING, USER_PROPERTY};
use crate::server::broker;

/// Puts PUBLISH to a topic without subscribers, which is worth a reason.
fn puback(client: &mut Client) -> Ack {
    client.put(&Publish::new("t", "").qos(1, 1));
    client.publish_ack()
}

fn pubrec(client: &mut Client) -> Ack {
    client.put(&Publish::new("t", "").qos(2, 2));
    client.publish_received()
}

/// For a PUBREC that answers nothing.
fn pubrel(client: &mut Client) -> Ack {
    client.answer(0x50, 40_000);
    client.publish_release()
}

/// For a PUBREL that belongs to nothing.
fn pubcomp(client: &mut Client) -> Ack {
    client.answer(0x62, 40_000);
    client.publish_complete()
}

/// The acknowledgement comes, within the client's bound and without this property.
fn fits_without(property: u8, ask: fn(&mut Client) -> Ack) {
    let (mut client, most) = Client::terse_at(broker().plain);
    let ack = ask(&mut client);
    assert!(client.packet_bytes <= most, "{ack:?}");
    assert!(!ack.properties.has(property), "{ack:?}");
    client.ping();
}

#[test]
fn mqtt_3_4_2_1_puback_gives_one_of_its_reasons() {
    let topic = unique();
    let mut client = Client::new();
    let reasons = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    let lonely = client.publish(Publish::new(&topic, ""));
    assert!(reasons.contains(&lonely), "{lonely:#04x}");
    let _subscriber = Client::subscribed(&topic, 0);
    assert_eq!(client.publish(Publish::new(&topic, "")), 0);
}

#[test]
fn mqtt_3_4_2_2_no_reason_string_that_makes_puback_too_large() {
    fits_without(REASON_STRING, puback);
}

#[test]
fn mqtt_3_4_2_3_no_user_property_that_makes_puback_too_large() {
    fits_without(USER_PROPERTY, puback);
}

#[test]
fn mqtt_3_5_2_1_pubrec_gives_one_of_its_reasons() {
    let topic = unique();
    let mut client = Client::new();
    let reasons = [0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    client.put(&Publish::new(&topic, "").qos(2, 1));
    let lonely = client.publish_received().reason;
    assert!(reasons.contains(&lonely), "{lonely:#04x}");
    let _subscriber = Client::subscribed(&topic, 0);
    client.put(&Publish::new(&topic, "").qos(2, 2));
    assert_eq!(client.publish_received().reason, 0);
}

#[test]
fn mqtt_3_5_2_2_no_reason_string_that_makes_pubrec_too_large() {
    fits_without(REASON_STRING, pubrec);
}

#[test]
fn mqtt_3_5_2_3_no_user_property_that_makes_pubrec_too_large() {
    fits_without(USER_PROPERTY, pubrec);
}

#[test]
fn mqtt_3_6_1_1_pubrel_with_other_reserved_bits_is_malformed() {
    for first in [0x60, 0x61, 0x63, 0x66, 0x6a] {
        let mut client = Client::new();
        client.put(&Publish::new("t", "").qos(2, 1));
        assert_eq!(client.publish_received().id, 1);
        client.answer(first, 1);
        assert_eq!(client.disconnected(), 0x81);
    }
}

#[test]
fn mqtt_3_6_2_1_pubrel_gives_one_of_its_reasons() {
    let topic = unique();
    let mut client = Client::subscribed(&topic, 2);
    assert_eq!(pubrel(&mut client).reason, 0x92);
    Client::new().publish_twice_acked(Publish::new(&topic, ""));
    let publish = client.published();
    client.answer(0x50, publish.id);
    assert_eq!(client.publish_release().reason, 0);
}

#[test]
fn mqtt_3_6_2_2_no_reason_string_that_makes_pubrel_too_large() {
    fits_without(REASON_STRING, pubrel);
}

#[test]
fn mqtt_3_6_2_3_no_user_property_that_makes_pubrel_too_large() {
    fits_without(USER_PROPERTY, pubrel);
}

#[test]
fn mqtt_3_7_2_1_pubcomp_gives_one_of_its_reasons() {
    let mut client = Client::new();
    assert_eq!(pubcomp(&mut client).reason, 0x92);
    client.put(&Publish::new("t", "").qos(2, 9));
    assert_eq!(client.publish_received().id, 9);
    client.answer(0x62, 9);
    assert_eq!(client.publish_complete().reason, 0);
}

#[test]
fn mqtt_3_7_2_2_no_reason_string_that_makes_pubcomp_too_large() {
    fits_without(REASON_STRING, pubcomp);
}

#[test]
fn mqtt_3_7_2_3_no_user_property_that_makes_pubcomp_too_large() {
    fits_without(USER_PROPERTY, pubcomp);
}

//! QoS 2 in both directions, whatever is lost on the way.

use super::driver::*;
use super::packets::{Ack, Packet, Publish};
use crate::codec::ReasonCode;

fn publish(driver: &mut Driver, connection: u32, packet_id: u16, dup: bool) {
    let packet = Publish {
        dup,
        ..publish_packet("a", "x", Q2, packet_id)
    };
    driver.packet(connection, Packet::Publish(packet));
}

#[test]
fn a_message_sent_again_before_pubrel_is_delivered_once() {
    let mut driver = Driver::plain();
    driver.join(1, persistent("pub"));
    driver.join(2, connect_packet("sub"));
    driver.subscribe(2, &[filter("a", Q0)]);
    publish(&mut driver, 1, 5, false);
    assert_eq!(driver.got(1), ["pubrec 5 Success"]);
    driver.lose(1);
    driver.join(1, persistent("pub"));
    publish(&mut driver, 1, 5, true);
    assert_eq!(driver.got(1), ["pubrec 5 Success"]);
    assert_eq!(driver.got(2), ["a x q0"]);
    driver.ack(1, Packet::PubRel, 5);
    assert_eq!(driver.got(1), ["pubcomp 5 Success"]);
    // Released, the identifier is one for a new message, whatever DUP says.
    publish(&mut driver, 1, 5, true);
    assert_eq!(driver.got(2), ["a x q0"]);
}

#[test]
fn a_delivery_goes_on_where_it_was_after_each_loss() {
    let mut driver = Driver::plain();
    driver.join(1, persistent("sub"));
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("a", Q2)]);
    driver.publish(2, "a", "x", Q2);
    assert_eq!(driver.got(1), ["a x q2 #1"]);
    driver.lose(1);
    assert_eq!(
        driver.connect(1, persistent("sub")),
        ["connack Success present", "a x q2 #1 dup"]
    );
    driver.ack(1, Packet::PubRec, 1);
    assert_eq!(driver.got(1), ["pubrel 1 Success"]);
    driver.lose(1);
    assert_eq!(
        driver.connect(1, persistent("sub")),
        ["connack Success present", "pubrel 1 Success"]
    );
    driver.ack(1, Packet::PubRec, 1);
    assert_eq!(driver.got(1), ["pubrel 1 Success"]);
    driver.ack(1, Packet::PubComp, 1);
    driver.lose(1);
    assert_eq!(
        driver.connect(1, persistent("sub")),
        ["connack Success present"]
    );
}

#[test]
fn a_refused_delivery_is_over() {
    let mut driver = Driver::plain();
    driver.join(1, persistent("sub"));
    driver.join(2, connect_packet("pub"));
    driver.subscribe(1, &[filter("a", Q2)]);
    driver.publish(2, "a", "x", Q2);
    driver.got(1);
    let refused = Ack {
        packet_id: 1,
        reason: ReasonCode::QuotaExceeded,
    };
    driver.packet(1, Packet::PubRec(refused));
    assert!(driver.got(1).is_empty());
    driver.lose(1);
    assert_eq!(
        driver.connect(1, persistent("sub")),
        ["connack Success present"]
    );
}

#[test]
fn unknown_identifiers_are_answered_as_such() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("a"));
    driver.ack(1, Packet::PubRel, 9);
    driver.ack(1, Packet::PubRec, 9);
    driver.ack(1, Packet::PubAck, 9);
    driver.ack(1, Packet::PubComp, 9);
    let expected = [
        "pubcomp 9 PacketIdentifierNotFound",
        "pubrel 9 PacketIdentifierNotFound",
    ];
    assert_eq!(driver.got(1), expected);
}

#[test]
fn an_acknowledgement_of_the_other_kind_is_a_protocol_error() {
    let mut driver = Driver::plain();
    driver.join(1, connect_packet("a"));
    driver.subscribe(1, &[filter("a", Q2)]);
    driver.publish(1, "a", "x", Q2);
    driver.got(1);
    driver.ack(1, Packet::PubAck, 1);
    assert_eq!(driver.got(1), ["disconnect ProtocolError", "close"]);
}

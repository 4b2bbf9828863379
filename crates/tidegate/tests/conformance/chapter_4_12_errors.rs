//! Enhanced authentication at a broker that offers no method of it, and errors (sections
//! 4.12 and 4.13).

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::property::{AUTHENTICATION_DATA, AUTHENTICATION_METHOD, Properties};
use crate::request::{Connect, Subscribe};
use crate::wire::Wire;

fn with_method() -> Connect {
    Connect::new(unique())
        .with(AUTHENTICATION_METHOD, "none such")
        .with(AUTHENTICATION_DATA, "data")
}

fn auth(reason: u8, method: &str) -> Vec<u8> {
    let properties = Properties::default().with(AUTHENTICATION_METHOD, method);
    Wire::new().byte(reason).properties(&properties).frame(0xf0)
}

#[test]
fn mqtt_4_12_0_1_an_unknown_authentication_method_is_refused_with_0x8c() {
    assert_eq!(Client::refused(&with_method()), 0x8c);
}

#[test]
fn mqtt_4_12_0_6_without_a_method_there_is_no_auth_and_no_method_in_connack() {
    let mut client = Client::open();
    client.send(
        Connect::new(unique())
            .user("somebody")
            .password("secret")
            .bytes(),
    );
    let ack = client.connect_ack();
    assert_eq!(ack.reason, 0);
    assert!(!ack.properties.has(AUTHENTICATION_METHOD));
    assert!(!ack.properties.has(AUTHENTICATION_DATA));
    client.ping();
}

#[test]
fn mqtt_4_12_0_7_auth_on_a_connection_without_a_method_is_a_protocol_error() {
    for reason in [0x18, 0x19] {
        let mut client = Client::new();
        client.send(auth(reason, "none such"));
        assert_eq!(client.disconnected(), 0x82);
    }
}

#[test]
fn mqtt_4_12_1_1_another_method_cannot_be_brought_in_later() {
    let mut client = Client::new();
    client.send(auth(0x19, "SCRAM-SHA-256"));
    assert_eq!(client.disconnected(), 0x82);
}

#[test]
fn mqtt_4_12_1_2_a_failed_re_authentication_ends_the_connection() {
    let topic = unique();
    let mut client = Client::subscribed(&topic, 0);
    let publish = Publish::new(&topic, "behind it").bytes(client.version);
    client.send([auth(0x19, "none such"), publish].concat());
    assert!(client.disconnected() >= 0x80);
}

#[test]
fn mqtt_4_13_1_1_malformed_packets_and_protocol_errors_end_the_connection() {
    let version = crate::request::Version::V5;
    let malformed = [
        // Of a type that there is not, or that only a server sends.
        vec![0x00, 0],
        vec![0xd0, 0],
        Wire::new().two(1).byte(0).byte(0).frame(0x90),
        // Too short, too long, of a length that never ends.
        vec![0x40, 1, 0],
        vec![0xc0, 1, 0],
        vec![0x30, 0xff, 0xff, 0xff, 0xff],
        // A property twice, where it does not belong, and one that there is not.
        Wire::new()
            .string("t")
            .variable(4)
            .raw([1, 0, 1, 0])
            .frame(0x30),
        Wire::new()
            .string("t")
            .variable(3)
            .raw([0x21, 0, 1])
            .frame(0x30),
        Wire::new()
            .string("t")
            .variable(2)
            .raw([0x7f, 0])
            .frame(0x30),
        // Properties longer than the packet.
        Wire::new().string("t").variable(9).frame(0x30),
    ];
    for bytes in malformed {
        let mut client = Client::new();
        client.ping();
        client.send(&bytes);
        assert!(matches!(client.disconnected(), 0x81 | 0x82), "{bytes:x?}");
    }
    // For those with a code of their own.
    let mut client = Client::new();
    client.send(Subscribe::new(1).to("a/#/b", 0).bytes(version));
    assert!(matches!(client.disconnected(), 0x81 | 0x82 | 0x8f));
}

#[test]
fn mqtt_4_13_2_1_a_reason_of_0x80_or_more_ends_the_connection() {
    // In a CONNACK, in a DISCONNECT of the broker, in one of the client's.
    assert!(Client::refused(&with_method()) >= 0x80);
    let mut client = Client::new();
    client.send([0xc1, 0]);
    assert!(matches!(client.next(), Packet::Disconnect(end) if end.reason >= 0x80));
    client.closed();
    let mut client = Client::new();
    client.send([0xe0, 1, 0x80]);
    client.closed();
}

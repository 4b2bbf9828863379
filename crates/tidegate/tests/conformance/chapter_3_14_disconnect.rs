//! DISCONNECT, and AUTH on a connection without enhanced authentication (sections 3.14 and
//! 3.15).

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish, Reason};
use crate::property::{REASON_STRING, SESSION_EXPIRY, USER_PROPERTY};
use crate::request::{Connect, Will};
use crate::server::broker;

/// The DISCONNECT by which the broker ends this connection.
fn farewell(mut client: Client) -> Reason {
    let Packet::Disconnect(disconnect) = client.next() else {
        panic!("not DISCONNECT");
    };
    client.closed();
    disconnect
}

/// DISCONNECTs for as many reasons as a client can make the broker give.
fn farewells() -> Vec<Reason> {
    let id = unique();
    let taken_over = Client::connect(&Connect::new(&id).lasting());
    let _successor = Client::connect(&Connect::new(&id));
    let mut malformed = Client::connect(&Connect::new(unique()).lasting());
    malformed.send([0xc1, 0]);
    let mut twice = Client::connect(&Connect::new(unique()).lasting());
    twice.send(Connect::new(unique()).bytes());
    let mut filter = Client::connect(&Connect::new(unique()).lasting());
    let subscribe = crate::request::Subscribe::new(1).to("a#", 0);
    filter.send(subscribe.bytes(filter.version));
    let silent = Client::connect(&Connect::new(unique()).keep_alive(1));
    [taken_over, malformed, twice, filter, silent]
        .map(farewell)
        .into()
}

#[test]
fn mqtt_3_14_0_1_no_disconnect_before_a_connack_of_success() {
    // Helpers fail on DISCONNECT instead of the end, or of CONNACK.
    for early in [vec![0xc0, 0], vec![0xc1, 0], vec![0x00, 0], vec![0xff; 8]] {
        assert_eq!(Client::turned_away(early), None);
    }
    let other = Connect {
        level: 7,
        ..Connect::new(unique())
    };
    assert_eq!(Client::turned_away(other.bytes()), Some(0x84));
    // Afterwards there is one.
    let mut client = Client::new();
    client.send([0xc1, 0]);
    assert_eq!(client.disconnected(), 0x81);
}

#[test]
fn mqtt_3_14_1_1_disconnect_with_reserved_bits_is_malformed() {
    for first in [0xe1, 0xe2, 0xe4, 0xe8] {
        let mut client = Client::new();
        client.ping();
        client.send([first, 0]);
        assert_eq!(client.disconnected(), 0x81);
    }
}

#[test]
fn mqtt_3_14_2_1_the_reasons_are_those_of_disconnect() {
    let known = [
        0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95,
        0x96, 0x97, 0x98, 0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
    ];
    for farewell in farewells() {
        assert!(known.contains(&farewell.reason), "{farewell:?}");
    }
}

#[test]
fn mqtt_3_14_2_2_the_server_sends_no_session_expiry_interval() {
    for farewell in farewells() {
        assert!(!farewell.properties.has(SESSION_EXPIRY), "{farewell:?}");
    }
}

/// DISCONNECT comes, within the client's bound and without this property.
fn fits_without(property: u8) {
    let (mut client, most) = Client::terse_at(broker().plain);
    client.ping();
    client.send([0xc1, 0]);
    let Packet::Disconnect(disconnect) = client.next() else {
        panic!("not DISCONNECT");
    };
    assert_eq!(disconnect.reason, 0x81);
    assert!(client.packet_bytes <= most && !disconnect.properties.has(property));
}

#[test]
fn mqtt_3_14_2_3_no_reason_string_that_makes_disconnect_too_large() {
    fits_without(REASON_STRING);
}

#[test]
fn mqtt_3_14_2_4_no_user_property_that_makes_disconnect_too_large() {
    fits_without(USER_PROPERTY);
}

#[test]
fn mqtt_3_14_4_1_nothing_is_sent_after_disconnect() {
    let topic = unique();
    let mut client = Client::subscribed(&topic, 0);
    // All of it would be answered, were it not behind what ends the connection.
    let publish = Publish::new(&topic, "x").bytes(client.version);
    client.send([vec![0xc1, 0], vec![0xc0, 0], publish].concat());
    assert_eq!(client.disconnected(), 0x81);
}

#[test]
fn mqtt_3_14_4_2_the_connection_ends_after_disconnect() {
    // The broker's own, and the client's.
    let mut client = Client::new();
    client.send([0xc1, 0]);
    assert!(matches!(client.next(), Packet::Disconnect(_)));
    client.closed();
    let mut client = Client::new();
    client.send([0xe0, 0]);
    client.closed();
}

#[test]
fn mqtt_3_14_4_3_a_normal_disconnect_discards_the_will() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let connect = Connect::new(unique()).will(Will::new(&topic, "gone"));
    for normal in [vec![0xe0, 0], vec![0xe0, 1, 0], vec![0xe0, 2, 0, 0]] {
        let mut client = Client::connect(&connect);
        client.send(normal);
        client.closed();
        watcher.publish_to_itself(&topic);
    }
    // Any other reason does not.
    let mut client = Client::connect(&connect);
    client.send([0xe0, 1, 0x80]);
    client.closed();
    assert_eq!(watcher.published().payload(), "gone");
}

#[test]
fn mqtt_3_15_1_1_auth_with_reserved_bits_is_malformed() {
    for first in [0xf1, 0xf2, 0xf4, 0xf8] {
        let mut client = Client::new();
        client.ping();
        client.send([first, 0]);
        assert_eq!(client.disconnected(), 0x81);
    }
}

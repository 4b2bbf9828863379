//! CONNACK (section 3.2).

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::property::{
    ASSIGNED_CLIENT_IDENTIFIER, AUTHENTICATION_METHOD, MAXIMUM_PACKET_SIZE, MAXIMUM_QOS,
    REASON_STRING, RECEIVE_MAXIMUM, RETAIN_AVAILABLE, SERVER_KEEP_ALIVE, TOPIC_ALIAS,
    TOPIC_ALIAS_MAXIMUM, USER_PROPERTY,
};
use crate::request::{Connect, Subscribe, Will};
use crate::server::broker;

/// The Connect Reason Codes (section 3.2.2.2).
pub(crate) const REASONS: [u8; 22] = [
    0x00, 0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8c, 0x90, 0x95, 0x97,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9f,
];

#[test]
fn mqtt_3_2_0_1_connack_comes_before_anything_else() {
    let (id, topic) = (unique(), unique());
    let mut client = Client::connect(&Connect::new(&id).lasting());
    client.subscribe(&topic, 1);
    client.disconnect();
    Client::new().publish(Publish::new(&topic, "waits"));
    // Both what waits and the answer to what is sent at once are ready early.
    let mut client = Client::open();
    client.send([Connect::new(&id).resume().bytes(), vec![0xc0, 0]].concat());
    assert!(matches!(client.next(), Packet::ConnectAck(_)));
    let mut rest = [client.next(), client.next()];
    rest.sort_by_key(|packet| *packet == Packet::PingResponse);
    assert!(matches!(rest, [Packet::Publish(_), Packet::PingResponse]));
}

#[test]
fn mqtt_3_2_0_2_there_is_one_connack_in_a_connection() {
    let connect = Connect::new(unique());
    let mut client = Client::connect(&connect);
    client.ping();
    client.subscribe(&unique(), 0);
    client.send(connect.bytes());
    assert!(matches!(client.next(), Packet::Disconnect(_)));
    client.closed();
}

#[test]
fn mqtt_3_2_2_1_the_reserved_acknowledge_flags_are_zero() {
    // The reader of this suite refuses them, with the session present and without.
    let id = unique();
    let (client, ack) = Client::welcome(&Connect::new(&id).lasting());
    assert!(!ack.session_present);
    client.disconnect();
    assert!(
        Client::welcome(&Connect::new(&id).resume())
            .1
            .session_present
    );
}

#[test]
fn mqtt_3_2_2_2_with_clean_start_no_session_is_present() {
    let id = unique();
    Client::connect(&Connect::new(&id).lasting()).disconnect();
    let (_, ack) = Client::welcome(&Connect::new(&id).lasting());
    assert_eq!((ack.session_present, ack.reason), (false, 0));
}

#[test]
fn mqtt_3_2_2_3_without_clean_start_the_flag_says_whether_there_is_a_session() {
    let connect = Connect::new(unique()).lasting().resume();
    for there in [false, true] {
        let (client, ack) = Client::welcome(&connect);
        assert_eq!((ack.session_present, ack.reason), (there, 0));
        client.disconnect();
    }
}

#[test]
fn mqtt_3_2_2_6_a_refusal_says_that_no_session_is_present() {
    let id = unique();
    Client::connect(&Connect::new(&id).lasting()).disconnect();
    let connect = Connect::new(&id)
        .resume()
        .with(AUTHENTICATION_METHOD, "none such");
    let mut client = Client::open();
    client.send(connect.bytes());
    let ack = client.connect_ack();
    assert!(ack.reason != 0 && !ack.session_present);
    // It is, in fact.
    assert!(
        Client::welcome(&Connect::new(&id).resume())
            .1
            .session_present
    );
}

#[test]
fn mqtt_3_2_2_7_after_a_refusal_the_connection_ends() {
    let mut client = Client::open();
    client.send(
        Connect::new(unique())
            .with(AUTHENTICATION_METHOD, "none such")
            .bytes(),
    );
    assert!(client.connect_ack().reason >= 0x80);
    client.closed();
}

#[test]
fn mqtt_3_2_2_8_the_reason_is_one_of_connacks() {
    let connect = Connect::new(unique());
    let (_, ack) = Client::welcome(&connect);
    assert!(REASONS.contains(&ack.reason));
    let refused = Client::refused(&connect.with(AUTHENTICATION_METHOD, "none such"));
    assert!(REASONS.contains(&refused));
    let other = Connect {
        level: 9,
        ..Connect::new(unique())
    };
    assert!(REASONS.contains(&Client::refused(&other)));
}

#[test]
fn mqtt_3_2_2_9_no_maximum_qos_because_every_qos_is_supported() {
    let (mut client, ack) = Client::welcome(&Connect::new(unique()));
    assert!(!ack.properties.has(MAXIMUM_QOS));
    assert_eq!(client.publish(Publish::new(unique(), "1")) & 0x80, 0);
    client.publish_twice_acked(Publish::new(unique(), "2"));
}

#[test]
fn mqtt_3_2_2_10_subscriptions_of_every_qos_are_accepted() {
    let topic = unique();
    for qos in 0..3 {
        Client::subscribed(&topic, qos).publish_to_itself(&topic);
    }
}

#[test]
fn mqtt_3_2_2_12_a_will_of_every_qos_is_within_the_capabilities() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 2);
    for qos in 0..3 {
        let will = Will::new(&topic, "gone").qos(qos);
        Client::connect(&Connect::new(unique()).will(will)).vanish();
        assert_eq!(watcher.published().qos, qos);
    }
}

#[test]
fn mqtt_3_2_2_13_a_retained_will_is_within_the_capabilities() {
    let topic = unique();
    let will = Will::new(&topic, "gone").retained();
    let (client, ack) = Client::welcome(&Connect::new(unique()).will(will));
    assert!(matches!(
        ack.properties.number(RETAIN_AVAILABLE),
        None | Some(1)
    ));
    let mut watcher = Client::subscribed(&topic, 0);
    client.vanish();
    assert_eq!(watcher.published().payload(), "gone");
    assert!(Client::subscribed(&topic, 0).published().retain);
}

#[test]
fn mqtt_3_2_2_15_a_packet_over_the_servers_maximum_ends_the_connection() {
    let connect = Connect::new(unique());
    let (mut client, ack) = Client::welcome_at(broker().tight, &connect);
    let maximum = ack.properties.number(MAXIMUM_PACKET_SIZE).unwrap();
    assert_eq!(maximum, 1024);
    // Fixed header of 3 bytes, the topic's length and one letter, no properties.
    let fits = Publish::new("t", vec![0; 1024 - 7]);
    assert_eq!(fits.bytes(client.version).len(), 1024);
    client.put(&fits);
    client.ping();
    client.send_in_vain(Publish::new("t", vec![0; 1024 - 6]).bytes(client.version));
    assert_eq!(client.disconnected(), 0x95);
}

#[test]
fn mqtt_3_2_2_16_the_assigned_identifier_is_new() {
    let mut clients = Vec::new();
    let mut ids = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let (client, ack) = Client::welcome(&Connect::new(""));
        let id = ack.properties.text(ASSIGNED_CLIENT_IDENTIFIER);
        assert!(ids.insert(id.unwrap().to_owned()), "given twice");
        clients.push(client);
    }
    // None of them took over another.
    clients.iter_mut().for_each(Client::ping);
}

#[test]
fn mqtt_3_2_2_17_a_topic_alias_over_the_servers_maximum_ends_the_connection() {
    let topic = unique();
    let (mut client, ack) = Client::welcome(&Connect::new(unique()));
    let maximum = ack.properties.number(TOPIC_ALIAS_MAXIMUM).unwrap();
    client.subscribe(&topic, 0);
    client.put(&Publish::new(&topic, "last").with(TOPIC_ALIAS, maximum));
    assert_eq!(client.published().payload(), "last");
    client.put(&Publish::new(&topic, "beyond").with(TOPIC_ALIAS, maximum + 1));
    assert_eq!(client.disconnected(), 0x94);
}

/// The CONNACK for a client that takes so many bytes; the reader checks its form.
fn small_connack(maximum: u32) -> (usize, bool) {
    let connect = Connect::new(unique()).with(MAXIMUM_PACKET_SIZE, maximum);
    let connect = connect.with(AUTHENTICATION_METHOD, "none such");
    let mut client = Client::open();
    client.send(connect.bytes());
    let ack = client.connect_ack();
    assert_eq!(ack.reason, 0x8c);
    let words = ack.properties.has(REASON_STRING) || ack.properties.has(USER_PROPERTY);
    (client.packet_bytes, words)
}

#[test]
fn mqtt_3_2_2_19_no_reason_string_that_makes_connack_too_large() {
    let (bytes, words) = small_connack(5);
    assert!(bytes == 5 && !words, "{bytes} bytes");
}

#[test]
fn mqtt_3_2_2_20_no_user_property_that_makes_connack_too_large() {
    let (bytes, words) = small_connack(6);
    assert!(bytes <= 6 && !words, "{bytes} bytes");
}

#[test]
fn mqtt_3_2_2_22_without_server_keep_alive_the_clients_own_holds() {
    let connect = Connect::new(unique()).keep_alive(1);
    let (mut client, ack) = Client::welcome(&connect);
    assert!(!ack.properties.has(SERVER_KEEP_ALIVE));
    let begun = std::time::Instant::now();
    assert_eq!(client.disconnected(), 0x8d);
    let millis = begun.elapsed().as_millis();
    assert!((1_000..3_000).contains(&millis), "after {millis} ms");
}

#[test]
fn mqtt_3_2_2_21_a_server_keep_alive_is_the_one_that_holds() {
    // Given only where the client's own does not hold: every value that a client can ask
    // for is granted as it is.
    for keep_alive in [0, 1, 60, u16::MAX] {
        let connect = Connect::new(unique()).keep_alive(keep_alive);
        let (mut client, ack) = Client::welcome(&connect);
        assert_eq!(ack.properties.number(SERVER_KEEP_ALIVE), None);
        client.ping();
    }
}

#[test]
fn mqtt_3_2_2_18_topic_aliases_are_taken_since_a_maximum_is_given() {
    let (first, second) = (unique(), unique());
    let (mut client, ack) = Client::welcome(&Connect::new(unique()));
    assert!(ack.properties.number(TOPIC_ALIAS_MAXIMUM) > Some(0));
    assert!(ack.properties.number(RECEIVE_MAXIMUM) > Some(0));
    let ack = client.request(&Subscribe::new(1).to(&first, 0).to(&second, 0));
    assert_eq!(ack.reasons, [0, 0]);
    // An alias can be given another topic.
    for topic in [&first, &second] {
        client.put(&Publish::new(topic, "by name").with(TOPIC_ALIAS, 1));
        assert_eq!(client.published().topic(), topic);
        client.put(&Publish::new("", "by alias").with(TOPIC_ALIAS, 1));
        assert_eq!(client.published().topic(), topic);
    }
}

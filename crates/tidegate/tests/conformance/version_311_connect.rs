//! MQTT 3.1.1 where it differs: CONNECT, CONNACK, sessions, DISCONNECT.

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::request::{Connect, Version, Will};

/// CONNECT flag bits.
const RESERVED: u8 = 0x01;

/// An answer to these first bytes, if there is one, and the end behind it.
fn answer(bytes: impl AsRef<[u8]>) -> Option<u8> {
    let mut client = Client::open();
    client.version = Version::V311;
    client.send_in_vain(bytes);
    let ack = match client.next_or_end()? {
        Packet::ConnectAck(ack) => ack,
        other => panic!("not CONNACK: {other:?}"),
    };
    assert!(ack.reason != 0 && !ack.session_present);
    client.closed();
    Some(ack.reason)
}

fn new() -> Client {
    Client::connect(&Connect::v311(unique()))
}

#[test]
fn mqtt311_3_1_0_2_a_second_connect_closes_the_connection() {
    let connect = Connect::v311(unique());
    let mut client = Client::connect(&connect);
    client.ping();
    client.send(connect.bytes());
    client.closed();
}

#[test]
fn mqtt311_3_1_2_2_an_unknown_protocol_level_is_refused_with_code_1() {
    for level in [0, 1, 3] {
        let connect = Connect {
            level,
            ..Connect::v311(unique())
        };
        assert_eq!(answer(connect.bytes()), Some(1));
    }
}

#[test]
fn mqtt311_3_1_2_3_the_reserved_connect_flag_closes_the_connection() {
    let connect = Connect::v311(unique());
    Client::connect(&connect).ping();
    assert_eq!(answer(connect.flip(RESERVED).bytes()), None);
}

#[test]
fn mqtt311_3_1_2_4_without_clean_session_the_session_is_resumed() {
    let (id, topic) = (unique(), unique());
    let connect = Connect::v311(&id).resume();
    let (mut client, ack) = Client::welcome(&connect);
    assert!(!ack.session_present);
    client.subscribe(&topic, 0);
    client.vanish();
    let (mut client, ack) = Client::welcome(&connect);
    assert!(ack.session_present);
    client.publish_to_itself(&topic);
}

#[test]
fn mqtt311_3_1_2_5_qos_1_and_2_messages_wait_for_a_client_that_is_away() {
    let (id, topic) = (unique(), unique());
    let connect = Connect::v311(&id).resume();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 2);
    client.disconnect();
    let mut publisher = new();
    publisher.publish(Publish::new(&topic, "1"));
    publisher.publish_twice_acked(Publish::new(&topic, "2"));
    let mut client = Client::connect(&connect);
    let got = [client.published(), client.published()];
    let got = got.map(|publish| (publish.qos, publish.payload().to_owned()));
    assert_eq!(got, [(1, "1".into()), (2, "2".into())]);
}

#[test]
fn mqtt311_3_1_2_6_a_clean_session_is_new_and_ends_with_its_connection() {
    let (id, topic) = (unique(), unique());
    let mut old = Client::connect(&Connect::v311(&id).resume());
    old.subscribe(&topic, 0);
    old.disconnect();
    let (mut clean, ack) = Client::welcome(&Connect::v311(&id));
    assert!(!ack.session_present);
    clean.put(&Publish::new(&topic, "nobody subscribes"));
    clean.ping();
    clean.subscribe(&topic, 0);
    clean.disconnect();
    let (mut next, ack) = Client::welcome(&Connect::v311(&id).resume());
    assert!(!ack.session_present);
    next.put(&Publish::new(&topic, "nobody subscribes"));
    next.ping();
}

#[test]
fn mqtt311_3_1_2_7_retained_messages_outlive_the_session() {
    let topic = unique();
    let mut publisher = new();
    publisher.publish(Publish::new(&topic, "stays").retained());
    publisher.disconnect();
    let mut client = new();
    client.subscribe(&topic, 0);
    assert_eq!(client.published().payload(), "stays");
}

#[test]
fn mqtt311_3_1_2_8_the_will_is_published_without_disconnect() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    Client::connect(&Connect::v311(unique()).will(Will::new(&topic, "gone"))).vanish();
    assert_eq!(watcher.published().payload(), "gone");
    // A protocol error is no DISCONNECT.
    let connect = Connect::v311(unique()).will(Will::new(&topic, "thrown out"));
    let mut client = Client::connect(&connect);
    client.send([0xc1, 0]);
    client.closed();
    assert_eq!(watcher.published().payload(), "thrown out");
}

#[test]
fn mqtt311_3_1_2_10_a_will_is_gone_once_it_was_published() {
    let (id, topic) = (unique(), unique());
    let mut watcher = Client::subscribed(&topic, 0);
    let will = Connect::v311(&id).will(Will::new(&topic, "gone"));
    Client::connect(&will.resume()).vanish();
    assert_eq!(watcher.published().payload(), "gone");
    Client::connect(&Connect::v311(&id).resume()).vanish();
    watcher.publish_to_itself(&topic);
}

#[test]
fn mqtt311_3_1_2_16_a_will_without_retain_is_not_retained() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    Client::connect(&Connect::v311(unique()).will(Will::new(&topic, "gone"))).vanish();
    assert_eq!(watcher.published().payload(), "gone");
    let mut late = new();
    late.subscribe(&topic, 0);
    late.publish_to_itself(&topic);
}

#[test]
fn mqtt311_3_1_2_17_a_will_with_retain_is_retained() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let will = Will::new(&topic, "gone").retained();
    Client::connect(&Connect::v311(unique()).will(will)).vanish();
    assert_eq!(watcher.published().payload(), "gone");
    let mut late = new();
    late.subscribe(&topic, 0);
    let kept = late.published();
    assert_eq!((kept.payload(), kept.retain), ("gone", true));
}

#[test]
fn mqtt311_3_1_2_22_a_password_needs_a_user_name() {
    let id = unique();
    let both = Connect::v311(&id).user("somebody").password("secret");
    Client::connect(&both).disconnect();
    assert_eq!(answer(Connect::v311(&id).password("secret").bytes()), None);
}

#[test]
fn mqtt311_3_1_2_24_a_silent_client_is_cut_off_after_its_keep_alive() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let connect = Connect::v311(unique()).keep_alive(1);
    let connect = connect.will(Will::new(&topic, "silent"));
    let begun = std::time::Instant::now();
    Client::connect(&connect).closed();
    let millis = begun.elapsed().as_millis();
    assert!((1_000..3_000).contains(&millis), "after {millis} ms");
    assert_eq!(watcher.published().payload(), "silent");
}

#[test]
fn mqtt311_3_1_3_6_an_empty_identifier_gets_one_of_its_own() {
    let mut clients = [(); 3].map(|()| Client::connect(&Connect::v311("")));
    // None takes over another.
    clients.iter_mut().for_each(Client::ping);
}

#[test]
fn mqtt311_3_1_3_8_an_empty_identifier_without_clean_session_is_code_2() {
    assert_eq!(Client::refused(&Connect::v311("").resume()), 2);
}

#[test]
fn mqtt311_3_1_4_1_a_malformed_connect_closes_the_connection() {
    let good = Connect::v311(unique()).bytes();
    let cut = crate::wire::Wire::new()
        .raw(&good[2..good.len() - 1])
        .frame(0x10);
    assert_eq!(answer(cut), None);
    assert_eq!(answer(Connect::v311(b"\xff").bytes()), None);
    let mut client = Client::open();
    client.version = Version::V311;
    client.send(good);
    assert_eq!(client.connect_ack().reason, 0);
}

#[test]
fn mqtt311_3_1_4_2_a_second_connection_closes_the_first() {
    let id = unique();
    let mut first = Client::connect(&Connect::v311(&id));
    let mut second = Client::connect(&Connect::v311(&id));
    first.closed();
    second.ping();
    // Be it one of another version.
    let mut third = Client::connect(&Connect::new(&id));
    second.closed();
    third.ping();
}

#[test]
fn mqtt311_3_1_4_4_a_good_connect_is_answered_with_code_0() {
    let mut client = Client::open();
    client.send(Connect::v311(unique()).bytes());
    client.version = Version::V311;
    let ack = client.connect_ack();
    assert_eq!((ack.reason, client.packet_bytes), (0, 4));
}

#[test]
fn mqtt311_3_1_4_5_nothing_behind_a_refused_connect_is_processed() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let publish = Publish::new(&topic, "not let in").bytes(Version::V311);
    let refused = Connect::v311("").resume().bytes();
    assert_eq!(answer([refused, publish].concat()), Some(2));
    watcher.publish_to_itself(&topic);
}

#[test]
fn mqtt311_3_2_0_1_connack_comes_first() {
    let (id, topic) = (unique(), unique());
    let connect = Connect::v311(&id).resume();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 1);
    client.disconnect();
    new().publish(Publish::new(&topic, "waits"));
    let mut client = Client::open();
    client.version = Version::V311;
    client.send(connect.bytes());
    assert!(client.connect_ack().session_present);
    assert_eq!(client.published().payload(), "waits");
}

#[test]
fn mqtt311_3_2_2_1_with_clean_session_no_session_is_present() {
    let id = unique();
    Client::connect(&Connect::v311(&id).resume()).disconnect();
    let (_, ack) = Client::welcome(&Connect::v311(&id));
    assert!(!ack.session_present);
}

#[test]
fn mqtt311_3_2_2_2_a_stored_session_is_present() {
    let connect = Connect::v311(unique()).resume();
    Client::connect(&connect).disconnect();
    assert!(Client::welcome(&connect).1.session_present);
}

#[test]
fn mqtt311_3_2_2_3_a_session_that_is_not_stored_is_not_present() {
    let (_, ack) = Client::welcome(&Connect::v311(unique()).resume());
    assert!(!ack.session_present);
}

#[test]
fn mqtt311_3_2_2_4_a_refusal_says_that_no_session_is_present() {
    let mut client = Client::open();
    client.version = Version::V311;
    client.send(Connect::v311("").resume().bytes());
    let ack = client.connect_ack();
    assert_eq!((ack.reason, ack.session_present), (2, false));
}

#[test]
fn mqtt311_3_2_2_5_after_a_refusal_the_connection_ends() {
    let mut client = Client::open();
    client.version = Version::V311;
    client.send(Connect::v311("").resume().bytes());
    assert_ne!(client.connect_ack().reason, 0);
    client.closed();
}

#[test]
fn mqtt311_3_14_1_1_disconnect_with_reserved_bits_closes_and_is_none() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let connect = Connect::v311(unique()).will(Will::new(&topic, "gone"));
    let mut client = Client::connect(&connect);
    client.send([0xe1, 0]);
    client.closed();
    assert_eq!(watcher.published().payload(), "gone");
    // Nor is one with a reason, which is MQTT 5.0.
    let mut client = Client::connect(&connect);
    client.send([0xe0, 1, 0]);
    client.closed();
    assert_eq!(watcher.published().payload(), "gone");
}

#[test]
fn mqtt311_3_14_4_3_disconnect_discards_the_will() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let connect = Connect::v311(unique()).will(Will::new(&topic, "gone"));
    Client::connect(&connect).disconnect();
    watcher.publish_to_itself(&topic);
    Client::connect(&connect).vanish();
    assert_eq!(watcher.published().payload(), "gone");
}

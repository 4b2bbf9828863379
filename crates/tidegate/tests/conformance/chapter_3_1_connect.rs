//! CONNECT: its place, its fixed and variable header (sections 3.1.0 to 3.1.2.10).

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::property::{SESSION_EXPIRY, WILL_DELAY};
use crate::request::{Connect, Will};
use crate::wire::Wire;

/// CONNECT flag bits.
const RESERVED: u8 = 0x01;
const WILL_FLAG: u8 = 0x04;
const WILL_QOS_1: u8 = 0x08;
const WILL_RETAIN: u8 = 0x20;
const PASSWORD: u8 = 0x40;
const USER_NAME: u8 = 0x80;

#[test]
fn mqtt_3_1_0_1_another_packet_before_connect_ends_the_connection() {
    let mut good = Client::new();
    good.ping();
    for early in [
        vec![0xc0, 0],
        Publish::new("early", "x").bytes(good.version),
    ] {
        assert_eq!(Client::turned_away(early), None);
    }
}

#[test]
fn mqtt_3_1_0_2_a_second_connect_is_a_protocol_error() {
    let connect = Connect::new(unique());
    let mut client = Client::connect(&connect);
    client.send(connect.bytes());
    assert_eq!(client.disconnected(), 0x82);
}

#[test]
fn mqtt_3_1_2_1_another_protocol_name_is_turned_away() {
    for protocol in ["MQTX", "mqtt", "MQTTT"] {
        let connect = Connect {
            protocol,
            ..Connect::new(unique())
        };
        let reason = Client::turned_away(connect.bytes());
        assert!(matches!(reason, None | Some(0x84)), "{reason:?}");
    }
    Client::new().ping();
}

#[test]
fn mqtt_3_1_2_2_another_protocol_version_is_turned_away_with_0x84() {
    let connect = Connect {
        level: 6,
        ..Connect::new(unique())
    };
    assert_eq!(Client::turned_away(connect.bytes()), Some(0x84));
}

#[test]
fn mqtt_3_1_2_3_the_reserved_connect_flag_is_refused() {
    let connect = Connect::new(unique());
    Client::connect(&connect).ping();
    Client::turned_away(connect.flip(RESERVED).bytes());
}

#[test]
fn mqtt_3_1_2_4_clean_start_discards_the_session() {
    let (id, topic) = (unique(), unique());
    let mut first = Client::connect(&Connect::new(&id).lasting());
    first.subscribe(&topic, 1);
    first.disconnect();
    let mut publisher = Client::new();
    publisher.publish(Publish::new(&topic, "for the old session"));

    let (mut second, ack) = Client::welcome(&Connect::new(&id).lasting());
    assert!(!ack.session_present);
    second.subscribe("another/topic", 1);
    publisher.publish(Publish::new(&topic, "nobody subscribes"));
    second.publish(Publish::new(unique(), "barrier"));
    second.ping();
}

#[test]
fn mqtt_3_1_2_5_without_clean_start_the_session_goes_on() {
    let (id, topic) = (unique(), unique());
    let mut first = Client::connect(&Connect::new(&id).lasting());
    first.subscribe(&topic, 1);
    first.disconnect();
    Client::new().publish(Publish::new(&topic, "meanwhile"));

    let (mut second, ack) = Client::welcome(&Connect::new(&id).lasting().resume());
    assert!(ack.session_present);
    assert_eq!(second.published().payload(), "meanwhile");
}

#[test]
fn mqtt_3_1_2_6_without_clean_start_a_missing_session_is_made() {
    let (id, topic) = (unique(), unique());
    let (mut first, ack) = Client::welcome(&Connect::new(&id).lasting().resume());
    assert!(!ack.session_present);
    first.subscribe(&topic, 0);
    first.disconnect();
    let (_, ack) = Client::welcome(&Connect::new(&id).resume());
    assert!(ack.session_present);
}

#[test]
fn mqtt_3_1_2_7_the_will_is_kept_with_the_session() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let will = Will::new(&topic, "gone").with(WILL_DELAY, 1);
    let connect = Connect::new(unique()).will(will).with(SESSION_EXPIRY, 60);
    // It is there when its connection is not.
    Client::connect(&connect).vanish();
    assert_eq!(watcher.published().payload(), "gone");
}

#[test]
fn mqtt_3_1_2_8_the_will_is_published_when_the_connection_ends_badly() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let connect = Connect::new(unique()).will(Will::new(&topic, "gone"));
    Client::connect(&connect).vanish();
    assert_eq!(watcher.published().payload(), "gone");

    // And for a DISCONNECT that asks for it.
    let mut client = Client::connect(&connect);
    client.send([0xe0, 1, 0x04]);
    client.closed();
    assert_eq!(watcher.published().payload(), "gone");

    // And when the delay is over, or the session is, which is sooner here.
    let delayed = Will::new(&topic, "late").with(WILL_DELAY, 600);
    let connect = Connect::new(unique()).will(delayed).with(SESSION_EXPIRY, 1);
    Client::connect(&connect).vanish();
    assert_eq!(watcher.published().payload(), "late");
}

#[test]
fn mqtt_3_1_2_9_a_will_flag_without_a_will_is_refused() {
    let id = unique();
    Client::connect(&Connect::new(&id).will(Will::new("will", ""))).disconnect();
    Client::turned_away(Connect::new(&id).flip(WILL_FLAG).bytes());
}

#[test]
fn mqtt_3_1_2_10_a_will_is_published_once_and_not_after_disconnect() {
    let (topic, id) = (unique(), unique());
    let mut watcher = Client::subscribed(&topic, 1);
    let will = Connect::new(&id).will(Will::new(&topic, "gone")).lasting();
    Client::connect(&will).vanish();
    assert_eq!(watcher.published().payload(), "gone");
    // The session is there, its will is not any more.
    Client::connect(&Connect::new(&id).resume()).vanish();
    Client::connect(&will).disconnect();
    watcher.publish_to_itself(&topic);
}

#[test]
fn mqtt_3_1_2_11_will_qos_without_a_will_is_refused() {
    let connect = Connect::new(unique());
    Client::connect(&connect).disconnect();
    Client::turned_away(connect.flip(WILL_QOS_1).bytes());
}

#[test]
fn mqtt_3_1_2_12_a_will_has_qos_0_1_or_2_and_not_3() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 2);
    for qos in 0..3 {
        let will = Will::new(&topic, "gone").qos(qos);
        Client::connect(&Connect::new(unique()).will(will)).vanish();
        assert_eq!(watcher.published().qos, qos);
    }
    let will = Will::new(&topic, "gone").qos(3);
    Client::turned_away(Connect::new(unique()).will(will).bytes());
}

#[test]
fn mqtt_3_1_2_13_will_retain_without_a_will_is_refused() {
    let connect = Connect::new(unique());
    Client::connect(&connect).disconnect();
    Client::turned_away(connect.flip(WILL_RETAIN).bytes());
}

#[test]
fn mqtt_3_1_2_14_a_will_without_retain_is_not_retained() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 8);
    let will = Will::new(&topic, "gone");
    Client::connect(&Connect::new(unique()).will(will)).vanish();
    assert!(!watcher.published().retain);
    let mut late = Client::subscribed(&topic, 0);
    late.ping();
    late.publish_to_itself(&topic);
}

#[test]
fn mqtt_3_1_2_15_a_will_with_retain_is_retained() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 8);
    let will = Will::new(&topic, "gone").retained();
    Client::connect(&Connect::new(unique()).will(will)).vanish();
    assert!(watcher.published().retain);
    let kept = Client::subscribed(&topic, 0).published();
    assert_eq!((kept.payload(), kept.retain), ("gone", true));
}

#[test]
fn mqtt_3_1_2_16_a_user_name_without_its_flag_is_refused() {
    let connect = Connect::new(unique()).user("somebody");
    Client::connect(&connect).disconnect();
    Client::turned_away(connect.flip(USER_NAME).bytes());
}

#[test]
fn mqtt_3_1_2_17_a_user_name_flag_without_a_user_name_is_refused() {
    let connect = Connect::new(unique());
    Client::connect(&connect).disconnect();
    Client::turned_away(connect.flip(USER_NAME).bytes());
}

#[test]
fn mqtt_3_1_2_18_a_password_without_its_flag_is_refused() {
    let connect = Connect::new(unique()).user("somebody").password("secret");
    Client::connect(&connect).disconnect();
    Client::turned_away(connect.flip(PASSWORD).bytes());
}

#[test]
fn mqtt_3_1_2_19_a_password_flag_without_a_password_is_refused() {
    let connect = Connect::new(unique()).user("somebody");
    Client::connect(&connect).disconnect();
    Client::turned_away(connect.flip(PASSWORD).bytes());
}

#[test]
fn mqtt_3_1_2_22_a_silent_client_is_cut_off_after_its_keep_alive() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    let will = Will::new(&topic, "silent");
    let mut silent = Client::connect(&Connect::new(unique()).keep_alive(1).will(will));
    // Any packet will do, not only PINGREQ.
    silent.send(Wire::new().two(9).byte(0).string("x").byte(0).frame(0x82));
    assert_eq!(silent.subscribe_ack().id, 9);
    let spoken = std::time::Instant::now();
    assert_eq!(silent.disconnected(), 0x8d);
    let millis = spoken.elapsed().as_millis();
    assert!((1_000..3_000).contains(&millis), "after {millis} ms");
    assert_eq!(watcher.published().payload(), "silent");
}

#[test]
fn mqtt_3_1_2_23_the_session_is_kept_while_its_expiry_interval_lasts() {
    let (id, topic) = (unique(), unique());
    let connect = Connect::new(&id).lasting();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 2);
    client.vanish();
    let mut publisher = Client::new();
    publisher.publish_twice_acked(Publish::new(&topic, "kept"));
    let (mut client, ack) = Client::welcome(&connect.clone().resume());
    assert!(ack.session_present);
    let kept = client.published();
    assert_eq!((kept.qos, kept.payload()), (2, "kept"));
    // So is the state of the delivery.
    client.answer(0x50, kept.id);
    assert_eq!(client.publish_release().id, kept.id);
    client.vanish();
    let mut client = Client::connect(&connect.resume());
    assert!(matches!(client.next(), Packet::PublishRelease(ack) if ack.id == kept.id));
}

//! Statements once more, where it is easier to get them wrong.

use std::time::{Duration, Instant};

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::property::{
    AUTHENTICATION_DATA, MAXIMUM_PACKET_SIZE, MESSAGE_EXPIRY, PAYLOAD_FORMAT, Properties,
    RECEIVE_MAXIMUM, REQUEST_PROBLEM_INFORMATION, REQUEST_RESPONSE_INFORMATION, SESSION_EXPIRY,
    SUBSCRIPTION_IDENTIFIER, USER_PROPERTY, WILL_DELAY,
};
use crate::request::{Connect, Subscribe, Version, Will};
use crate::wire::Wire;

#[test]
fn mqtt_4_13_1_1_properties_of_connect_out_of_their_range_end_the_connection() {
    let connect = || Connect::new(unique());
    Client::connect(
        &connect()
            .with(RECEIVE_MAXIMUM, 1)
            .with(MAXIMUM_PACKET_SIZE, 200),
    )
    .ping();
    for bad in [
        connect().with(RECEIVE_MAXIMUM, 0),
        connect().with(MAXIMUM_PACKET_SIZE, 0),
        connect().with(REQUEST_PROBLEM_INFORMATION, 2),
        connect().with(REQUEST_RESPONSE_INFORMATION, 2),
        connect().with(SESSION_EXPIRY, 1).with(SESSION_EXPIRY, 1),
        connect().with(AUTHENTICATION_DATA, "without a method"),
        connect().with(SUBSCRIPTION_IDENTIFIER, 1),
        connect().will(Will::new("will", "").with(PAYLOAD_FORMAT, 2)),
        connect().will(
            Will::new("will", "")
                .with(WILL_DELAY, 1)
                .with(WILL_DELAY, 1),
        ),
        connect().will(Will::new("will", "").with(RECEIVE_MAXIMUM, 1)),
    ] {
        let reason = Client::turned_away(bad.bytes());
        assert!(matches!(reason, None | Some(0x81 | 0x82)), "{reason:?}");
    }
}

#[test]
fn mqtt_4_13_1_1_properties_out_of_their_range_end_the_connection() {
    let ack = |reason: u8, properties: Properties| {
        Wire::new()
            .two(1)
            .byte(reason)
            .properties(&properties)
            .frame(0x40)
    };
    let subscribe = || Subscribe::new(1).to("a", 0);
    let once = Properties::default().with(USER_PROPERTY, ("a", "b"));
    let mut client = Client::new();
    client.request(&subscribe().with(SUBSCRIPTION_IDENTIFIER, 268_435_455));
    client.put(&Publish::new("t", "").with(PAYLOAD_FORMAT, 1));
    client.ping();
    for bad in [
        subscribe()
            .with(SUBSCRIPTION_IDENTIFIER, 0)
            .bytes(Version::V5),
        subscribe()
            .with(SUBSCRIPTION_IDENTIFIER, 1)
            .with(SUBSCRIPTION_IDENTIFIER, 2)
            .bytes(Version::V5),
        Publish::new("t", "")
            .with(PAYLOAD_FORMAT, 2)
            .bytes(Version::V5),
        Publish::new("t", "")
            .with(MESSAGE_EXPIRY, 1)
            .with(MESSAGE_EXPIRY, 1)
            .bytes(Version::V5),
        // A reason that PUBACK has not, and a property.
        ack(0x01, once),
        ack(0, Properties::default().with(SESSION_EXPIRY, 1)),
    ] {
        let mut client = Client::new();
        client.ping();
        client.send(&bad);
        assert!(matches!(client.disconnected(), 0x81 | 0x82), "{bad:x?}");
    }
}

#[test]
fn mqtt_4_3_3_10_a_repeated_publish_is_known_on_another_connection_too() {
    let topic = unique();
    let mut subscriber = Client::subscribed(&topic, 0);
    let connect = Connect::new(unique()).lasting();
    let mut publisher = Client::connect(&connect);
    let publish = Publish::new(&topic, "once").qos(2, 9);
    publisher.put(&publish);
    assert_eq!(publisher.publish_received().id, 9);
    publisher.vanish();
    let mut publisher = Client::connect(&connect.resume());
    publisher.put(&publish.again());
    assert_eq!(publisher.publish_received().id, 9);
    publisher.answer(0x62, 9);
    assert_eq!(publisher.publish_complete().reason, 0);
    publisher.publish(Publish::new(&topic, "marker"));
    assert_eq!(subscriber.published().payload(), "once");
    assert_eq!(subscriber.published().payload(), "marker");
}

#[test]
fn mqtt_4_9_0_2_the_quota_holds_for_what_is_sent_again() {
    let topic = unique();
    let connect = Connect::new(unique()).lasting();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 1);
    let mut publisher = Client::new();
    for payload in ["1", "2", "3"] {
        publisher.publish(Publish::new(&topic, payload));
        assert_eq!(client.published().payload(), payload);
    }
    client.vanish();
    let mut client = Client::connect(&connect.resume().with(RECEIVE_MAXIMUM, 1));
    for payload in ["1", "2", "3"] {
        let publish = client.published();
        assert_eq!((publish.payload(), publish.dup), (payload, true));
        client.ping();
        client.answer(0x40, publish.id);
    }
}

#[test]
fn mqtt_3_3_2_5_an_expired_retained_message_is_not_delivered() {
    let prefix = unique();
    let mut publisher = Client::new();
    let published = Instant::now();
    for (level, expiry) in [("brief", 1), ("lasting", 100)] {
        let publish = Publish::new(format!("{prefix}/{level}"), level).retained();
        publisher.publish(publish.with(MESSAGE_EXPIRY, expiry));
    }
    // Time itself is the condition here.
    while published.elapsed() < Duration::from_millis(2_100) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut client = Client::subscribed(&format!("{prefix}/+"), 0);
    let kept = client.published();
    assert_eq!(kept.payload(), "lasting");
    let left = kept.properties.number(MESSAGE_EXPIRY).unwrap();
    assert!((80..=98).contains(&left), "{left} s");
    client.ping();
}

#[test]
fn mqtt_3_8_3_3_no_local_concerns_its_own_subscription_only() {
    let prefix = unique();
    let mut client = Client::new();
    for (filter, options, identifier) in [("a", 4, 1), ("#", 0, 2)] {
        let id = client.fresh_id();
        let subscribe = Subscribe::new(id).to(format!("{prefix}/{filter}"), options);
        client.request(&subscribe.with(SUBSCRIPTION_IDENTIFIER, identifier));
    }
    client.put(&Publish::new(format!("{prefix}/a"), "own"));
    let own = client.published();
    assert_eq!(own.properties.numbers(SUBSCRIPTION_IDENTIFIER), [2]);
    client.ping();
}

#[test]
fn mqtt_4_7_0_1_wildcards_in_a_will_topic_are_refused() {
    for topic in ["a/#", "+"] {
        let reason = Client::turned_away(Connect::new(unique()).will(Will::new(topic, "")).bytes());
        assert!(
            matches!(reason, None | Some(0x81 | 0x82 | 0x90)),
            "{reason:?}"
        );
    }
    Client::connect(&Connect::new(unique()).will(Will::new("a/b", ""))).disconnect();
}

#[test]
fn mqtt_4_7_3_1_a_will_topic_has_at_least_one_character() {
    let reason = Client::turned_away(Connect::new(unique()).will(Will::new("", "")).bytes());
    assert!(
        matches!(reason, None | Some(0x81 | 0x82 | 0x90)),
        "{reason:?}"
    );
    Client::connect(&Connect::new(unique()).will(Will::new("/", ""))).disconnect();
}

#[test]
fn mqtt_3_10_4_1_a_shared_filter_is_another_than_the_filter_in_it() {
    let topic = unique();
    let shared = format!("$share/group/{topic}");
    let mut client = Client::subscribed(&topic, 0);
    client.subscribe(&shared, 0);
    assert_eq!(client.unsubscribe(&format!("$share/other/{topic}")), [0x11]);
    assert_eq!(client.unsubscribe(&topic), [0]);
    assert_eq!(client.unsubscribe(&topic), [0x11]);
    client.publish_to_itself(&topic);
    assert_eq!(client.unsubscribe(&shared), [0]);
    client.put(&Publish::new(&topic, "nobody subscribes"));
    client.ping();
}

#[test]
fn mqtt_3_1_2_24_what_waits_for_a_client_is_measured_by_the_connection_it_goes_to() {
    let topic = unique();
    let connect = Connect::new(unique()).lasting();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 1);
    let mut publisher = Client::new();
    publisher.publish(Publish::new(&topic, [b'x'; 200]));
    let large = client.published();
    assert_eq!(large.payload.len(), 200);
    client.vanish();
    publisher.publish(Publish::new(&topic, [b'y'; 200]));
    publisher.publish(Publish::new(&topic, "fits"));
    // Neither what was under way nor what waits fits any more.
    let connect = connect.resume();
    let small = connect.clone().with(MAXIMUM_PACKET_SIZE, 100);
    let mut client = Client::connect(&small);
    let fits = client.published();
    assert_eq!(fits.payload(), "fits");
    client.answer(0x40, fits.id);
    client.vanish();
    Client::connect(&connect).ping();
}

#[test]
fn mqtt_3_1_2_8_a_takeover_publishes_a_will_without_delay() {
    let (id, topic) = (unique(), unique());
    let mut watcher = Client::subscribed(&topic, 0);
    let connect = Connect::new(&id)
        .lasting()
        .will(Will::new(&topic, "taken over"));
    let mut first = Client::connect(&connect);
    let mut second = Client::connect(&Connect::new(&id).lasting().resume());
    assert_eq!(first.disconnected(), 0x8e);
    assert_eq!(watcher.published().payload(), "taken over");
    second.ping();
}

#[test]
fn mqtt_3_1_2_23_disconnect_can_change_how_long_the_session_lasts() {
    let (kept, ended) = (unique(), unique());
    for (id, before, after) in [(&kept, 1, 600), (&ended, 600, 0)] {
        let mut client = Client::connect(&Connect::new(id).with(SESSION_EXPIRY, before));
        let properties = Properties::default().with(SESSION_EXPIRY, after);
        client.send(Wire::new().byte(0).properties(&properties).frame(0xe0));
        client.closed();
    }
    let present = |id| {
        Client::welcome(&Connect::new(id).resume())
            .1
            .session_present
    };
    assert!(present(kept));
    assert!(!present(ended));
}

#[test]
fn mqtt_3_14_4_2_an_expiry_brought_in_with_disconnect_is_a_protocol_error() {
    let mut client = Client::connect(&Connect::new(unique()));
    let properties = Properties::default().with(SESSION_EXPIRY, 10);
    client.send(Wire::new().byte(0).properties(&properties).frame(0xe0));
    assert_eq!(client.disconnected(), 0x82);
}

#[test]
fn mqtt_4_3_3_4_a_pubrec_for_a_qos_1_message_does_not_complete_it() {
    let topic = unique();
    let connect = Connect::new(unique()).lasting();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 1);
    Client::new().publish(Publish::new(&topic, "x"));
    let publish = client.published();
    client.answer(0x50, publish.id);
    // It is told that there is no such exchange, or sent away.
    match client.next() {
        Packet::PublishRelease(release) => assert_eq!(release.reason, 0x92),
        Packet::Disconnect(disconnect) => assert_eq!(disconnect.reason, 0x82),
        other => panic!("{other:?}"),
    }
    drop(client);
    let again = Client::connect(&connect.resume()).published();
    assert_eq!((again.id, again.payload()), (publish.id, "x"));
}

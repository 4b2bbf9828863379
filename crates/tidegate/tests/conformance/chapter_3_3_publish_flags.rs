//! PUBLISH: DUP, QoS and RETAIN (section 3.3.1).

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::request::{Connect, Subscribe};

/// Subscription options.
const RETAIN_AS_PUBLISHED: u8 = 0x08;
const RETAIN_IF_NEW: u8 = 0x10;
const RETAIN_NEVER: u8 = 0x20;

/// A topic with a retained message.
fn retained_topic(payload: &str) -> String {
    let topic = unique();
    Client::new().publish(Publish::new(&topic, payload).retained());
    topic
}

/// The retained message of a topic, as a new subscriber gets it; a message that is not
/// retained tells that there is none.
fn retained(topic: &str) -> Option<String> {
    let mut client = Client::subscribed(topic, RETAIN_AS_PUBLISHED);
    client.put(&Publish::new(topic, "marker"));
    let first = client.published();
    first.retain.then(|| first.payload().to_owned())
}

#[test]
fn mqtt_3_3_1_1_a_publish_that_is_sent_again_has_dup_set() {
    let (id, topic) = (unique(), unique());
    let connect = Connect::new(&id).lasting();
    let mut client = Client::connect(&connect);
    client.subscribe(&topic, 1);
    Client::new().publish(Publish::new(&topic, "x"));
    let first = client.published();
    assert!(!first.dup);
    client.vanish();
    let again = Client::connect(&connect.resume()).published();
    assert!(again.dup);
    assert_eq!(again.id, first.id);
}

#[test]
fn mqtt_3_3_1_2_no_qos_0_message_has_dup_set() {
    let topic = unique();
    let mut client = Client::subscribed(&topic, 2);
    client.put(&Publish::new(&topic, "good"));
    let publish = client.published();
    assert_eq!((publish.qos, publish.dup), (0, false));
    client.send(Publish::new(&topic, "bad").again().bytes(client.version));
    assert!(matches!(client.disconnected(), 0x81 | 0x82));
}

#[test]
fn mqtt_3_3_1_3_dup_is_not_passed_on() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 2);
    let mut publisher = Client::new();
    for qos in [1, 2] {
        publisher.put(&Publish::new(&topic, "again").qos(qos, 7).again());
        let publish = watcher.published();
        assert_eq!((publish.qos, publish.dup), (qos, false));
    }
}

#[test]
fn mqtt_3_3_1_4_qos_3_is_malformed() {
    let mut client = Client::new();
    client.put(&Publish::new("t", "").qos(2, 1));
    assert_eq!(client.publish_received().id, 1);
    client.put(&Publish::new("t", "").qos(3, 1));
    assert_eq!(client.disconnected(), 0x81);
}

#[test]
fn mqtt_3_3_1_5_a_retained_message_replaces_the_one_before() {
    let topic = retained_topic("first");
    assert_eq!(retained(&topic).as_deref(), Some("first"));
    for qos in 0..3 {
        let payload = format!("at QoS {qos}");
        let mut publisher = Client::new();
        publisher.put(
            &Publish::new(&topic, &payload)
                .retained()
                .qos(qos, u16::from(qos)),
        );
        match qos {
            0 => publisher.ping(),
            1 => drop(publisher.publish_ack()),
            _ => {
                publisher.publish_received();
                publisher.answer(0x62, 2);
                publisher.publish_complete();
            }
        }
        assert_eq!(retained(&topic), Some(payload));
    }
}

#[test]
fn mqtt_3_3_1_6_an_empty_retained_message_is_passed_on_and_removes() {
    let topic = retained_topic("to be removed");
    let mut watcher = Client::subscribed(&topic, RETAIN_NEVER);
    Client::new().publish(Publish::new(&topic, "").retained());
    assert_eq!(watcher.published().payload(), "");
    assert_eq!(retained(&topic), None);
}

#[test]
fn mqtt_3_3_1_7_an_empty_message_is_not_kept() {
    let topic = unique();
    let mut watcher = Client::subscribed(&topic, 0);
    Client::new().publish(Publish::new(&topic, "").retained());
    assert_eq!(watcher.published().payload(), "");
    assert_eq!(retained(&topic), None);
}

#[test]
fn mqtt_3_3_1_8_a_message_without_retain_changes_nothing_kept() {
    let topic = retained_topic("kept");
    let mut publisher = Client::new();
    publisher.publish(Publish::new(&topic, "passing"));
    publisher.publish(Publish::new(&topic, ""));
    assert_eq!(retained(&topic).as_deref(), Some("kept"));
    let other = unique();
    publisher.publish(Publish::new(&other, "passing"));
    assert_eq!(retained(&other), None);
}

#[test]
fn mqtt_3_3_1_9_retain_handling_0_sends_every_matching_retained_message() {
    let prefix = unique();
    let mut publisher = Client::new();
    let mut expected: Vec<String> = (0..5).map(|n| format!("{prefix}/{n}")).collect();
    for topic in &expected {
        publisher.publish(Publish::new(topic, topic.as_bytes()).retained());
    }
    publisher.publish(Publish::new(unique(), "elsewhere").retained());
    let filter = format!("{prefix}/+");
    let mut client = Client::subscribed(&filter, 0);
    for _ in 0..2 {
        let mut got: Vec<String> = expected
            .iter()
            .map(|_| client.published().payload().to_owned())
            .collect();
        got.sort();
        expected.sort();
        assert_eq!(got, expected);
        client.ping();
        // Once more for the same subscription.
        client.subscribe(&filter, 0);
    }
}

#[test]
fn mqtt_3_3_1_10_retain_handling_1_sends_them_for_a_new_subscription_only() {
    let topic = retained_topic("kept");
    let mut client = Client::subscribed(&topic, RETAIN_IF_NEW);
    assert_eq!(client.published().payload(), "kept");
    client.subscribe(&topic, RETAIN_IF_NEW);
    client.publish_to_itself(&topic);
    assert_eq!(client.unsubscribe(&topic), [0]);
    client.subscribe(&topic, RETAIN_IF_NEW);
    assert_eq!(client.published().payload(), "kept");
}

#[test]
fn mqtt_3_3_1_11_retain_handling_2_sends_none() {
    let topic = retained_topic("kept");
    let mut client = Client::subscribed(&topic, RETAIN_NEVER);
    client.publish_to_itself(&topic);
    client.subscribe(&topic, 0);
    assert_eq!(client.published().payload(), "kept");
}

#[test]
fn mqtt_3_3_1_12_without_retain_as_published_retain_is_cleared() {
    let topic = unique();
    let mut client = Client::subscribed(&topic, 0);
    for retain in [true, false] {
        Client::new().publish(Publish {
            retain,
            ..Publish::new(&topic, "x")
        });
        assert!(!client.published().retain);
    }
    // What was kept is another matter.
    client.subscribe(&topic, 0);
    assert!(client.published().retain);
}

#[test]
fn mqtt_3_3_1_13_with_retain_as_published_retain_is_as_it_was() {
    let topic = unique();
    let mut client = Client::subscribed(&topic, RETAIN_AS_PUBLISHED);
    for retain in [true, false] {
        Client::new().publish(Publish {
            retain,
            ..Publish::new(&topic, "x")
        });
        assert_eq!(client.published().retain, retain);
    }
}

#[test]
fn mqtt_3_3_4_1_a_publish_is_answered_as_its_qos_says() {
    let topic = unique();
    let mut client = Client::new();
    client.put(&Publish::new(&topic, "0"));
    client.ping();
    client.put(&Publish::new(&topic, "1").qos(1, 11));
    assert!(matches!(client.next(), Packet::PublishAck(ack) if ack.id == 11));
    client.put(&Publish::new(&topic, "2").qos(2, 12));
    assert!(matches!(client.next(), Packet::PublishReceived(ack) if ack.id == 12));
    client.answer(0x62, 12);
    assert!(matches!(client.next(), Packet::PublishComplete(ack) if ack.id == 12));
}

#[test]
fn mqtt_3_3_4_2_overlapping_subscriptions_are_served_at_their_highest_qos() {
    let prefix = unique();
    let topic = format!("{prefix}/topic");
    let mut client = Client::new();
    let filters = Subscribe::new(1)
        .to(&topic, 0)
        .to(format!("{prefix}/#"), 2)
        .to(format!("{prefix}/+"), 1);
    assert_eq!(client.request(&filters).reasons, [0, 2, 1]);
    Client::new().publish_twice_acked(Publish::new(&topic, "once"));
    let publish = client.published();
    assert_eq!((publish.qos, publish.payload()), (2, "once"));
}

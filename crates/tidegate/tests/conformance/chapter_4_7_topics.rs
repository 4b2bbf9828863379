//! Topic names, topic filters and shared subscriptions (sections 4.7 and 4.8).

use crate::client::{Client, unique};
use crate::packet::{Packet, Publish};
use crate::request::{Connect, Subscribe};

const RETAIN_NEVER: u8 = 0x20;

/// Whether a filter is refused, be it in SUBACK or by DISCONNECT.
fn refuses(filter: &str) -> bool {
    let mut client = Client::new();
    client.send(
        Subscribe::new(1)
            .to(filter, RETAIN_NEVER)
            .bytes(client.version),
    );
    loop {
        match client.next() {
            Packet::SubscribeAck(ack) => return ack.reasons[0] >= 0x80,
            // What other tests publish meanwhile.
            Packet::Publish(_) => {}
            Packet::Disconnect(disconnect) => {
                assert!(matches!(disconnect.reason, 0x81 | 0x82 | 0x8f));
                client.closed();
                return true;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn mqtt_4_7_0_1_wildcards_are_for_filters_and_not_for_topics() {
    assert!(!refuses("a/+/#"));
    for topic in ["a/+", "a/#", "a+b"] {
        let mut client = Client::new();
        client.put(&Publish::new(topic, ""));
        assert!(matches!(client.disconnected(), 0x81 | 0x82 | 0x90));
    }
}

#[test]
fn mqtt_4_7_1_1_the_multi_level_wildcard_is_the_last_level() {
    for filter in ["a#", "a/#/b", "#/a", "a/b#", "##"] {
        assert!(refuses(filter), "{filter}");
    }
    assert!(!refuses("#") && !refuses("a/#"));
    // It matches its parent and everything below.
    let prefix = unique();
    let mut client = Client::subscribed(&format!("{prefix}/#"), 0);
    for topic in [
        prefix.clone(),
        format!("{prefix}/"),
        format!("{prefix}/a/b"),
    ] {
        client.put(&Publish::new(&topic, ""));
        assert_eq!(client.published().topic(), topic);
    }
    client.put(&Publish::new(format!("{prefix}x"), ""));
    client.ping();
}

#[test]
fn mqtt_4_7_1_2_the_single_level_wildcard_is_a_whole_level() {
    for filter in ["a+", "+a/b", "a/b+/c", "++"] {
        assert!(refuses(filter), "{filter}");
    }
    let prefix = unique();
    for (filter, topic, other) in [
        ("+/{}/b", "a/{}/b", "a/x/{}/b"),
        ("{}/+", "{}/b", "{}/b/c"),
        ("{}/+/+", "{}//c", "{}/c"),
        ("+/+/{}", "//{}", "/{}"),
    ] {
        let [filter, topic, other] = [filter, topic, other].map(|text| text.replace("{}", &prefix));
        let mut client = Client::subscribed(&filter, 0);
        client.put(&Publish::new(other, ""));
        client.publish_to_itself(&topic);
    }
}

#[test]
fn mqtt_4_7_2_1_a_leading_wildcard_does_not_match_a_leading_dollar() {
    let name = unique();
    let mut client = Client::new();
    for filter in ["#", "+/#"] {
        client.subscribe(filter, RETAIN_NEVER);
    }
    client.subscribe(&format!("+/{name}"), RETAIN_NEVER);
    // The broker's rules let nobody publish there, which is to be seen as well.
    assert_eq!(
        client.publish_among_others(&format!("$private/{name}")),
        0x87
    );
    client.put(&Publish::new(&name, "marker"));
    // Whatever other tests publish comes here as well.
    while let publish = client.published()
        && publish.topic() != name
    {
        assert!(!publish.topic().starts_with('$'), "{}", publish.topic());
    }
}

#[test]
fn mqtt_4_7_3_1_topics_and_filters_have_at_least_one_character() {
    let mut client = Client::new();
    client.put(&Publish::new("", "without an alias"));
    assert!(matches!(client.disconnected(), 0x81 | 0x82 | 0x90));
    assert!(refuses(""));
    assert!(!refuses("/"));
}

#[test]
fn mqtt_4_7_3_2_topics_and_filters_have_no_u_0000() {
    let mut client = Client::new();
    client.ping();
    client.put(&Publish::new("a\0", ""));
    assert_eq!(client.disconnected(), 0x81);
    assert!(refuses("a\0"));
}

#[test]
fn mqtt_4_7_3_3_topics_and_filters_of_65_535_bytes_are_served() {
    let mut topic = unique();
    topic.extend(std::iter::repeat_n(
        'x',
        usize::from(u16::MAX) - topic.len(),
    ));
    let mut client = Client::subscribed(&topic, 0);
    client.publish_to_itself(&topic);
    let longer = format!("{}/", &topic[1..]);
    client.put(&Publish::new(longer, "another topic"));
    client.ping();
}

#[test]
fn mqtt_4_7_3_4_topics_are_compared_as_they_are() {
    let prefix = unique();
    // Composed and decomposed, letter case, spaces, empty levels, dots, escapes.
    let topics = [
        "é",
        "e\u{301}",
        "É",
        " é",
        "é/",
        "/é",
        "./é",
        "%C3%A9",
        "\u{200b}é",
    ]
    .map(|topic| format!("{prefix}/{topic}"));
    let mut client = Client::new();
    for (at, topic) in topics.iter().enumerate() {
        client.subscribe(topic, 0);
        for earlier in &topics[at + 1..] {
            client.put(&Publish::new(earlier, "another topic"));
        }
        client.publish_to_itself(topic);
        assert_eq!(client.unsubscribe(topic), [0]);
    }
}

#[test]
fn mqtt_4_8_2_1_a_shared_filter_has_a_share_name() {
    for filter in ["$share//a", "$share/", "$share"] {
        // The last is no shared filter at all.
        assert_eq!(refuses(filter), filter != "$share", "{filter}");
    }
    assert!(!refuses("$share/n/a"));
}

#[test]
fn mqtt_4_8_2_2_a_share_name_has_no_wildcard_and_a_filter_behind_it() {
    for filter in [
        "$share/a+/b",
        "$share/#/b",
        "$share/+/b",
        "$share/name",
        "$share/name/",
    ] {
        assert!(refuses(filter), "{filter}");
    }
    let topic = unique();
    let mut client = Client::subscribed(&format!("$share/name/{topic}/+"), 0);
    client.publish_to_itself(&format!("{topic}/a"));
}

/// Two members of a group with sessions that outlive them.
fn members(topic: &str, qos: u8) -> [(Client, Connect); 2] {
    [(); 2].map(|()| {
        let connect = Connect::new(unique()).lasting();
        let mut client = Client::connect(&connect);
        client.subscribe(&format!("$share/group/{topic}"), qos);
        (client, connect.resume())
    })
}

#[test]
fn mqtt_4_8_2_3_the_granted_qos_of_a_member_is_respected() {
    for granted in 0..3 {
        let topic = unique();
        let mut member = Client::subscribed(&format!("$share/group/{topic}"), granted);
        let mut publisher = Client::new();
        for published in 0..3 {
            publisher.put(&Publish::new(&topic, "").qos(published, published.into()));
            assert_eq!(member.published().qos, granted.min(published));
        }
    }
}

/// A message sent to one of two members, which has gone without acknowledging it: that
/// one, the other, and the message.
fn abandoned(topic: &str, qos: u8) -> (Connect, Client, Publish) {
    let [(mut one, connect), (mut other, other_connect)] = members(topic, qos);
    let mut publisher = Client::new();
    // To whom the first goes is the broker's choice: ask until it is the one.
    loop {
        publisher.publish_twice_acked(Publish::new(topic, "x"));
        one.send([0xc0, 0]);
        if let Packet::Publish(publish) = one.next() {
            assert_eq!(one.next(), Packet::PingResponse);
            one.vanish();
            other.ping_past_publishes();
            return (connect, other, publish);
        }
        assert_eq!(other.published().payload(), "x");
        other.vanish();
        other = Client::connect(&other_connect);
        let again = other.published();
        match qos {
            1 => other.answer(0x40, again.id),
            _ => other.answer_with(0x50, again.id, 0x80),
        }
    }
}

#[test]
fn mqtt_4_8_2_4_a_delivery_under_way_is_completed_when_the_member_is_back() {
    let topic = unique();
    let (connect, _other, message) = abandoned(&topic, 2);
    let mut member = Client::connect(&connect);
    let again = member.published();
    assert_eq!((again.id, again.dup), (message.id, true));
    member.answer(0x50, again.id);
    assert_eq!(member.publish_release().id, message.id);
}

#[test]
fn mqtt_4_8_2_5_a_qos_2_delivery_under_way_goes_to_nobody_else() {
    let topic = unique();
    let (connect, mut other, _) = abandoned(&topic, 2);
    // The member's session ends.
    Client::connect(&Connect {
        clean: true,
        ..connect
    })
    .disconnect();
    let own = unique();
    other.subscribe(&own, 0);
    other.publish_to_itself(&own);
}

#[test]
fn mqtt_4_8_2_6_a_message_that_a_member_refuses_goes_to_nobody_else() {
    let topic = unique();
    let [(mut one, _), (mut other, _)] = members(&topic, 2);
    let mut publisher = Client::new();
    // Both members get some of them and refuse all: each is seen once.
    let count = 10;
    for number in 0..count {
        match number % 2 {
            0 => drop(publisher.publish(Publish::new(&topic, number.to_string()))),
            _ => publisher.publish_twice_acked(Publish::new(&topic, number.to_string())),
        }
    }
    let mut seen = Vec::new();
    for member in [&mut one, &mut other] {
        member.send([0xc0, 0]);
        while let Packet::Publish(publish) = member.next() {
            let first = if publish.qos == 1 { 0x40 } else { 0x50 };
            member.answer_with(first, publish.id, 0x97);
            seen.push(publish.payload().parse::<u32>().unwrap());
        }
    }
    while seen.len() < count {
        // The first member's refusals must not have come here.
        let publish = other.published();
        seen.push(publish.payload().parse().unwrap());
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    one.ping();
    other.ping();
}

//! The broker's own topics, below `$SYS`, by the real binary.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use tidegate_mqtt::codec::{Packet, ReasonCode};

use crate::admin::{ask, samples};
use crate::harness::{Tidegate, eventually, free_address};
use crate::mqtt_client::Client;

const SHORTEST: &str = "system_interval = \"1s\"";

fn settings(listen: SocketAddr, admin: SocketAddr, keys: &str) -> String {
    format!(
        r#"
[runtime]
workers = 3
pin = false
[admin]
listen = "{admin}"
[servers.broker]
protocol = "mqtt"
listen = "{listen}"
{keys}
"#
    )
}

/// The next values, until `is_all` of them are there.
fn hear(
    client: &mut Client,
    heard: &mut BTreeMap<String, String>,
    is_all: impl Fn(&BTreeMap<String, String>) -> bool,
) {
    while !is_all(heard) {
        match client.receive() {
            Some(Packet::Publish(publish)) => {
                let topic = publish.topic.unwrap();
                let text = String::from_utf8(publish.payload.to_vec()).unwrap();
                heard.insert(topic.as_str().to_owned(), text);
            }
            other => panic!("PUBLISH is awaited, not {other:?}"),
        }
    }
}

fn number(heard: &BTreeMap<String, String>, topic: &str) -> u64 {
    heard
        .get(&format!("$SYS/broker/{topic}"))
        .and_then(|text| text.parse().ok())
        .unwrap_or(u64::MAX)
}

#[test]
fn figures_of_all_workers_are_published_to_who_asks_for_them() {
    let (listen, admin) = (free_address(), free_address());
    let mut process = Tidegate::start(&settings(listen, admin, SHORTEST));
    let mut others: Vec<_> = (0..8)
        .map(|it| Client::connect(listen, &format!("client-{it}")))
        .collect();
    for (client, at) in others.iter_mut().zip(0..) {
        client.subscribe(&format!("news/{at}"));
    }
    for at in 0..5 {
        others[0].publish(&format!("news/{}", at + 1), "12345");
    }
    // At once, long before the first interval is over would be enough.
    let mut watcher = Client::connect(listen, "watcher");
    watcher.subscribe("$SYS/#");
    let mut heard = BTreeMap::new();
    hear(&mut watcher, &mut heard, |heard| {
        number(heard, "clients/connected") == 9
            && number(heard, "publish/bytes/sent") < u64::MAX
            && number(heard, "subscriptions/count") == 9
    });
    assert_eq!(number(&heard, "clients/total"), 9);
    assert_eq!(number(&heard, "clients/disconnected"), 0);
    assert_eq!(number(&heard, "clients/maximum"), 9);
    assert_eq!(number(&heard, "publish/messages/received"), 5);
    assert_eq!(number(&heard, "publish/bytes/received"), 25);
    assert_eq!(number(&heard, "publish/messages/dropped"), 0);
    // CONNECT and SUBSCRIBE of nine, five PUBLISH; more, if receivers have acknowledged.
    assert!(number(&heard, "messages/received") >= 9 + 9 + 5);
    assert!(number(&heard, "bytes/received") > number(&heard, "publish/bytes/received"));
    let version = &heard["$SYS/broker/version"];
    assert!(version.starts_with("tidegate version "), "{version}");
    assert!(heard["$SYS/broker/uptime"].ends_with(" seconds"));

    // And again when they have changed; the maximum stays.
    others.truncate(4);
    hear(&mut watcher, &mut heard, |heard| {
        number(heard, "clients/connected") == 5
    });
    assert_eq!(number(&heard, "clients/maximum"), 9);
    process.stop();
}

#[test]
fn they_are_for_nobody_else_and_nobody_else_may_publish_there() {
    let (listen, admin) = (free_address(), free_address());
    let mut process = Tidegate::start(&settings(listen, admin, SHORTEST));
    let mut everything = Client::connect(listen, "everything");
    everything.subscribe("#");
    everything.subscribe("+/broker/uptime");
    let mut watcher = Client::connect(listen, "watcher");
    watcher.subscribe("$SYS/broker/clients/connected");
    let mut heard = BTreeMap::new();
    hear(&mut watcher, &mut heard, |heard| {
        number(heard, "clients/connected") == 2
    });
    assert_eq!(
        watcher.try_publish("$SYS/broker/uptime", "0"),
        ReasonCode::NotAuthorized
    );
    let retained = || {
        let metrics = samples(&ask(admin, "GET", "/metrics", "").body);
        metrics["tidegate_mqtt_retained_messages{server=\"broker\"}"]
    };
    assert!(retained() > 10.0);
    watcher.publish("news", "the first that comes");
    match everything.receive() {
        Some(Packet::Publish(publish)) => assert_eq!(publish.payload, "the first that comes"),
        other => panic!("PUBLISH is awaited, not {other:?}"),
    }
    // Once nobody asks for them, none are kept to grow old.
    drop(watcher);
    eventually("they are forgotten", || (retained() == 0.0).then_some(()));
    process.stop();
}

#[test]
fn an_update_turns_them_off_and_on_for_clients_that_stay() {
    let (listen, admin) = (free_address(), free_address());
    let mut process = Tidegate::start(&settings(listen, admin, "system_interval = \"0s\""));
    let mut watcher = Client::connect(listen, "watcher");
    watcher.subscribe("$SYS/broker/clients/connected");
    process.update(&settings(listen, admin, SHORTEST));
    let mut heard = BTreeMap::new();
    hear(&mut watcher, &mut heard, |heard| {
        number(heard, "clients/connected") == 1
    });
    process.update(&settings(listen, admin, "system_interval = \"0s\""));
    eventually("what was published is taken back", || {
        let metrics = samples(&ask(admin, "GET", "/metrics", "").body);
        let retained = metrics["tidegate_mqtt_retained_messages{server=\"broker\"}"];
        (retained == 0.0).then_some(())
    });
    process.stop();
}

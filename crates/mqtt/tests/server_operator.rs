//! Whoever runs a broker of two cores sees all of it, and has a hand in it, from a thread
//! that is none of its workers.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "server_support/client.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod client;
#[path = "server_support/cores.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod cores;

use std::collections::BTreeSet;
use std::sync::Arc;

use client::{PATIENCE, TestClient, connect, publish};
use cores::{TwoCores, at_home};
use tidegate_mqtt::broker::MessageParts;
use tidegate_mqtt::codec::{
    Delivery, MessageProperties, Packet, PacketIdentifier, ProtocolVersion, QualityOfService,
    ReasonCode, TopicFilter, TopicName,
};
use tidegate_mqtt::server::Exchange;
use tidegate_mqtt::server::operator::{Cursor, Kicked, NoAnswer, NotPublished, Operator, Which};
use tidegate_runtime::local::block_on;
use tokio::time::timeout;

fn message(topic: &str, payload: &str, retain: bool) -> MessageParts {
    MessageParts {
        topic: TopicName::try_from(topic).unwrap(),
        properties: MessageProperties::new(),
        payload: payload.to_owned().into(),
        qos: QualityOfService::AtLeastOnce,
        retain,
        expires_at: None,
    }
}

fn filter(text: &str) -> TopicFilter {
    TopicFilter::try_from(text).unwrap()
}

/// Runs a test with a broker whose cores both listen.
fn with_cores(test: impl AsyncFnOnce(&TwoCores, Operator)) {
    let cores = TwoCores::start();
    let operator = Operator::new(Arc::clone(&cores.exchange));
    block_on(test(&cores, operator));
    cores.stop();
}

#[test]
fn figures_add_up_over_the_cores_and_name_each_quality() {
    with_cores(async |cores, operator| {
        let here = at_home(0, "here");
        let there = at_home(1, "there");
        let mut receiver = TestClient::connect(cores.addresses[0], &here).await;
        receiver
            .subscribe("a/#", QualityOfService::AtLeastOnce)
            .await;
        let mut sender = TestClient::connect(cores.addresses[0], &there).await;
        let delivery = Delivery::AtLeastOnce(PacketIdentifier::FIRST);
        sender.send(&publish("a/b", delivery, b"12345")).await;
        assert!(matches!(
            sender.receive().await,
            Some(Packet::PublishAck(_))
        ));
        sender.send(&publish("c", Delivery::AtMostOnce, b"")).await;
        sender.send(&Packet::PingRequest).await;
        assert!(matches!(sender.receive().await, Some(Packet::PingResponse)));

        let figures = operator.figures().await;
        assert_eq!(figures.cores.len(), 2);
        assert_eq!(figures.sum(|core| core.connections), 2);
        assert_eq!(figures.sum(|core| core.sessions), 2);
        assert_eq!(figures.sum(|core| core.subscriptions), 1);
        assert_eq!(figures.counters.connects, 2);
        assert_eq!(figures.counters.publishes_received, 2);
        assert_eq!(figures.counters.publishes_received_qos1, 1);
        assert_eq!(figures.counters.payload_bytes_received, 5);
        assert!(figures.refused.is_empty());
    });
}

#[test]
fn refused_clients_are_counted_by_what_they_were_told() {
    with_cores(async |cores, operator| {
        let mut client = TestClient::open(cores.addresses[0], ProtocolVersion::V311).await;
        // MQTT 3.1.1 knows no assigned identifier for a session that is to be kept.
        let Packet::Connect(mut nameless) = connect(ProtocolVersion::V311, "") else {
            panic!("it is CONNECT");
        };
        nameless.clean_start = false;
        client.send(&Packet::Connect(nameless)).await;
        assert!(matches!(
            client.receive().await,
            Some(Packet::ConnectAck(_))
        ));
        assert_eq!(client.receive().await, None);
        let figures = operator.figures().await;
        let reason = ReasonCode::ClientIdentifierNotValid;
        assert_eq!(figures.refused, [(reason, 1)]);
        assert_eq!(figures.authentication_failures(), 0);
    });
}

#[test]
fn pages_of_sessions_and_subscriptions_leave_nobody_out() {
    with_cores(async |cores, operator| {
        let mut clients = Vec::new();
        let mut names = BTreeSet::new();
        for number in 0..7 {
            let name = format!("client-{number}");
            let mut client = TestClient::connect(cores.addresses[number % 2], &name).await;
            client
                .subscribe(&format!("of/{number}"), QualityOfService::AtMostOnce)
                .await;
            clients.push(client);
            names.insert(Box::from(name.as_str()));
        }
        let (mut seen, mut from) = (BTreeSet::new(), Some(Cursor::default()));
        while let Some(cursor) = from {
            let page = operator
                .sessions(Which::Connected, cursor, 2)
                .await
                .unwrap();
            assert!(page.entries.len() <= 2, "{page:?}");
            for entry in page.entries {
                assert_eq!(
                    (entry.version, entry.subscriptions),
                    (Some(ProtocolVersion::V5), 1)
                );
                assert!(seen.insert(entry.client_id), "nobody is listed twice");
            }
            from = page.next;
        }
        assert_eq!(seen, names);
        let all = operator
            .subscriptions(Cursor::default(), 100)
            .await
            .unwrap();
        assert_eq!((all.entries.len(), all.next), (7, None));
        let of = operator.subscriptions_of("client-3").await.unwrap();
        assert_eq!(&*of[0].subscription.filter, "of/3");
        assert!(
            operator
                .subscriptions_of("nobody")
                .await
                .unwrap()
                .is_empty()
        );
    });
}

#[test]
fn a_kicked_client_is_told_of_an_administrative_action() {
    with_cores(async |cores, operator| {
        for core in 0..2 {
            let name = at_home(core, "kicked");
            let mut client = TestClient::connect(cores.addresses[0], &name).await;
            assert_eq!(operator.kick(&name).await, Ok(Kicked::Kicked));
            match client.receive().await {
                Some(Packet::Disconnect(last)) => {
                    assert_eq!(last.reason, ReasonCode::AdministrativeAction);
                }
                other => panic!("DISCONNECT is awaited, not {other:?}"),
            }
            assert_eq!(client.receive().await, None);
            assert_eq!(operator.kick(&name).await, Ok(Kicked::Unknown));
        }
        let name = at_home(1, "older");
        let mut client = TestClient::open(cores.addresses[0], ProtocolVersion::V311).await;
        client.send(&connect(ProtocolVersion::V311, &name)).await;
        assert!(matches!(
            client.receive().await,
            Some(Packet::ConnectAck(_))
        ));
        assert_eq!(operator.kick(&name).await, Ok(Kicked::Kicked));
        assert_eq!(client.receive().await, None);
    });
}

#[test]
fn a_message_of_the_operator_reaches_subscribers_and_is_retained() {
    with_cores(async |cores, operator| {
        let mut receiver = TestClient::connect(cores.addresses[1], &at_home(1, "r")).await;
        receiver
            .subscribe("news", QualityOfService::AtLeastOnce)
            .await;
        operator
            .publish(message("news", "hello", true))
            .await
            .unwrap();
        match receiver.receive().await {
            Some(Packet::Publish(publish)) => assert_eq!(&publish.payload[..], b"hello"),
            other => panic!("PUBLISH is awaited, not {other:?}"),
        }
        operator
            .publish(message("other", "12", true))
            .await
            .unwrap();
        // Which core is asked does not matter, but a copy takes a moment to get there.
        let kept = timeout(PATIENCE, async {
            loop {
                let page = operator.retained(&filter("#"), None, 9).await.unwrap();
                if page.entries.len() == 2 {
                    return page;
                }
                tokio::task::yield_now().await;
            }
        });
        let kept = kept.await.expect("both are kept");
        let topics: Vec<_> = kept
            .entries
            .iter()
            .map(|it| (&*it.topic, it.payload_bytes))
            .collect();
        assert_eq!(topics, [("news", 5), ("other", 2)]);
        assert_eq!(kept.next, None);
        let first = operator.retained(&filter("#"), None, 1).await.unwrap();
        assert_eq!(first.next.as_deref(), Some("news"));
        let rest = operator
            .retained(&filter("#"), first.next.as_deref(), 9)
            .await
            .unwrap();
        assert_eq!(rest.entries.len(), 1);
        let reserved = operator.publish(message("$SYS/x", "", false)).await;
        assert_eq!(reserved, Err(NotPublished::Reserved));
    });
}

#[test]
fn a_tap_shows_what_every_core_is_sent_and_leaves_no_session_behind() {
    with_cores(async |cores, operator| {
        operator
            .publish(message("t/kept", "old", true))
            .await
            .unwrap();
        let mut tap = operator.tap(filter("t/#")).await.unwrap();
        let old = timeout(PATIENCE, tap.next()).await.unwrap().unwrap();
        assert_eq!((old.topic.as_str(), old.retain), ("t/kept", true));
        for core in 0..2 {
            let mut sender = TestClient::connect(cores.addresses[0], &at_home(core, "s")).await;
            // What is wanted takes a moment to be known to the other core.
            let seen = timeout(PATIENCE, async {
                loop {
                    sender
                        .send(&publish("t/new", Delivery::AtMostOnce, &[core]))
                        .await;
                    sender.send(&Packet::PingRequest).await;
                    sender.receive().await;
                    let soon = std::time::Duration::from_millis(50);
                    match timeout(soon, tap.next()).await {
                        Ok(Some(message)) if message.payload[..] == [core] => return message,
                        _ => {}
                    }
                }
            });
            let seen = seen.await.expect("the tap sees it");
            assert_eq!((seen.topic.as_str(), seen.retain), ("t/new", false));
        }
        assert_eq!(tap.dropped(), 0);
        drop(tap);
        let gone = timeout(PATIENCE, async {
            while operator.figures().await.sum(|core| core.subscriptions) > 0 {
                tokio::task::yield_now().await;
            }
        });
        gone.await.expect("the subscription ends");
    });
}

#[test]
fn a_tap_that_nobody_reads_drops_and_counts() {
    with_cores(async |_, operator| {
        let tap = operator.tap(filter("#")).await.unwrap();
        for _ in 0..2_000 {
            operator
                .publish(message("flood", "x", false))
                .await
                .unwrap();
        }
        let counted = timeout(PATIENCE, async {
            while tap.dropped() < 2_000 - 1_024 {
                tokio::task::yield_now().await;
            }
        });
        counted.await.expect("what found no room is counted");
        assert_eq!(tap.dropped(), 2_000 - 1_024);
    });
}

#[test]
fn a_broker_without_workers_is_answered_for_by_nobody() {
    let operator = Operator::new(Arc::new(Exchange::new(2)));
    block_on(async {
        assert_eq!(operator.kick("x").await, Err(NoAnswer));
        assert!(operator.figures().await.cores.is_empty());
        let listed = operator.sessions(Which::All, Cursor::default(), 9).await;
        assert_eq!(listed.err(), Some(NoAnswer));
    });
}

//! A broker inside another program does what its example says.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "server_support/client.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod client;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use client::{TestClient, publish};
use tidegate_mqtt::codec::{
    Delivery, Packet, PacketIdentifier, ReasonCode, Subscribe, Subscription, SubscriptionOptions,
    TopicFilter, UserProperties,
};
use tidegate_mqtt::server::embedded::{BrokerBuilder, StartError};
use tidegate_runtime::listener::ListenerBuilder;
use tidegate_runtime::local::block_on;

/// Ended, whatever becomes of the test.
struct Example(Child);

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Cargo builds examples beside tests, unless it is told to run this test alone.
fn example() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.parent().unwrap().parent().unwrap();
    let example = profile.join("examples").join("embedded_broker");
    if !example.exists() {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--package", "tidegate-mqtt", "--example"]);
        assert!(cargo.arg("embedded_broker").status().unwrap().success());
    }
    example
}

fn subscribe(filter: &str) -> Packet {
    Packet::Subscribe(Subscribe {
        packet_identifier: PacketIdentifier::FIRST,
        subscription_identifier: None,
        user_properties: UserProperties::new(),
        subscriptions: vec![Subscription {
            filter: TopicFilter::try_from(filter).unwrap(),
            options: SubscriptionOptions::default(),
        }],
    })
}

#[test]
fn the_example_listens_refuses_notes_and_stops() {
    let mut command = Command::new(example());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut example = Example(command.spawn().unwrap());
    let mut lines = BufReader::new(example.0.stdout.take().unwrap()).lines();
    let mut next = || lines.next().unwrap().unwrap();
    let listening = next();
    let address = listening.strip_prefix("listening at ").unwrap();
    let address: SocketAddr = address.parse().unwrap();
    block_on(async {
        let mut client = TestClient::connect(address, "visitor").await;
        client.send(&subscribe("greeting")).await;
        // The retained message may come before the answer (3.8.4).
        let mut greeting = None;
        for _ in 0..2 {
            match client.receive().await {
                Some(Packet::Publish(publish)) => greeting = Some(publish.payload),
                Some(Packet::SubscribeAck(_)) => {}
                other => panic!("the greeting is awaited, not {other:?}"),
            }
        }
        assert_eq!(greeting.unwrap(), "hello from the program");
        let delivery = Delivery::AtLeastOnce(PacketIdentifier::FIRST);
        client.send(&publish("private/x", delivery, b"")).await;
        match client.receive().await {
            Some(Packet::PublishAck(ack)) => assert_eq!(ack.reason, ReasonCode::NotAuthorized),
            other => panic!("PUBACK is awaited, not {other:?}"),
        }
        client.send(&publish("public", delivery, b"")).await;
        assert!(matches!(
            client.receive().await,
            Some(Packet::PublishAck(_))
        ));
        assert_eq!(next(), "visitor publishes to public");
        // Its end is what the program waits for.
        drop(example.0.stdin.take());
        match client.receive().await {
            Some(Packet::Disconnect(last)) => {
                assert_eq!(last.reason, ReasonCode::ServerShuttingDown);
            }
            other => panic!("DISCONNECT is awaited, not {other:?}"),
        }
    });
    assert_eq!(next(), "2 messages");
    assert!(example.0.wait().unwrap().success());
}

#[test]
fn an_address_that_is_taken_is_an_error_and_leaves_nothing() {
    let listeners = || ListenerBuilder::try_from("127.0.0.1:0").unwrap();
    let broker = BrokerBuilder::new(listeners()).workers(2).start().unwrap();
    let taken = ListenerBuilder::from(broker.local_addresses().to_vec());
    let second = BrokerBuilder::new(taken).workers(2).start();
    assert!(matches!(second, Err(StartError::Bind(_))), "{second:?}");
    broker.stop();
}

//! A broker over sockets: what a client sees of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "server_support/client.rs"]
#[allow(unreachable_pub, reason = "shared by several tests")]
mod client;

use std::time::Duration;

use client::{TestClient, broker, connect, publish};
use tidegate_mqtt::codec::{
    Acknowledgement, Delivery, Packet, PacketIdentifier, ProtocolVersion, QualityOfService,
    ReasonCode,
};
use tidegate_mqtt::server::ServerSettings;
use tidegate_runtime::connections::Connections;
use tidegate_runtime::local::block_on;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

const ONE: PacketIdentifier = PacketIdentifier::FIRST;

fn payload(packet: Option<Packet>) -> Vec<u8> {
    match packet {
        Some(Packet::Publish(publish)) => publish.payload.to_vec(),
        other => panic!("a PUBLISH is awaited, not {other:?}"),
    }
}

fn disconnect(packet: Option<Packet>) -> ReasonCode {
    match packet {
        Some(Packet::Disconnect(disconnect)) => disconnect.reason,
        other => panic!("DISCONNECT is awaited, not {other:?}"),
    }
}

#[test]
fn each_quality_of_service_is_delivered_and_acknowledged() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let mut receiver = TestClient::connect(broker.address, "receiver").await;
        receiver
            .subscribe("a/+", QualityOfService::ExactlyOnce)
            .await;
        let mut sender = TestClient::connect(broker.address, "sender").await;
        sender
            .send(&publish("a/0", Delivery::AtMostOnce, b"zero"))
            .await;
        assert_eq!(payload(receiver.receive().await), b"zero");

        sender
            .send(&publish("a/1", Delivery::AtLeastOnce(ONE), b"one"))
            .await;
        let Some(Packet::PublishAck(_)) = sender.receive().await else {
            panic!("no PUBACK");
        };
        let Some(Packet::Publish(delivered)) = receiver.receive().await else {
            panic!("no PUBLISH");
        };
        let id = delivered.delivery.packet_identifier().unwrap();
        receiver
            .send(&Packet::PublishAck(Acknowledgement::success(id)))
            .await;

        sender
            .send(&publish("a/2", Delivery::ExactlyOnce(ONE), b"two"))
            .await;
        assert!(matches!(
            sender.receive().await,
            Some(Packet::PublishReceived(_))
        ));
        sender
            .send(&Packet::PublishRelease(Acknowledgement::success(ONE)))
            .await;
        assert!(matches!(
            sender.receive().await,
            Some(Packet::PublishComplete(_))
        ));
        assert_eq!(payload(receiver.receive().await), b"two");
    });
}

#[test]
fn bytes_that_dribble_in_are_understood() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let mut receiver = TestClient::connect(broker.address, "receiver").await;
        receiver.subscribe("t", QualityOfService::AtMostOnce).await;
        let mut sender = TestClient::open(broker.address, ProtocolVersion::V311).await;
        sender.stream.set_nodelay(true).unwrap();
        for byte in b"\x10\x0d\0\x04MQTT\x04\x02\0\0\0\x01s\x30\x05\0\x01thi\x30\x06\0\x01tyou" {
            sender.stream.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
        assert_eq!(payload(receiver.receive().await), b"hi");
        assert_eq!(payload(receiver.receive().await), b"you");
    });
}

#[test]
fn payloads_larger_than_a_read_buffer_arrive_whole() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let mut receiver = TestClient::connect(broker.address, "receiver").await;
        receiver.subscribe("t", QualityOfService::AtMostOnce).await;
        let mut sender = TestClient::connect(broker.address, "sender").await;
        for bytes in [4_095, 4_097, 70_000, 900_000] {
            let sent: Vec<u8> = (0..bytes).map(|at| (at % 251) as u8).collect();
            sender
                .send(&publish("t", Delivery::AtMostOnce, &sent))
                .await;
            assert!(payload(receiver.receive().await) == sent, "{bytes} bytes");
        }
    });
}

#[test]
fn another_version_is_answered_in_its_own_terms() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let cases: [(&[u8], &[u8]); 2] = [
            (b"\x10\x0d\0\x04MQTT\x03\x02\0\0\0\x01a", b"\x20\x02\0\x01"),
            (
                b"\x10\x0d\0\x04MQTT\x06\x02\0\0\0\x01a",
                b"\x20\x03\0\x84\0",
            ),
        ];
        for (connect, answer) in cases {
            let mut client = TestClient::open(broker.address, ProtocolVersion::V5).await;
            client.stream.write_all(connect).await.unwrap();
            let mut all = Vec::new();
            timeout(client::PATIENCE, client.stream.read_to_end(&mut all))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(all, answer);
        }
    });
}

#[test]
fn who_says_nothing_is_let_go() {
    block_on(async {
        let broker = broker(ServerSettings {
            connect_timeout: Duration::from_millis(50),
            ..ServerSettings::default()
        })
        .await;
        let mut client = TestClient::open(broker.address, ProtocolVersion::V5).await;
        assert_eq!(client.receive().await, None);
        broker.connections.idle().await;
    });
}

#[test]
fn a_malformed_packet_is_answered_with_its_reason() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let mut client = TestClient::connect(broker.address, "a").await;
        client
            .stream
            .write_all(b"\x36\x05\0\x01a\0\x01")
            .await
            .unwrap();
        assert_eq!(
            disconnect(client.receive().await),
            ReasonCode::MalformedPacket
        );
        assert_eq!(client.receive().await, None);
    });
}

#[test]
fn a_second_connection_of_a_client_takes_its_session_over() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let mut first = TestClient::connect(broker.address, "same").await;
        let mut second = TestClient::connect(broker.address, "same").await;
        assert_eq!(
            disconnect(first.receive().await),
            ReasonCode::SessionTakenOver
        );
        assert_eq!(first.receive().await, None);
        second.send(&Packet::PingRequest).await;
        assert_eq!(second.receive().await, Some(Packet::PingResponse));
    });
}

#[test]
fn a_silent_client_is_told_that_its_keep_alive_is_over() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let mut client = TestClient::open(broker.address, ProtocolVersion::V5).await;
        let Packet::Connect(mut packet) = connect(ProtocolVersion::V5, "silent") else {
            unreachable!();
        };
        packet.keep_alive_seconds = 1;
        client.send(&Packet::Connect(packet)).await;
        assert!(matches!(
            client.receive().await,
            Some(Packet::ConnectAck(_))
        ));
        assert_eq!(
            disconnect(client.receive().await),
            ReasonCode::KeepAliveTimeout
        );
        assert_eq!(client.receive().await, None);
    });
}

#[test]
fn leaving_delivers_what_is_queued_and_says_why_before_the_end() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let mut receiver = TestClient::connect(broker.address, "receiver").await;
        receiver.subscribe("t", QualityOfService::AtMostOnce).await;
        let mut sender = TestClient::connect(broker.address, "sender").await;
        let large = vec![7; 200_000];
        for _ in 0..20 {
            sender
                .send(&publish("t", Delivery::AtMostOnce, &large))
                .await;
        }
        sender.send(&Packet::PingRequest).await;
        assert_eq!(sender.receive().await, Some(Packet::PingResponse));
        broker.connections.drain();
        for _ in 0..20 {
            assert!(payload(receiver.receive().await) == large);
        }
        assert_eq!(
            disconnect(receiver.receive().await),
            ReasonCode::ServerShuttingDown
        );
        assert_eq!(receiver.receive().await, None);
        drop(receiver);
        drop(sender);
        timeout(client::PATIENCE, broker.connections.idle())
            .await
            .unwrap();
        assert_eq!(broker.server.broker().connected_count(), 0);
    });
}

#[test]
fn who_has_come_before_others_took_over_is_let_in_and_then_told_to_go() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let mut late = TestClient::open(broker.address, ProtocolVersion::V5).await;
        let mut silent = TestClient::open(broker.address, ProtocolVersion::V5).await;
        while broker.connections.count() < 2 {
            tokio::task::yield_now().await;
        }
        broker.connections.drain();
        // Their tasks have seen it: only then do they speak.
        tokio::task::yield_now().await;
        late.send(&connect(ProtocolVersion::V5, "late")).await;
        let Some(Packet::ConnectAck(ack)) = late.receive().await else {
            panic!("no CONNACK");
        };
        assert_eq!(ack.reason, ReasonCode::Success);
        let last = disconnect(late.receive().await);
        assert_eq!(last, ReasonCode::ServerShuttingDown);
        assert_eq!(late.receive().await, None);
        // Who says nothing is not waited for beyond a moment.
        assert_eq!(silent.receive().await, None);
        drop((late, silent));
        let gone = timeout(client::PATIENCE, broker.connections.idle());
        gone.await.unwrap();
    });
}

#[test]
fn who_comes_when_nobody_listens_any_more_is_not_let_in() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let mut late = TestClient::open(broker.address, ProtocolVersion::V5).await;
        while broker.connections.count() < 1 {
            tokio::task::yield_now().await;
        }
        broker.connections.hurry();
        late.send(&connect(ProtocolVersion::V5, "late")).await;
        match late.receive().await {
            None => {}
            Some(Packet::ConnectAck(ack)) => assert!(ack.reason.is_failure()),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn an_update_keeps_every_connection_and_a_stop_after_it_does_not() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let mut client = TestClient::connect(broker.address, "stays").await;
        let next = Connections::of_generation(2);
        let make = async { broker.server.successor(ServerSettings::default()) };
        let successor = next.while_made(make).await;
        broker.connections.drain();
        timeout(client::PATIENCE, broker.connections.idle())
            .await
            .unwrap();
        assert_eq!(next.count(), 1);
        client.send(&Packet::PingRequest).await;
        assert_eq!(client.receive().await, Some(Packet::PingResponse));

        // One that is staged and given up is no successor.
        let aborted = Connections::of_generation(3);
        let make = async { successor.successor(ServerSettings::default()) };
        drop(aborted.while_made(make).await);
        next.drain();
        assert_eq!(
            disconnect(client.receive().await),
            ReasonCode::ServerShuttingDown
        );
        assert_eq!(client.receive().await, None);
    });
}

#[test]
fn a_client_that_does_not_read_stalls_nobody_else() {
    block_on(async {
        let broker = broker(ServerSettings::default()).await;
        let mut stuck = TestClient::connect(broker.address, "stuck").await;
        stuck.subscribe("t", QualityOfService::AtMostOnce).await;
        let mut reader = TestClient::connect(broker.address, "reader").await;
        reader.subscribe("t", QualityOfService::AtMostOnce).await;
        let mut sender = TestClient::connect(broker.address, "sender").await;
        let large = vec![7; 500_000];
        for _ in 0..60 {
            sender
                .send(&publish("t", Delivery::AtMostOnce, &large))
                .await;
            assert!(payload(reader.receive().await) == large);
        }
        // Thirty megabytes are more than sockets and the queue's limit take.
        assert!(
            broker
                .server
                .broker()
                .counters()
                .iter()
                .any(|(name, count)| { name.contains("queue") && count > 0 })
        );
    });
}

//! A broker of two cores: clients are served where their sessions are, wherever they were
//! accepted, and notice nothing of it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "server_support/client.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod client;
#[path = "server_support/cores.rs"]
#[allow(dead_code, unreachable_pub, reason = "shared by several tests")]
mod cores;

use client::{TestClient, connect, publish};
use cores::{TwoCores, at_home};
use tidegate_mqtt::codec::{
    Acknowledgement, Delivery, Packet, PacketIdentifier, ProtocolVersion, Publish,
    QualityOfService, ReasonCode,
};
use tidegate_runtime::local::block_on;
use tokio::io::AsyncWriteExt;

#[test]
fn messages_reach_every_core_in_order_whichever_accepted_the_clients() {
    let cores = TwoCores::start();
    block_on(async {
        let mut receivers = Vec::new();
        for core in 0..2 {
            for accepted_by in 0..2 {
                let id = at_home(core, &format!("receiver-{accepted_by}-"));
                let mut receiver = TestClient::connect(cores.addresses[accepted_by], &id).await;
                receiver
                    .subscribe("t/#", QualityOfService::AtLeastOnce)
                    .await;
                receivers.push(receiver);
            }
        }
        let mut sender = TestClient::connect(cores.addresses[0], &at_home(1, "sender")).await;
        wait_until_heard(&mut sender, &mut receivers).await;
        for number in 1..=200_u16 {
            let id = PacketIdentifier::new(number).unwrap();
            let payload = number.to_be_bytes();
            sender
                .send(&publish("t/a", Delivery::AtLeastOnce(id), &payload))
                .await;
        }
        for _ in 0..200 {
            assert!(matches!(
                sender.receive().await,
                Some(Packet::PublishAck(_))
            ));
        }
        for receiver in &mut receivers {
            for number in 1..=200_u16 {
                let publish = next_numbered(receiver).await;
                assert_eq!(publish.payload[..], number.to_be_bytes());
                let id = publish.delivery.packet_identifier().unwrap();
                receiver
                    .send(&Packet::PublishAck(Acknowledgement::success(id)))
                    .await;
            }
        }
    });
    cores.stop();
}

/// The next message that is not one of those that only knock.
async fn next_numbered(receiver: &mut TestClient) -> Publish {
    loop {
        match receiver.receive().await {
            Some(Packet::Publish(publish)) if publish.payload.is_empty() => {}
            Some(Packet::Publish(publish)) => return publish,
            other => panic!("a PUBLISH is awaited, not {other:?}"),
        }
    }
}

/// Publishes until a message has reached all receivers: interest takes a moment to cross.
async fn wait_until_heard(sender: &mut TestClient, receivers: &mut [TestClient]) {
    let hello = publish("t/hello", Delivery::AtMostOnce, b"");
    for receiver in receivers {
        loop {
            sender.send(&hello).await;
            let heard =
                tokio::time::timeout(std::time::Duration::from_millis(50), receiver.receive());
            if let Ok(Some(_)) = heard.await {
                break;
            }
        }
    }
}

#[test]
fn what_a_client_sends_behind_connect_is_not_lost_on_the_way() {
    let cores = TwoCores::start();
    block_on(async {
        let mut client = TestClient::open(cores.addresses[0], ProtocolVersion::V311).await;
        let id = at_home(1, "x");
        let length = u8::try_from(12 + id.len()).unwrap();
        let mut bytes = vec![0x10, length];
        bytes.extend_from_slice(b"\0\x04MQTT\x04\x02\0\0\0");
        bytes.push(u8::try_from(id.len()).unwrap());
        bytes.extend_from_slice(id.as_bytes());
        bytes.extend_from_slice(b"\xc0\0\xc0");
        client.stream.write_all(&bytes).await.unwrap();
        assert!(matches!(
            client.receive().await,
            Some(Packet::ConnectAck(_))
        ));
        assert_eq!(client.receive().await, Some(Packet::PingResponse));
        client.stream.write_all(b"\0").await.unwrap();
        assert_eq!(client.receive().await, Some(Packet::PingResponse));
    });
    cores.stop();
}

#[test]
fn a_session_is_taken_over_from_a_connection_that_another_worker_accepted() {
    let cores = TwoCores::start();
    block_on(async {
        let id = at_home(1, "same");
        let mut first = TestClient::connect(cores.addresses[0], &id).await;
        let mut second = TestClient::open(cores.addresses[1], ProtocolVersion::V5).await;
        second.send(&connect(ProtocolVersion::V5, &id)).await;
        assert!(matches!(
            second.receive().await,
            Some(Packet::ConnectAck(_))
        ));
        match first.receive().await {
            Some(Packet::Disconnect(last)) => assert_eq!(last.reason, ReasonCode::SessionTakenOver),
            other => panic!("DISCONNECT is awaited, not {other:?}"),
        }
        assert_eq!(first.receive().await, None);
    });
    cores.stop();
}

#[test]
fn clients_that_were_moved_are_told_to_leave_as_well() {
    let cores = TwoCores::start();
    block_on(async {
        let mut clients = Vec::new();
        for core in 0..2 {
            clients.push(TestClient::connect(cores.addresses[0], &at_home(core, "c")).await);
        }
        cores.drain.cancel();
        for client in &mut clients {
            match client.receive().await {
                Some(Packet::Disconnect(last)) => {
                    assert_eq!(last.reason, ReasonCode::ServerShuttingDown);
                }
                other => panic!("DISCONNECT is awaited, not {other:?}"),
            }
            assert_eq!(client.receive().await, None);
        }
    });
    cores.stop();
}

//! What is not served: bad messages and slow clients.

use std::time::Duration;

use tidegate_runtime::limit::Limit;
use tidegate_runtime::local::block_on;
use tidegate_runtime::worker;
use tidegate_thrift::codec::{ExceptionKind, Limits, Message, MessageKind, encode};
use tidegate_thrift::server::{ServerSettings, ServerTimeouts};

use crate::rig::{Client, FRAMED, call, serve};

fn hits(limit: Limit) -> u64 {
    worker::counters().limits().hits(limit)
}

#[test]
fn a_message_over_a_limit_is_answered_counted_and_ends_the_connection() {
    block_on(async {
        let settings = ServerSettings {
            limits: Limits {
                message_bytes: 100,
                ..Limits::default()
            },
            ..ServerSettings::default()
        };
        let rig = serve(settings).await;
        let mut client = Client::connect(rig.address).await;
        let before = hits(Limit::MessageBytes);
        let large = Message {
            body: vec![0; 200].into(),
            ..call(FRAMED, "echo", 9)
        };
        client.send(&large).await;
        let (envelope, exception) = client.exception().await;
        assert_eq!((&*envelope.method, envelope.sequence_id), ("echo", 9));
        assert_eq!(exception.kind, ExceptionKind::ProtocolError);
        assert_eq!(client.receive().await, None);
        assert_eq!(hits(Limit::MessageBytes), before + 1);
    });
}

#[test]
fn what_is_no_call_is_told_so() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut client = Client::connect(rig.address).await;
        let mut reply = call(FRAMED, "echo", 3);
        reply.envelope.kind = MessageKind::Reply;
        client.send(&reply).await;
        let (_, exception) = client.exception().await;
        assert_eq!(exception.kind, ExceptionKind::InvalidMessageType);
        assert_eq!(client.receive().await, None);
    });
}

#[test]
fn another_protocol_is_closed_on_without_a_word() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut client = Client::connect(rig.address).await;
        client.send_bytes(b"\x16\x03\x01\x02\0\x01\0\x01").await;
        assert_eq!(client.receive().await, None);
    });
}

#[test]
fn a_client_that_stalls_is_closed_on_in_every_phase() {
    block_on(async {
        let settings = ServerSettings {
            timeouts: ServerTimeouts {
                message: Duration::from_millis(60),
                idle: Duration::from_millis(60),
                ..ServerTimeouts::default()
            },
            ..ServerSettings::default()
        };
        let rig = serve(settings).await;
        let (message, idle) = (hits(Limit::MessageTimeout), hits(Limit::IdleTimeout));
        let mut silent = Client::connect(rig.address).await;
        assert_eq!(silent.receive().await, None);

        let mut partial = Client::connect(rig.address).await;
        let bytes = encode(&call(FRAMED, "echo", 4)).unwrap();
        partial.send_bytes(&bytes[..bytes.len() - 1]).await;
        let (envelope, exception) = partial.exception().await;
        assert_eq!(envelope.sequence_id, 4);
        assert_eq!(exception.kind, ExceptionKind::ProtocolError);
        assert_eq!(partial.receive().await, None);

        let mut idler = Client::connect(rig.address).await;
        idler.ask(&call(FRAMED, "echo", 1)).await;
        assert_eq!(idler.receive().await, None);
        assert_eq!(hits(Limit::MessageTimeout), message + 2);
        assert_eq!(hits(Limit::IdleTimeout), idle + 1);
    });
}

#[test]
fn a_connection_ends_after_the_calls_it_may_carry() {
    block_on(async {
        let settings = ServerSettings {
            calls_per_connection: 2,
            ..ServerSettings::default()
        };
        let rig = serve(settings).await;
        let mut client = Client::connect(rig.address).await;
        client.ask(&call(FRAMED, "echo", 1)).await;
        client.ask(&call(FRAMED, "echo", 2)).await;
        assert_eq!(client.receive().await, None);
    });
}

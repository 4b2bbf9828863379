//! Calls that are served.

use bytes::Bytes;
use tidegate_runtime::local::block_on;
use tidegate_thrift::codec::{
    ExceptionKind, HeaderKey, HeadersBuilder, Message, MessageKind, Protocol, Transport, Wire,
};
use tidegate_thrift::server::ServerSettings;

use crate::rig::{Client, FRAMED, call, serve};

#[test]
fn every_transport_and_protocol_is_answered_in_kind_on_one_connection() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        for transport in [
            Transport::Unframed,
            Transport::Framed,
            Transport::TtHeader,
            Transport::TtHeaderFramed,
        ] {
            let mut client = Client::connect(rig.address).await;
            for (number, protocol) in [Protocol::Binary, Protocol::BinaryOld, Protocol::Compact]
                .into_iter()
                .enumerate()
            {
                let wire = Wire {
                    transport,
                    protocol,
                };
                let answer = client.ask(&call(wire, "echo", number as i32 - 1)).await;
                assert_eq!(answer.wire, wire);
                assert_eq!(answer.envelope.sequence_id, number as i32 - 1);
                assert_eq!(answer.envelope.kind, MessageKind::Reply);
            }
        }
    });
}

#[test]
fn calls_sent_ahead_are_answered_in_order_by_their_numbers() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut client = Client::connect(rig.address).await;
        let numbers = [7, -3, i32::MAX, 7, i32::MIN];
        for number in numbers {
            client.send(&call(FRAMED, "echo", number)).await;
        }
        for number in numbers {
            let answer = client.receive().await.unwrap();
            assert_eq!(answer.envelope.sequence_id, number);
        }
    });
}

#[test]
fn a_one_way_call_is_not_answered_whatever_comes_of_it() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut client = Client::connect(rig.address).await;
        for method in ["echo", "unknown", "nothing"] {
            let mut one_way = call(FRAMED, method, 1);
            one_way.envelope.kind = MessageKind::OneWay;
            client.send(&one_way).await;
        }
        let answer = client.ask(&call(FRAMED, "echo", 2)).await;
        assert_eq!(answer.envelope.sequence_id, 2);
        assert_eq!(rig.server.handler().calls.get(), 4);
    });
}

#[test]
fn failures_are_exceptions_that_keep_the_connection_and_their_secrets() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut client = Client::connect(rig.address).await;
        for (method, kind, text) in [
            (
                "store:unknown",
                ExceptionKind::UnknownMethod,
                "unknown method",
            ),
            ("nothing", ExceptionKind::MissingResult, "missing result"),
        ] {
            client.send(&call(FRAMED, method, 5)).await;
            let (envelope, exception) = client.exception().await;
            assert_eq!((exception.kind, &*exception.message), (kind, text));
            assert_eq!(envelope.sequence_id, 5);
            assert!(!envelope.method.contains(':'), "{}", envelope.method);
        }
        client.ask(&call(FRAMED, "echo", 6)).await;
    });
}

#[test]
fn an_answer_in_another_protocol_is_translated_for_the_client() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut client = Client::connect(rig.address).await;
        let answer = client.ask(&call(FRAMED, "compact", 1)).await;
        assert_eq!(answer.wire, FRAMED);
        assert_eq!(&answer.body[..], b"\x08\0\x01\0\0\0\x05\0");
    });
}

#[test]
fn a_header_is_answered_with_its_own_number() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        let mut client = Client::connect(rig.address).await;
        let wire = Wire {
            transport: Transport::TtHeader,
            protocol: Protocol::Binary,
        };
        let headers = HeadersBuilder::new(77)
            .with(HeaderKey::Name(b"trace"), "t1")
            .unwrap();
        for method in ["echo", "unknown", "compact"] {
            let message = Message {
                headers: Some(headers.clone().build()),
                ..call(wire, method, 5)
            };
            let answer = client.ask(&message).await;
            assert_eq!(answer.envelope.sequence_id, 5, "{method}");
            assert_eq!(answer.headers.unwrap().sequence_id, 77, "{method}");
        }
    });
}

#[test]
fn a_large_message_comes_through_whole() {
    block_on(async {
        let rig = serve(ServerSettings::default()).await;
        for transport in [Transport::Framed, Transport::Unframed] {
            let wire = Wire {
                transport,
                protocol: Protocol::Binary,
            };
            let mut client = Client::connect(rig.address).await;
            let text = vec![b'x'; 5_000_000];
            let length = (text.len() as u32).to_be_bytes();
            let body = [&b"\x0b\0\x01"[..], &length, &text, b"\0"].concat();
            let message = Message {
                body: Bytes::from(body),
                ..call(wire, "echo", 1)
            };
            let answer = client.ask(&message).await;
            assert!(answer.body == message.body);
        }
    });
}

//! Volo's clients and servers with the gateway between them.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::BytesMut;
use metainfo::{Backward, Forward, METAINFO, MetaInfo};
use pilota::thrift::ApplicationExceptionKind;
use tidegate_thrift::codec::{
    self, Decoder, Envelope, HeaderKey, Limits, Message, MessageKind, Transport, Wire, encode,
};
use volo_thrift::ClientError;
use volo_thrift::codec::default::thrift::Protocol;

use crate::heads::body;
use crate::rig::{
    DEADLINE, Echo, Gateway, SPEECHES, Seen, Speech, ask, beside_a_server, free_address,
};

const PROTOCOLS: [Protocol; 2] = [Protocol::Binary, Protocol::ApacheCompact];

/// Runs `work` with what a call is to carry along, and gives what it brought back.
async fn carrying<T>(work: impl Future<Output = T>) -> (T, Option<String>) {
    let mut info = MetaInfo::new();
    info.set_persistent("tenant", "blue");
    info.set_transient("trace", "t-1");
    let scope = async {
        let done = work.await;
        let from = METAINFO.with(|info| info.borrow().get_backward_downstream("from"));
        (done, from.map(|it| it.to_string()))
    };
    METAINFO.scope(RefCell::new(info), scope).await
}

#[test]
fn its_client_reaches_its_server_head_and_all() {
    let echo = Echo::default();
    beside_a_server(&echo, async |upstream| {
        let gateway = Gateway::start(upstream, "");
        for protocol in PROTOCOLS {
            for speech in SPEECHES {
                let asking = ask(gateway.address, speech, protocol, "get", body(protocol));
                let (answer, from) = carrying(asking).await;
                assert_eq!(answer.unwrap(), Some(body(protocol)), "{speech:?}");
                let seen = echo.last();
                assert_eq!((&*seen.method, &seen.body), ("get", &body(protocol)));
                if let Speech::Framed = speech {
                    assert_eq!(from, None);
                    continue;
                }
                assert_eq!(from.as_deref(), Some("volo"), "{speech:?}");
                assert_eq!((&*seen.caller, &*seen.callee), ("shop", "store"));
                let pair = |key: &str, value: &str| [(key.to_owned(), value.to_owned())].into();
                assert_eq!(seen.carried, [pair("tenant", "blue"), pair("trace", "t-1")]);
            }
        }
    });
}

#[test]
fn its_client_reaches_its_server_in_another_transport_and_protocol() {
    let echo = Echo::default();
    beside_a_server(&echo, async |upstream| {
        // Without a frame its server cannot tell where a body ends that is bytes to it.
        for transport in ["framed", "ttheader", "ttheader_framed"] {
            for (name, other) in [
                ("binary", Protocol::Binary),
                ("compact", Protocol::ApacheCompact),
            ] {
                let keys =
                    format!("upstream_transport = \"{transport}\"\nupstream_protocol = \"{name}\"");
                let gateway = Gateway::start(upstream, &keys);
                for protocol in PROTOCOLS {
                    for speech in SPEECHES {
                        let asked = body(protocol);
                        let answer = ask(gateway.address, speech, protocol, "get", asked).await;
                        assert_eq!(answer.unwrap(), Some(body(protocol)));
                        assert_eq!(echo.last().body, body(other));
                    }
                }
            }
        }
    });
}

#[test]
fn exceptions_and_errors_of_its_server_reach_its_client() {
    let echo = Echo::default();
    beside_a_server(&echo, async |upstream| {
        let gateway = Gateway::start(upstream, "");
        for protocol in PROTOCOLS {
            for speech in SPEECHES {
                let failed = ask(gateway.address, speech, protocol, "fail", body(protocol)).await;
                let Err(ClientError::Application(exception)) = failed else {
                    panic!("{failed:?}");
                };
                assert_eq!(exception.kind(), ApplicationExceptionKind::INTERNAL_ERROR);
                assert_eq!(exception.message().as_str(), "no such luck");
            }
            let refused = ask(
                gateway.address,
                Speech::TtHeaderFramed,
                protocol,
                "refuse",
                body(protocol),
            )
            .await;
            let Err(ClientError::Biz(error)) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(
                (error.status_code, error.status_message.as_str()),
                (409, "sold out")
            );
        }
    });
}

#[test]
fn its_client_understands_the_gateways_own_exceptions() {
    let echo = Echo::default();
    beside_a_server(&echo, async |_| {
        let gateway = Gateway::start(free_address(), "");
        for protocol in PROTOCOLS {
            for speech in SPEECHES {
                let failed = ask(gateway.address, speech, protocol, "get", body(protocol)).await;
                let Err(ClientError::Application(exception)) = failed else {
                    panic!("{speech:?}: {failed:?}");
                };
                assert_eq!(exception.kind(), ApplicationExceptionKind::INTERNAL_ERROR);
            }
        }
    });
}

/// Asks by our own codec, on a thread that may block.
async fn ask_by_our_client(address: std::net::SocketAddr, message: Message) -> Message {
    let asking = move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(&encode(&message).unwrap()).unwrap();
        let mut decoder = Decoder::new(Limits::default());
        let mut buffer = BytesMut::new();
        loop {
            if let Some(answer) = decoder.decode(&mut buffer).unwrap() {
                return answer;
            }
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap();
            assert!(count > 0, "no answer");
            buffer.extend_from_slice(&bytes[..count]);
        }
    };
    tokio::task::spawn_blocking(asking).await.unwrap()
}

#[test]
fn a_client_without_heads_reaches_its_server_with_one() {
    let echo = Echo::default();
    beside_a_server(&echo, async |upstream| {
        let keys = "upstream_transport = \"ttheader\"\nstrip_service = true";
        let gateway = Gateway::start(upstream, keys);
        for transport in [Transport::Unframed, Transport::Framed] {
            for (protocol, name) in [
                (codec::Protocol::Binary, Protocol::Binary),
                (codec::Protocol::Compact, Protocol::ApacheCompact),
            ] {
                let wire = Wire {
                    transport,
                    protocol,
                };
                let answer = ask_by_our_client(
                    gateway.address,
                    Message {
                        wire,
                        envelope: Envelope {
                            method: "store:get".into(),
                            kind: MessageKind::Call,
                            sequence_id: -7,
                        },
                        headers: None,
                        body: body(name),
                    },
                )
                .await;
                assert_eq!(answer.wire, wire);
                assert_eq!(answer.envelope.sequence_id, -7);
                assert_eq!(answer.envelope.kind, MessageKind::Reply);
                assert_eq!(answer.body, body(name));
                let Seen { method, callee, .. } = echo.last();
                assert_eq!((&*method, &*callee), ("get", "store"));
            }
        }
        let ttheader = Wire {
            transport: Transport::TtHeader,
            protocol: codec::Protocol::Binary,
        };
        let asked = Message {
            wire: ttheader,
            envelope: Envelope {
                method: "get".into(),
                kind: MessageKind::Call,
                sequence_id: 1,
            },
            headers: None,
            body: body(Protocol::Binary),
        };
        let answer = ask_by_our_client(gateway.address, asked).await;
        let from = HeaderKey::Name(b"RPC_BACKWARD_from");
        assert_eq!(answer.headers.unwrap().get(from), Some(&b"volo"[..]));
    });
}

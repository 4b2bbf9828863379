//! Calls through the gateway, in every transport and protocol on either side.

use tidegate_thrift::codec::{
    HeaderKey, HeadersBuilder, Message, MessageKind, Protocol, Transport,
};

use crate::harness::{Tidegate, free_address};
use crate::peers::{Backend, FIVE, FIVE_COMPACT, FRAMED, Peer, call, gateway, wire};

const TRANSPORTS: [Transport; 4] = [
    Transport::Unframed,
    Transport::Framed,
    Transport::TtHeader,
    Transport::TtHeaderFramed,
];
const PROTOCOLS: [Protocol; 3] = [Protocol::Binary, Protocol::BinaryOld, Protocol::Compact];

#[test]
fn calls_of_one_connection_go_over_one_connection() {
    let backend = Backend::start();
    let listen = free_address();
    let _process = Tidegate::start(&gateway(listen, &[backend.address], "", ""));
    let mut client = Peer::connect(listen);
    for number in [3, -1, i32::MAX] {
        let answer = client.ask(&call(FRAMED, "get", number));
        assert_eq!(answer.envelope.sequence_id, number);
        assert_eq!(answer.envelope.kind, MessageKind::Reply);
        assert_eq!(&answer.body[..], FIVE);
    }
    assert_eq!(backend.connections(), 1);
}

#[test]
fn a_client_is_passed_on_in_its_own_transport_and_protocol() {
    let backend = Backend::start();
    let listen = free_address();
    let _process = Tidegate::start(&gateway(listen, &[backend.address], "", ""));
    let mut count = 0;
    for transport in TRANSPORTS {
        let mut client = Peer::connect(listen);
        for protocol in PROTOCOLS {
            let wire = wire(transport, protocol);
            let answer = client.ask(&call(wire, "get", 1));
            assert_eq!(answer.wire, wire);
            count += 1;
            assert_eq!(backend.calls(count).last().unwrap().wire, wire);
        }
    }
    // Both TTHeaders are one transport to the pool.
    assert_eq!(backend.connections(), 3);
}

#[test]
fn an_upstream_is_spoken_to_in_its_own_transport_and_protocol() {
    let backend = Backend::start();
    let listen = free_address();
    for (transport, protocol, name) in [
        (Transport::Framed, Protocol::Compact, ("framed", "compact")),
        (
            Transport::TtHeader,
            Protocol::Binary,
            ("ttheader", "binary"),
        ),
        (
            Transport::Unframed,
            Protocol::Compact,
            ("unframed", "compact"),
        ),
    ] {
        let server = format!(
            "upstream_transport = \"{}\"\nupstream_protocol = \"{}\"",
            name.0, name.1
        );
        let _process = Tidegate::start(&gateway(listen, &[backend.address], &server, ""));
        let mut count = backend.calls(0).len();
        for client_transport in TRANSPORTS {
            let mut client = Peer::connect(listen);
            for client_protocol in PROTOCOLS {
                let asked = wire(client_transport, client_protocol);
                let answer = client.ask(&call(asked, "get", 1));
                assert_eq!(answer.wire, asked);
                count += 1;
                let seen = backend.calls(count).pop().unwrap();
                assert_eq!(seen.wire, wire(transport, protocol));
                let (body, answered) = (&seen.body[..], &answer.body[..]);
                match protocol {
                    Protocol::Compact => assert_eq!(body, FIVE_COMPACT),
                    _ => assert_eq!(body, FIVE),
                }
                match client_protocol {
                    Protocol::Compact => assert_eq!(answered, FIVE_COMPACT),
                    _ => assert_eq!(answered, FIVE),
                }
            }
        }
    }
}

#[test]
fn headers_pass_unchanged_and_are_made_where_there_are_none() {
    let backend = Backend::start();
    let listen = free_address();
    let server = "upstream_transport = \"ttheader\"";
    let _process = Tidegate::start(&gateway(listen, &[backend.address], server, ""));
    let ttheader = wire(Transport::TtHeader, Protocol::Binary);
    let headers = HeadersBuilder::new(9)
        .with(HeaderKey::Name(b"trace"), "t1")
        .and_then(|it| it.with(HeaderKey::Number(700), "x"))
        .unwrap();
    let message = Message {
        headers: Some(headers.build()),
        ..call(ttheader, "get", 1)
    };
    Peer::connect(listen).ask(&message);
    let seen = backend.calls(1).pop().unwrap().headers.unwrap();
    assert!(seen.iter().eq(message.headers.as_ref().unwrap().iter()));

    let answer = Peer::connect(listen).ask(&call(FRAMED, "store:get", 1));
    assert_eq!(answer.headers, None);
    let seen = backend.calls(2).pop().unwrap().headers.unwrap();
    assert_eq!(seen.get(HeaderKey::TO_METHOD), Some(&b"get"[..]));
    assert_eq!(seen.get(HeaderKey::TO_SERVICE), Some(&b"store"[..]));
}

#[test]
fn a_one_way_call_is_passed_on_and_not_answered() {
    let backend = Backend::start();
    let listen = free_address();
    let _process = Tidegate::start(&gateway(listen, &[backend.address], "", ""));
    let mut client = Peer::connect(listen);
    let mut one_way = call(FRAMED, "notify", 1);
    one_way.envelope.kind = MessageKind::OneWay;
    client.send(&one_way);
    let answer = client.ask(&call(FRAMED, "get", 2));
    assert_eq!(answer.envelope.sequence_id, 2);
    let kinds = backend.calls(2);
    let kinds = kinds.iter().map(|call| call.envelope.kind);
    assert!(kinds.eq([MessageKind::OneWay, MessageKind::Call]));
}

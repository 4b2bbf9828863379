//! What goes wrong, and what the client is told.

use tidegate_thrift::codec::{ExceptionKind, Protocol, Transport};

use crate::harness::{Tidegate, free_address};
use crate::peers::{Backend, FRAMED, Peer, call, gateway, nowhere, wire};

#[test]
fn a_dead_upstream_is_an_exception_in_every_protocol_and_keeps_the_connection() {
    let listen = free_address();
    let _process = Tidegate::start(&gateway(listen, &[nowhere()], "", ""));
    for transport in [
        Transport::Unframed,
        Transport::Framed,
        Transport::TtHeader,
        Transport::TtHeaderFramed,
    ] {
        let mut client = Peer::connect(listen);
        for protocol in [Protocol::Binary, Protocol::BinaryOld, Protocol::Compact] {
            let exception = client.ask_in_vain(&call(wire(transport, protocol), "get", 4));
            assert_eq!(exception.kind, ExceptionKind::InternalError);
            assert_eq!(&*exception.message, "upstream connect");
        }
    }
}

#[test]
fn a_call_goes_to_another_endpoint_when_one_takes_no_connection() {
    let backend = Backend::start();
    let listen = free_address();
    let endpoints = [nowhere(), backend.address];
    let _process = Tidegate::start(&gateway(listen, &endpoints, "", "balance = \"first\""));
    let mut client = Peer::connect(listen);
    client.ask(&call(FRAMED, "get", 1));
}

#[test]
fn an_upstream_that_hangs_up_is_asked_again_only_if_calls_may_be_made_twice() {
    for (server, attempts) in [("", 1), ("idempotent = true", 2)] {
        let (first, second) = (Backend::start(), Backend::start());
        let listen = free_address();
        let endpoints = [first.address, second.address];
        let text = gateway(listen, &endpoints, server, "balance = \"first\"");
        let _process = Tidegate::start(&text);
        let mut client = Peer::connect(listen);
        let exception = client.ask_in_vain(&call(FRAMED, "hang_up", 1));
        assert_eq!(&*exception.message, "upstream reset");
        let calls = first.calls(1).len() + second.calls(attempts - 1).len();
        assert_eq!(calls, attempts, "{server}");
        client.ask(&call(FRAMED, "get", 2));
    }
}

#[test]
fn a_slow_upstream_is_given_up() {
    let backend = Backend::start();
    let listen = free_address();
    let server = "timeouts = { upstream_response = \"100ms\" }";
    let _process = Tidegate::start(&gateway(listen, &[backend.address], server, ""));
    let mut client = Peer::connect(listen);
    let exception = client.ask_in_vain(&call(FRAMED, "stall", 1));
    assert_eq!(exception.kind, ExceptionKind::InternalError);
    assert_eq!(&*exception.message, "upstream timeout");
    backend.release();
    client.ask(&call(FRAMED, "get", 2));
    // What the first call was answered too late did not become the answer to the second.
    assert_eq!(backend.connections(), 2);
}

#[test]
fn arguments_that_cannot_be_translated_are_told_so() {
    let backend = Backend::start();
    let listen = free_address();
    let server = "upstream_protocol = \"compact\"";
    let _process = Tidegate::start(&gateway(listen, &[backend.address], server, ""));
    let mut client = Peer::connect(listen);
    let mut broken = call(FRAMED, "get", 1);
    broken.body = b"\x63\0\x01\0"[..].into();
    let exception = client.ask_in_vain(&broken);
    assert_eq!(exception.kind, ExceptionKind::ProtocolError);
    assert_eq!(&*exception.message, "value type 99");
    client.ask(&call(FRAMED, "get", 2));
    assert_eq!(backend.calls(1).len(), 1);
}

#[test]
fn a_message_over_the_limit_is_refused_by_name() {
    let backend = Backend::start();
    let listen = free_address();
    let server = "limits = { message_bytes = \"1KiB\" }";
    let _process = Tidegate::start(&gateway(listen, &[backend.address], server, ""));
    let mut client = Peer::connect(listen);
    let mut large = call(FRAMED, "get", 7);
    large.body = vec![0; 2000].into();
    let exception = client.ask_in_vain(&large);
    assert_eq!(exception.kind, ExceptionKind::ProtocolError);
    assert_eq!(&*exception.message, "a message of more than 1024 bytes");
    assert!(client.receive().is_none());
}

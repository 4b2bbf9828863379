//! What carries calls on either side: TLS and Unix sockets.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use tidegate_thrift::codec::{MessageKind, Protocol, Transport};

use crate::harness::{DEADLINE, Place, Tidegate, eventually, free_address};
use crate::peers::{Backend, FIVE, FRAMED, Peer, call, gateway, nowhere, wire};
use crate::tls::{self, PAIR, write_pair};

const EACH: [Transport; 4] = [
    Transport::Unframed,
    Transport::Framed,
    Transport::TtHeader,
    Transport::TtHeaderFramed,
];

/// A body that takes several TLS records.
fn large() -> Vec<u8> {
    let text = vec![b'x'; 200_000];
    [&b"\x0b\0\x01\0\x03\x0d\x40"[..], &text, b"\0"].concat()
}

/// The server's side of TLS with the pair `NAME.crt` and `NAME.key`.
fn server_side(
    place: &Place,
    name: &str,
) -> impl Fn(TcpStream) -> StreamOwned<ServerConnection, TcpStream> + Send + Sync + Clone + use<> {
    let read = |end: &str| std::fs::read(place.path(&format!("{name}.{end}"))).unwrap();
    let chain = CertificateDer::from_pem_slice(&read("crt")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(&read("key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let config = Arc::new(config);
    move |stream| {
        let session = ServerConnection::new(Arc::clone(&config)).unwrap();
        StreamOwned::new(session, stream)
    }
}

#[test]
fn clients_over_tls_are_served_in_every_transport() {
    let backend = Backend::start();
    let place = Place::new();
    let chain = write_pair(&place, "web");
    let listen = free_address();
    let _process = place.start(&gateway(listen, &[backend.address], PAIR, ""));
    for transport in EACH {
        let stream = TcpStream::connect(listen).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut client = Peer::of(tls::over(stream, &chain));
        let wire = wire(transport, Protocol::Binary);
        assert_eq!(client.ask(&call(wire, "get", 1)).wire, wire);
        let mut message = call(wire, "put", 2);
        message.body = large().into();
        assert_eq!(client.ask(&message).body, message.body);
    }
    // Who speaks plainly where TLS is spoken is not served.
    let mut plain = Peer::connect(listen);
    plain.send(&call(FRAMED, "get", 1));
    let seen = backend.calls(8).len();
    let answer = std::io::Read::read_to_end(&mut plain.stream, &mut Vec::new());
    assert!(answer.is_err() || backend.calls(seen).len() == seen);
}

#[test]
fn a_door_gives_plain_clients_and_those_over_tls_to_servers_of_their_own() {
    let backend = Backend::start();
    let place = Place::new();
    let chain = write_pair(&place, "web");
    let listen = free_address();
    let mut text = gateway(listen, &[backend.address], "", "").replace(
        &format!("protocol = \"thrift\"\nlisten = \"{listen}\""),
        "protocol = \"thrift\"",
    );
    text += &format!(
        "[servers.door]\nprotocol = \"detect\"\nlisten = \"{listen}\"\n\
         detect = {{ thrift = \"calls\", tls = \"secure\" }}\n\
         [servers.secure]\nprotocol = \"thrift\"\nupstream = \"app\"\n{PAIR}\n"
    );
    let _process = place.start(&text);
    for transport in EACH {
        for protocol in [Protocol::Binary, Protocol::BinaryOld, Protocol::Compact] {
            let message = call(wire(transport, protocol), "get", 1);
            assert_eq!(Peer::connect(listen).ask(&message).body, message.body);
            let stream = TcpStream::connect(listen).unwrap();
            stream.set_read_timeout(Some(DEADLINE)).unwrap();
            let answer = Peer::of(tls::over(stream, &chain)).ask(&message);
            assert_eq!(answer.body, message.body);
        }
    }
}

#[test]
fn an_upstream_is_asked_over_tls_and_by_its_name() {
    let place = Place::new();
    write_pair(&place, "app");
    write_pair(&place, "other");
    let backend = Backend::start_over(server_side(&place, "app"));
    let listen = free_address();
    let trusting = |ca: &str| {
        let tls = format!("tls = {{ server_name = \"localhost\", ca = \"{ca}.crt\" }}");
        gateway(listen, &[backend.address], "", &tls)
    };
    let process = place.start(&trusting("app"));
    for transport in EACH {
        let mut client = Peer::connect(listen);
        for number in 0..3 {
            let mut message = call(wire(transport, Protocol::Binary), "put", number);
            message.body = large().into();
            assert_eq!(client.ask(&message).body, message.body);
        }
    }
    // Kept connections are used again over TLS, too.
    assert_eq!(backend.connections(), 3);
    assert_eq!(backend.calls(12).len(), 12);
    // One whose certificate is not trusted is told nothing.
    process.update(&trusting("other"));
    let refused = Peer::connect(listen).ask_in_vain(&call(FRAMED, "get", 9));
    assert_eq!(&*refused.message, "upstream connect");
    assert_eq!(backend.calls(12).len(), 12);
}

#[test]
fn unix_sockets_carry_calls_on_both_sides() {
    let place = Place::new();
    let (front, behind) = (place.path("front.sock"), place.path("behind.sock"));
    let backend = Backend::start_at(&behind);
    let text = gateway(nowhere(), &[], "", "").replace(
        "endpoints = []",
        &format!("endpoints = [\"unix:{}\"]", behind.display()),
    );
    let listen = text
        .lines()
        .find(|line| line.starts_with("listen"))
        .unwrap();
    let text = text.replace(listen, &format!("listen = \"unix:{}\"", front.display()));
    let _process: Tidegate = place.start(&text);
    let mut count = 0;
    for transport in EACH {
        let connecting = || UnixStream::connect(&front).ok();
        let stream = eventually("the socket", connecting);
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut client = Peer::of(stream);
        for _ in 0..2 {
            let answer = client.ask(&call(wire(transport, Protocol::Binary), "get", 1));
            assert_eq!(answer.envelope.kind, MessageKind::Reply);
            assert_eq!(&answer.body[..], FIVE);
            count += 1;
        }
    }
    assert_eq!(backend.calls(count).len(), 8);
    assert_eq!(backend.connections(), 3);
}

//! Where a TLS connection goes, by the name its client asks for, without ending it.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::harness::{Tidegate, free_address};
use crate::peers::{accept, connect, endpoint, read};

fn hello(name: &'static str) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let name = name.try_into().unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

fn settings(listen: SocketAddr, one: SocketAddr, two: SocketAddr, rest: &str) -> String {
    format!(
        r#"
[servers.secure]
protocol = "tcp"
listen = "{listen}"
timeouts = {{ client_hello = "300ms" }}
[[servers.secure.routes]]
server_name = "one.example.com"
upstream = "one"
[[servers.secure.routes]]
server_name = "*.two.example.com"
upstream = "two"
{rest}
[upstreams.one]
endpoints = ["{one}"]
[upstreams.two]
endpoints = ["{two}"]
"#
    )
}

#[test]
fn the_name_chooses_the_endpoint_which_gets_every_byte() {
    let ((first, one), (second, two)) = (endpoint(), endpoint());
    let listen = free_address();
    let rest = "[[servers.secure.routes]]\nupstream = \"two\"";
    let _process = Tidegate::start(&settings(listen, one, two, rest));
    for (name, listener) in [
        ("one.example.com", &first),
        ("ONE.example.com", &first),
        ("a.two.example.com", &second),
        // No route, and no name at all.
        ("three.example.com", &second),
        ("127.0.0.1", &second),
    ] {
        let bytes = hello(name);
        let mut client = connect(listen);
        // In pieces, so that the name is not known at once.
        for piece in bytes.chunks(90) {
            client.write_all(piece).unwrap();
        }
        client.write_all(b"and more").unwrap();
        let mut server = accept(listener);
        assert_eq!(read(&mut server, bytes.len()), bytes, "{name}");
        assert_eq!(read(&mut server, 8), b"and more");
        server.write_all(b"answer").unwrap();
        assert_eq!(read(&mut client, 6), b"answer");
    }
}

#[test]
fn who_names_nothing_known_or_speaks_no_tls_is_not_passed_on() {
    let ((first, one), (second, two)) = (endpoint(), endpoint());
    let listen = free_address();
    let _process = Tidegate::start(&settings(listen, one, two, ""));
    let half = &hello("one.example.com")[..50];
    let turned_away: [(&str, &[u8]); 5] = [
        ("an unknown name", &hello("three.example.com")),
        ("the parent of a wildcard", &hello("two.example.com")),
        ("no TLS", b"GET / HTTP/1.1\r\n\r\n"),
        ("half a hello", half),
        ("silence", b""),
    ];
    for (what, bytes) in turned_away {
        let mut client = connect(listen);
        client.write_all(bytes).unwrap();
        assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)), "{what}");
    }
    for listener in [first, second] {
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "somebody was passed on");
    }
}

//! One address for several protocols, each served by a server of its own.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use crate::harness::{Place, free_address};
use crate::peers::{accept, connect, endpoint, read};
use crate::tls::{self, PAIR, write_pair};

fn settings(listen: SocketAddr, detect: &str, body: &str, app: SocketAddr) -> String {
    format!(
        r#"
[runtime]
workers = 1
pin = false
[servers.door]
protocol = "detect"
listen = "{listen}"
detect = {{ {detect} }}
timeouts = {{ detect = "300ms" }}
[servers.web]
protocol = "http"
listen = "127.0.0.1:0"
[[servers.web.routes]]
prefix = "/"
respond = {{ status = 200, body = "{body}" }}
[servers.secure]
protocol = "http"
listen = "127.0.0.1:0"
{PAIR}
[[servers.secure.routes]]
prefix = "/"
respond = {{ status = 200, body = "secure" }}
[servers.broker]
protocol = "mqtt"
listen = "127.0.0.1:0"
[servers.rest]
protocol = "tcp"
listen = "127.0.0.1:0"
upstream = "app"
[upstreams.app]
endpoints = ["{app}"]
"#
    )
}

const THREE: &str = r#"http = "web", tls = "secure", mqtt = "broker""#;
const FOUR: &str = r#"http = "web", tls = "secure", mqtt = "broker", other = "rest""#;

/// A response up to the end of its body, which has `length` bytes.
fn get(stream: &mut (impl Read + Write), length: usize) -> String {
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        .unwrap();
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.extend(read(stream, 1));
    }
    response.extend(read(stream, length));
    String::from_utf8(response).unwrap()
}

/// CONNECT of MQTT 3.1.1, clean, as `a`.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a";

#[test]
fn each_client_gets_the_server_that_speaks_its_protocol() {
    let place = Place::new();
    let chain = write_pair(&place, "web");
    let (listener, app) = endpoint();
    let listen = free_address();
    let _process = place.start(&settings(listen, FOUR, "plain", app));

    assert!(get(&mut connect(listen), 5).ends_with("plain"));
    assert!(get(&mut tls::over(connect(listen), &chain), 6).ends_with("secure"));

    let mut http2 = connect(listen);
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    // In two pieces, the first of which HTTP/1 could have sent.
    http2.write_all(&preface[..3]).unwrap();
    http2.write_all(&preface[3..]).unwrap();
    // A SETTINGS frame (RFC 9113 section 6.5).
    assert_eq!(read(&mut http2, 9)[3], 4);

    let mut mqtt = connect(listen);
    mqtt.write_all(CONNECT).unwrap();
    assert_eq!(read(&mut mqtt, 4), b"\x20\x02\x00\x00");

    let mut other = connect(listen);
    other.write_all(b"EHLO a\r\n").unwrap();
    let mut server = accept(&listener);
    assert_eq!(read(&mut server, 8), b"EHLO a\r\n");

    // One that waits for the server to speak is given on when the time is over.
    let mut silent = connect(listen);
    let mut server = accept(&listener);
    server.write_all(b"220 ready\r\n").unwrap();
    assert_eq!(read(&mut silent, 11), b"220 ready\r\n");
}

#[test]
fn who_speaks_nothing_on_offer_is_turned_away_at_once_and_silence_in_time() {
    let place = Place::new();
    write_pair(&place, "web");
    let listen = free_address();
    let _process = place.start(&settings(listen, THREE, "plain", listen));
    let refused = |bytes: &[u8]| {
        let mut client = connect(listen);
        client.write_all(bytes).unwrap();
        let begun = Instant::now();
        assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
        begun.elapsed().as_millis()
    };
    assert!(refused(b"EHLO a\r\n") < 250);
    assert!(refused(b"") >= 250);
    // Dribbling gains no time.
    assert!(refused(b"GE") >= 250);
}

#[test]
fn a_connection_is_its_servers_when_that_is_updated() {
    let place = Place::new();
    write_pair(&place, "web");
    let listen = free_address();
    let process = place.start(&settings(listen, THREE, "older", listen));
    let mut client = connect(listen);
    assert!(get(&mut client, 5).ends_with("older"));
    process.update(&settings(listen, THREE, "newer", listen));
    // The server that tells protocols apart has not changed, and leads to the new chain.
    assert!(get(&mut connect(listen), 5).ends_with("newer"));
    // The old connection is asked to leave, as one that came in at the server itself.
    let last = get(&mut client, 5);
    assert!(last.to_lowercase().contains("connection: close"), "{last}");
    assert!(last.ends_with("older"));
}

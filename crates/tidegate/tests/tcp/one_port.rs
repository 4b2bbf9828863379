//! Everything that can be told apart, at one address, in front of servers that have no
//! listeners of their own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::{Place, Tidegate, eventually, free_address, thread};
use crate::peers::{accept, connect, endpoint, read};
use crate::tls::{self, PAIR, write_pair};

/// `door` gives connections to the servers in `detect`, and is the only one that listens.
fn settings(listen: SocketAddr, detect: &str, calls: SocketAddr) -> String {
    format!(
        r#"
[runtime]
workers = 1
pin = false
[servers.door]
protocol = "detect"
listen = "{listen}"
detect = {{ {detect} }}
timeouts = {{ detect = "400ms" }}
[servers.web]
protocol = "http"
[[servers.web.routes]]
prefix = "/"
respond = {{ status = 200, body = "plain" }}
[servers.secure]
protocol = "http"
{PAIR}
[[servers.secure.routes]]
prefix = "/"
respond = {{ status = 200, body = "secure" }}
[servers.broker]
protocol = "mqtt"
[servers.calls]
protocol = "thrift"
upstream = "calls"
[upstreams.calls]
endpoints = ["{calls}"]
"#
    )
}

const ALL: &str = r#"http = "web", tls = "secure", mqtt = "broker", thrift = "calls""#;

const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
/// The preface, and SETTINGS without any.
const HTTP2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
/// CONNECT of MQTT 3.1.1, clean, as `a`.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01a";

/// A call of `ping` in each spelling, with an empty body, and what its reply is.
const CALLS: [(&[u8], &[u8]); 8] = [
    (
        b"\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x07\0",
        b"\x80\x01\0\x02\0\0\0\x04ping\0\0\0\x07\0",
    ),
    (b"\x82\x21\x07\x04ping\0", b"\x82\x41\x07\x04ping\0"),
    (
        b"\0\0\0\x04ping\x01\0\0\0\x07\0",
        b"\0\0\0\x04ping\x02\0\0\0\x07\0",
    ),
    (
        b"\0\0\0\x11\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x07\0",
        b"\0\0\0\x11\x80\x01\0\x02\0\0\0\x04ping\0\0\0\x07\0",
    ),
    (
        b"\0\0\0\x09\x82\x21\x07\x04ping\0",
        b"\0\0\0\x09\x82\x41\x07\x04ping\0",
    ),
    (
        b"\0\0\0\x0e\0\0\0\x04ping\x01\0\0\0\x07\0",
        b"\0\0\0\x0e\0\0\0\x04ping\x02\0\0\0\x07\0",
    ),
    (
        b"\0\0\0\x1f\x10\0\0\0\0\0\0\x07\0\x01\0\0\0\0\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x07\0",
        b"\0\0\0\x1f\x10\0\0\0\0\0\0\x07\0\x01\0\0\0\0\x80\x01\0\x02\0\0\0\x04ping\0\0\0\x07\0",
    ),
    (
        b"\0\0\0\x23\x10\0\0\0\0\0\0\x07\0\x01\0\0\0\0\0\0\0\x11\x80\x01\0\x01\0\0\0\x04ping\0\0\0\x07\0",
        b"\0\0\0\x23\x10\0\0\0\0\0\0\x07\0\x01\0\0\0\0\0\0\0\x11\x80\x01\0\x02\0\0\0\x04ping\0\0\0\x07\0",
    ),
];

/// A Thrift server that answers each call in [`CALLS`] with its reply.
fn replying() -> SocketAddr {
    let (listener, address) = endpoint();
    thread("replying", move || {
        loop {
            let mut stream = accept(&listener);
            // Its connections wait in a pool; the last go with the gateway.
            thread(
                "replying to one",
                move || while reply(&mut stream).is_some() {},
            );
        }
    });
    address
}

fn reply(stream: &mut TcpStream) -> Option<()> {
    let mut call = Vec::new();
    loop {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        call.push(byte[0]);
        if let Some((_, reply)) = CALLS.iter().find(|(asked, _)| *asked == call) {
            return stream.write_all(reply).ok();
        }
    }
}

/// Sends `bytes` one by one, without a delay but each on its own.
fn dribble(stream: &mut TcpStream, bytes: &[u8]) {
    stream.set_nodelay(true).unwrap();
    for byte in bytes {
        stream.write_all(&[*byte]).unwrap();
    }
}

fn start(detect: &str) -> (SocketAddr, Tidegate, String) {
    let place = Place::new();
    let chain = write_pair(&place, "web");
    let listen = free_address();
    let mut text = settings(listen, detect, replying());
    for server in ["secure", "broker"] {
        if !detect.contains(server) {
            let own = format!("[servers.{server}]\nlisten = \"127.0.0.1:0\"");
            text = text.replace(&format!("[servers.{server}]\n"), &format!("{own}\n"));
        }
    }
    let process = place.start(&text);
    (listen, process, chain)
}

fn head_and(stream: &mut impl Read, body: &str) {
    let mut response = Vec::new();
    while !response.ends_with(b"\r\n\r\n") {
        response.extend(read(stream, 1));
    }
    assert!(response.starts_with(b"HTTP/1.1 200"), "{response:?}");
    assert_eq!(read(stream, body.len()), body.as_bytes());
}

#[test]
fn one_port_serves_them_all_however_their_openings_arrive() {
    let (listen, _process, chain) = start(ALL);
    for say in [
        (|stream, bytes| stream.write_all(bytes).unwrap()) as fn(&mut TcpStream, &[u8]),
        dribble,
    ] {
        let mut web = connect(listen);
        say(&mut web, GET);
        head_and(&mut web, "plain");

        let mut http2 = connect(listen);
        say(&mut http2, HTTP2);
        // A SETTINGS frame (RFC 9113 section 6.5).
        assert_eq!(read(&mut http2, 9)[3], 4);

        let mut mqtt = connect(listen);
        say(&mut mqtt, CONNECT);
        assert_eq!(read(&mut mqtt, 4), b"\x20\x02\x00\x00");

        for (call, reply) in CALLS {
            let mut thrift = connect(listen);
            // What follows finds its server without being looked at again.
            for _ in 0..2 {
                say(&mut thrift, call);
                assert_eq!(read(&mut thrift, reply.len()), reply);
            }
        }
    }
    let mut secure = tls::over(connect(listen), &chain);
    secure.write_all(GET).unwrap();
    head_and(&mut secure, "secure");
}

#[test]
fn an_opening_that_stalls_is_turned_away_when_its_time_is_over() {
    let (listen, _process, _) = start(ALL);
    let openings: [&[u8]; 9] = [
        b"\0",
        b"\0\0\0\x11",
        b"\0\0\0\x11\x80\x01\0",
        b"\0\0\0\x11\0\0\0\x04",
        b"\x80\x01",
        b"\x82",
        b"\x10\x0d\0\x04MQ",
        b"\x16\x03\x01",
        b"PRI * HTTP/2",
    ];
    let mut clients = openings.map(|opening| {
        let mut client = connect(listen);
        client.write_all(opening).unwrap();
        client
    });
    let begun = Instant::now();
    for (client, opening) in clients.iter_mut().zip(openings) {
        assert!(
            matches!(client.read(&mut [0]), Ok(0) | Err(_)),
            "{opening:?}"
        );
    }
    // All at the same time, after all of theirs.
    let taken = begun.elapsed();
    assert!(taken >= Duration::from_millis(300), "{taken:?}");
    assert!(taken < Duration::from_secs(10), "{taken:?}");
}

#[test]
fn what_is_not_on_offer_is_turned_away_at_once() {
    let (listen, _process, _) = start(r#"http = "web", thrift = "calls""#);
    let begun = Instant::now();
    for refused in [
        CONNECT,
        b"\x16\x03\x01\x02\0\x01\0\x01",
        b"\0\0\0\x08\x04\xd2\x16\x2f",
    ] {
        let mut client = connect(listen);
        client.write_all(refused).unwrap();
        assert!(
            matches!(client.read(&mut [0]), Ok(0) | Err(_)),
            "{refused:?}"
        );
    }
    assert!(
        begun.elapsed() < Duration::from_millis(390),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_server_without_a_listener_is_updated_and_may_get_one() {
    let (listen, process, _) = start(ALL);
    let own = free_address();
    let (call, reply) = CALLS[0];
    let mut before = connect(listen);
    before.write_all(call).unwrap();
    assert_eq!(read(&mut before, reply.len()), reply);
    let text = std::fs::read_to_string(process.place.config()).unwrap();
    let listening = text.replace(
        "protocol = \"thrift\"\n",
        &format!("protocol = \"thrift\"\nlisten = \"{own}\"\n"),
    );
    process.update(&listening);
    for stream in [
        before,
        connect(listen),
        eventually("its own listener", || TcpStream::connect(own).ok()),
    ]
    .iter_mut()
    {
        stream.write_all(call).unwrap();
        assert_eq!(read(stream, reply.len()), reply);
    }
    process.update(&text);
    let mut after = connect(listen);
    after.write_all(call).unwrap();
    assert_eq!(read(&mut after, reply.len()), reply);
    eventually("its own listener closes", || TcpStream::connect(own).err());
}

//! The broker by hand takes a client in. What `embedded_broker` does is in `server_embedded.rs`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// CONNECT of MQTT 5.0 (section 3.1): a clean start, a minute of keep-alive, no client id.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x00";
/// The first byte of CONNACK (section 3.2).
const CONNACK: u8 = 0x20;

#[test]
fn the_broker_by_hand_takes_a_client_in() {
    let arguments = ["127.0.0.1:0"];
    let mut broker = run_example::Example::start(env!("CARGO_PKG_NAME"), "broker", &arguments);
    let line = broker.next_line().unwrap();
    let address = line.strip_prefix("MQTT on ").unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    client.write_all(CONNECT).unwrap();
    let mut answer = [0];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [CONNACK]);
}

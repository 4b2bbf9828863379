//! Connections outlive an update on the chain they began on, up to the drain time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::{Tidegate, free_address};
use crate::peers::{accept, connect, endpoint, is_silent, proxy, read};

fn echoes(client: &mut TcpStream, server: &mut TcpStream) {
    client.write_all(b"ping").unwrap();
    assert_eq!(read(server, 4), b"ping");
    server.write_all(b"pong").unwrap();
    assert_eq!(read(client, 4), b"pong");
}

#[test]
fn a_connection_goes_on_where_it_began_while_new_ones_go_elsewhere() {
    let ((old, before), (new, after)) = (endpoint(), endpoint());
    let listen = free_address();
    let process = Tidegate::start(&proxy(listen, &[before], "drain = \"60s\"", ""));
    let mut client = connect(listen);
    let mut server = accept(&old);
    echoes(&mut client, &mut server);
    process.update(&proxy(listen, &[after], "drain = \"60s\"", ""));
    let mut newcomer = connect(listen);
    echoes(&mut newcomer, &mut accept(&new));
    echoes(&mut client, &mut server);
    assert!(is_silent(&client, Duration::from_millis(200)));
}

#[test]
fn a_connection_that_does_not_end_is_cut_at_the_drain_deadline() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let drain = "drain = \"700ms\"";
    let process = Tidegate::start(&proxy(listen, &[address], drain, ""));
    let mut client = connect(listen);
    let mut server = accept(&listener);
    echoes(&mut client, &mut server);
    let begun = Instant::now();
    let changed = format!("{drain}\ntimeouts = {{ idle = \"10m\" }}");
    process.update(&proxy(listen, &[address], &changed, ""));
    echoes(&mut client, &mut server);
    // Cut, which neither side may take for an end.
    assert!(client.read(&mut [0]).is_err());
    assert!(server.read(&mut [0]).is_err());
    assert!(begun.elapsed() >= Duration::from_millis(650));
}

#[test]
fn a_stop_waits_for_connections_to_finish_and_for_no_longer() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let drain = "drain = \"60s\"";
    let mut process = Tidegate::start(&proxy(listen, &[address], drain, ""));
    let mut client = connect(listen);
    let mut server = accept(&listener);
    echoes(&mut client, &mut server);
    process.signal(Signal::TERM);
    echoes(&mut client, &mut server);
    assert!(process.runs());
    drop(client);
    assert_eq!(server.read(&mut [0]).unwrap(), 0);
    drop(server);
    assert_eq!(process.ended().code(), Some(0));
}

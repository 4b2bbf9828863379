//! Endpoints that are gone, and peers that take too long.

use std::io::{Read, Write};
use std::time::Instant;

use crate::harness::{Tidegate, free_address};
use crate::peers::{accept, connect, endpoint, nowhere, proxy, read};

#[test]
fn a_dead_endpoint_costs_nobody_a_connection_while_another_lives() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let _process = Tidegate::start(&proxy(listen, &[nowhere(), address], "", ""));
    for _ in 0..6 {
        let mut client = connect(listen);
        client.write_all(b"hello").unwrap();
        let mut server = accept(&listener);
        assert_eq!(read(&mut server, 5), b"hello");
    }
}

#[test]
fn with_no_endpoint_alive_the_client_is_turned_away_at_once() {
    let listen = free_address();
    let process = Tidegate::start(&proxy(listen, &[nowhere(), nowhere()], "", ""));
    let mut client = connect(listen);
    // An end, or a reset: which is up to the moment.
    let ended = matches!(client.read(&mut [0]), Ok(0) | Err(_));
    assert!(ended);
    drop(client);
    drop(process);
}

#[test]
fn silence_is_cut_and_traffic_puts_the_cut_off() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let timeouts = "timeouts = { idle = \"600ms\" }";
    let _process = Tidegate::start(&proxy(listen, &[address], timeouts, ""));
    let mut client = connect(listen);
    let mut server = accept(&listener);
    let begun = Instant::now();
    // Twice the limit, in steps below it: by traffic of either side.
    while begun.elapsed().as_millis() < 1200 {
        client.write_all(b"x").unwrap();
        assert_eq!(read(&mut server, 1), b"x");
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    let silent_since = Instant::now();
    assert!(matches!(client.read(&mut [0]), Ok(0) | Err(_)));
    assert!(silent_since.elapsed().as_millis() >= 500);
    assert!(matches!(server.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn a_connection_ends_at_its_total_limit_however_busy() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let timeouts = "timeouts = { total = \"500ms\" }";
    let _process = Tidegate::start(&proxy(listen, &[address], timeouts, ""));
    let mut client = connect(listen);
    let mut server = accept(&listener);
    let begun = Instant::now();
    let mut byte = [0];
    while client.write_all(b"x").is_ok() && matches!(server.read(&mut byte), Ok(1)) {
        assert!(begun.elapsed().as_secs() < 10, "it goes on and on");
    }
    assert!(begun.elapsed().as_millis() >= 500);
}

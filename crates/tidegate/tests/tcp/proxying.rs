//! What goes in comes out, both ways and to the last byte.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixListener;

use tidegate_runtime::proxy_protocol::{Proxied, ProxyVersion, parse};

use crate::harness::{Place, Tidegate, eventually, free_address, thread};
use crate::peers::{accept, connect, endpoint, proxy, read};
use crate::tls::{self, PAIR, write_pair};

#[test]
fn a_side_that_has_finished_still_receives_whichever_it_is() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let _process = Tidegate::start(&proxy(listen, &[address], "", ""));
    for client_first in [true, false] {
        let client = connect(listen);
        let server = accept(&listener);
        let (mut first, mut second) = match client_first {
            true => (client, server),
            false => (server, client),
        };
        first.write_all(b"all there is").unwrap();
        first.shutdown(Shutdown::Write).unwrap();
        let mut received = Vec::new();
        second.read_to_end(&mut received).unwrap();
        assert_eq!(received, b"all there is");
        second.write_all(b"and an answer").unwrap();
        drop(second);
        received.clear();
        first.read_to_end(&mut received).unwrap();
        assert_eq!(received, b"and an answer");
    }
}

#[test]
fn a_large_stream_arrives_whole_both_ways_at_once() {
    const BYTES: usize = 24 << 20;
    let pattern = |salt: usize| -> Vec<u8> {
        let bytes = (0..BYTES).map(|at| (at * 31 + at / 65_521 + salt) as u8);
        bytes.collect()
    };
    let (listener, address) = endpoint();
    let listen = free_address();
    let _process = Tidegate::start(&proxy(listen, &[address], "", ""));
    let exchange = |stream: std::net::TcpStream, sent: Vec<u8>, expected: Vec<u8>| {
        let mut writer = stream.try_clone().unwrap();
        let writing = thread("writer", move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        (&stream).read_to_end(&mut received).unwrap();
        writing.join().unwrap();
        assert!(received == expected, "{} bytes", received.len());
    };
    let serving = thread("endpoint", move || {
        exchange(accept(&listener), pattern(1), pattern(2));
    });
    exchange(connect(listen), pattern(2), pattern(1));
    serving.join().unwrap();
}

#[test]
fn a_reset_reaches_the_other_side_as_one() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let _process = Tidegate::start(&proxy(listen, &[address], "", ""));
    let mut client = connect(listen);
    let mut server = accept(&listener);
    server.write_all(b"half").unwrap();
    assert_eq!(read(&mut client, 4), b"half");
    socket2::SockRef::from(&server)
        .set_linger(Some(std::time::Duration::ZERO))
        .unwrap();
    drop(server);
    let failure = client.read(&mut [0]).unwrap_err();
    assert_eq!(failure.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn the_endpoint_learns_who_the_client_is_ahead_of_its_first_byte() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let server = |version| format!("send_proxy_protocol = \"{version}\"");
    let process = Tidegate::start(&proxy(listen, &[address], &server("v1"), ""));
    for version in [ProxyVersion::V1, ProxyVersion::V2] {
        if version == ProxyVersion::V2 {
            process.update(&proxy(listen, &[address], &server("v2"), ""));
        }
        let mut client = connect(listen);
        client.write_all(b"query").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut received = Vec::new();
        accept(&listener).read_to_end(&mut received).unwrap();
        let (header, length) = parse(&received).unwrap().unwrap();
        assert_eq!(header.version, version);
        let expected = Proxied::Tcp {
            source: client.local_addr().unwrap(),
            destination: listen,
        };
        assert_eq!(header.proxied, expected);
        assert_eq!(&received[length..], b"query");
    }
}

#[test]
fn tls_can_end_here_and_the_endpoint_be_a_unix_socket() {
    let place = Place::new();
    let chain = write_pair(&place, "web");
    let socket = place.path("app.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    let listen = free_address();
    let settings = proxy(listen, &[], PAIR, "");
    let endpoint = format!("endpoints = [\"unix:{}\"]", socket.display());
    let _process = place.start(&settings.replace("endpoints = []", &endpoint));
    let mut client = tls::over(connect(listen), &chain);
    client.write_all(b"in secret").unwrap();
    let (mut server, _) = listener.accept().unwrap();
    assert_eq!(read(&mut server, 9), b"in secret");
    server.write_all(b"in clear").unwrap();
    assert_eq!(read(&mut client, 8), b"in clear");
    // The end of the stream is said in TLS, so that the client can believe it.
    drop(server);
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_slow_reader_slows_the_sender_down_and_memory_stays_bounded() {
    let (listener, address) = endpoint();
    let listen = free_address();
    let process = Tidegate::start(&proxy(listen, &[address], "", ""));
    let client = connect(listen);
    let mut server = accept(&listener);
    let before_kib = process.resident_kib();
    server.set_nonblocking(true).unwrap();
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    // Full when nothing more fits for a while: only the kernel's buffers and ours are left.
    let mut refused = 0;
    eventually("the sender to be held up", || {
        match server.write(&piece) {
            Ok(count) => (sent, refused) = (sent + count, 0),
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                refused += 1;
            }
        }
        (refused > 50).then_some(())
    });
    assert!(sent < 64 << 20, "{sent} bytes went nowhere");
    let grown_kib = process.resident_kib().saturating_sub(before_kib);
    assert!(grown_kib < 4096, "{grown_kib} KiB");
    // What was sent is not lost by the wait.
    drop(server);
    let mut received = 0;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match (&client).read(&mut buffer).unwrap() {
            0 => break,
            count => received += count,
        }
    }
    assert_eq!(received, sent);
}

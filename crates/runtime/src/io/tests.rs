#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::poll_fn;
use std::io::Read;
use std::net::{TcpListener, TcpStream as StdStream};
use std::time::Duration;

use tokio::io::AsyncWriteExt;

use super::*;
use crate::local::block_on;

/// A client and the server's end of its connection; inside a runtime.
fn connected() -> (StdStream, Io) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = StdStream::connect(listener.local_addr().unwrap()).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    let (server, _) = listener.accept().unwrap();
    server.set_nonblocking(true).unwrap();
    (client, Io::from_tcp(TcpStream::from_std(server).unwrap()))
}

async fn write_last(io: &mut Io, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let (lead, data) = bytes.split_at(bytes.len() / 2);
        let slices = [IoSlice::new(lead), IoSlice::new(data)];
        let count = poll_fn(|cx| io.poll_write_last(cx, &slices)).await.unwrap();
        bytes = &bytes[count..];
    }
}

#[test]
fn the_last_bytes_leave_with_the_end_of_the_stream() {
    block_on(async {
        let (mut client, mut io) = connected();
        io.write_all(b"first, ").await.unwrap();
        write_last(&mut io, b"and last").await;
        drop(io);
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"first, and last");
    });
}

#[test]
fn last_bytes_that_are_followed_by_more_leave_all_the_same() {
    block_on(async {
        let (mut client, mut io) = connected();
        write_last(&mut io, b"not ").await;
        io.write_all(b"last").await.unwrap();
        let mut bytes = [0; 8];
        client.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"not last");
    });
}

#[test]
fn more_than_a_socket_holds_arrives_whole() {
    block_on(async {
        let (mut client, mut io) = connected();
        let bytes: Vec<u8> = (0..8_000_000_u32).map(|it| (it / 7) as u8).collect();
        let reading = std::thread::Builder::new().spawn(move || {
            let mut all = Vec::new();
            client.read_to_end(&mut all).map(|_| all)
        });
        write_last(&mut io, &bytes).await;
        io.shutdown().await.unwrap();
        drop(io);
        assert!(reading.unwrap().join().unwrap().unwrap() == bytes);
    });
}

#[test]
fn a_peer_that_is_gone_is_an_error_and_no_signal() {
    block_on(async {
        let (client, mut io) = connected();
        drop(client);
        let error = loop {
            let slices = [IoSlice::new(b"anybody?")];
            if let Err(error) = poll_fn(|cx| io.poll_write_last(cx, &slices)).await {
                break error;
            }
        };
        assert!(matches!(
            error.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
        ));
    });
}

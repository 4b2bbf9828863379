//! A slow reader slows its writer down; nothing is piled up in between.

use std::io::ErrorKind;
use std::time::Duration;

use crate::harness::{DEADLINE, Gate, Gateway, Origin, Peer, get, ok, proxy_to};

const LENGTH: usize = 200 << 20;
/// What one connection may hold: a few read buffers. The rest is the kernel's.
const GROWTH_MAX: u64 = 3 << 20;

/// Sends `LENGTH` bytes; opens `stuck` when the other side takes no more for a while.
fn send_all(peer: &mut Peer, stuck: &Gate) {
    let piece = vec![b'x'; 1 << 20];
    let mut sent = 0;
    let wait = |peer: &Peer, time| peer.socket().set_write_timeout(Some(time)).unwrap();
    wait(peer, Duration::from_millis(300));
    while sent < LENGTH {
        match peer.send_some(&piece[..piece.len().min(LENGTH - sent)]) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                stuck.open();
                wait(peer, DEADLINE);
            }
            Err(error) => panic!("after {sent} bytes: {error}"),
        }
    }
}

#[track_caller]
fn assert_small(gateway: &Gateway, before: u64) {
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < GROWTH_MAX, "grown by {grown} bytes");
}

#[test]
fn a_download_waits_for_its_reader() {
    let stuck = Gate::default();
    let sees_stuck = stuck.clone();
    let origin = Origin::start(move |visit| {
        while let Some(request) = visit.request() {
            if request.path() == "/large" {
                visit.send(format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {LENGTH}\r\n\r\n"
                ));
                send_all(&mut visit.peer, &sees_stuck);
            } else {
                visit.send(ok("small"));
            }
        }
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    assert_eq!(client.ask(get("/")).text(), "small");
    let before = gateway.resident_bytes();
    client.send(get("/large"));
    assert_eq!(client.head().unwrap().status(), 200);
    stuck.wait();
    assert_small(&gateway, before);
    // Others are served meanwhile.
    assert_eq!(gateway.connect().ask(get("/")).text(), "small");
    assert!(client.skip(LENGTH));
    assert_small(&gateway, before);
    assert_eq!(client.ask(get("/")).text(), "small");
}

#[test]
fn an_upload_waits_for_its_reader() {
    for chunked in [false, true] {
        let stuck = Gate::default();
        let sees_stuck = stuck.clone();
        let origin = Origin::start(move |visit| {
            while let Some(head) = visit.peer.head() {
                if head.line.starts_with("POST") {
                    sees_stuck.wait();
                    assert_eq!(head.all("transfer-encoding").is_empty(), !chunked);
                    if chunked {
                        // Data and its framing, whatever that comes to.
                        let framing = head.framing(None);
                        let message = visit.peer.body(head, framing).unwrap();
                        assert_eq!(message.body.len(), LENGTH);
                    } else {
                        assert!(visit.peer.skip(LENGTH));
                    }
                }
                visit.send(ok("read"));
            }
        });
        let more = "[servers.web.limits]\nbody_bytes = \"1GiB\"";
        let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
        let mut client = gateway.connect();
        assert_eq!(client.ask(get("/")).text(), "read");
        let before = gateway.resident_bytes();
        let framing = if chunked {
            format!("Transfer-Encoding: chunked\r\n\r\n{LENGTH:x}\r\n")
        } else {
            format!("Content-Length: {LENGTH}\r\n\r\n")
        };
        client.send(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}"));
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| send_all(&mut client, &stuck));
            stuck.wait();
            assert_small(&gateway, before);
            sending.join().unwrap();
        });
        if chunked {
            client.send("\r\n0\r\n\r\n");
        }
        assert_eq!(client.reply().text(), "read");
        assert_small(&gateway, before);
    }
}

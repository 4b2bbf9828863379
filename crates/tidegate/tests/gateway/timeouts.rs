//! Clients that keep the gateway waiting.

use std::time::{Duration, Instant};

use crate::harness::{End, Gateway, Origin, get, ok, proxy_to};

/// Sends a byte now and then until the connection takes no more or something comes.
fn dribble(client: &mut crate::harness::Peer, piece: &str) {
    while !client.is_readable(Duration::from_millis(20)) {
        if client.try_send(piece).is_err() {
            return;
        }
    }
}

#[test]
fn a_head_that_dribbles_in_is_cut_at_a_total_deadline() {
    let origin = Origin::named("origin");
    let more = "[servers.web.timeouts]\nheader = \"300ms\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.1\r\nHost: a\r\n");
    dribble(&mut client, "X: y\r\n");
    let reply = client.reply();
    assert_eq!(reply.status(), 408);
    assert_eq!(reply.field("connection"), Some("close"));
    assert_eq!(origin.connections(), 0);
}

#[test]
fn the_head_of_a_later_request_has_the_same_deadline() {
    let origin = Origin::named("origin");
    let more = "[servers.web.timeouts]\nheader = \"300ms\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut client = gateway.connect();
    client.send(get("/").repeat(2) + "GET /x");
    assert_eq!(client.reply().status(), 200);
    assert_eq!(client.reply().status(), 200);
    dribble(&mut client, "x");
    assert_eq!(client.reply().status(), 408);
}

#[test]
fn a_client_that_says_nothing_is_closed() {
    let origin = Origin::named("origin");
    let more = "[servers.web.timeouts]\nheader = \"200ms\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    assert_eq!(gateway.connect().ended(), End::Finished);
}

#[test]
fn an_idle_connection_is_closed() {
    let origin = Origin::named("origin");
    let more = "[servers.web.timeouts]\nidle = \"200ms\"\nheader = \"10s\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut client = gateway.connect();
    assert_eq!(client.ask(get("/")).status(), 200);
    let begun = Instant::now();
    assert_eq!(client.ended(), End::Finished);
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "not by the header limit"
    );
}

#[test]
fn a_body_that_stops_is_408() {
    let origin = Origin::answering(|_| ok("served"));
    let more = "[servers.web.timeouts]\nbody = \"200ms\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    for beginning in [
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nlittle",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let mut client = gateway.connect();
        client.send(beginning);
        let reply = client.reply();
        assert_eq!(reply.status(), 408);
        assert_eq!(reply.field("connection"), Some("close"));
        client.finish();
        client.ended();
    }
    assert_eq!(origin.requests(), [], "the origin saw no end of it");
}

#[test]
fn a_body_that_dribbles_in_is_408() {
    let origin = Origin::answering(|_| ok("served"));
    let more = "[servers.web.timeouts]\nbody = \"300ms\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut client = gateway.connect();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n");
    dribble(&mut client, "x");
    assert_eq!(client.reply().status(), 408);
    assert_eq!(origin.requests(), []);
}

#[test]
fn a_slow_upstream_is_not_the_clients_fault() {
    let origin = Origin::start(|visit| {
        let head = visit.peer.head().unwrap();
        // Longer than the client is granted, while its body waits unread.
        std::thread::sleep(Duration::from_millis(1000));
        let framing = head.framing(None);
        let request = visit.peer.body(head, framing).unwrap();
        visit.send(ok(&request.body.len().to_string()));
    });
    let more = "[servers.web.timeouts]\nbody = \"500ms\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let length = 16 << 20;
    let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let mut client = gateway.connect();
    client.send(head + &"x".repeat(length));
    let reply = client.reply();
    assert_eq!((reply.status(), reply.text()), (200, length.to_string()));
}

#[test]
fn a_slow_client_is_not_the_upstreams_fault() {
    let origin = Origin::start(|visit| match visit.request() {
        Some(request) => {
            visit.send(ok(&request.text()));
            // The second request is never answered: its upstream is at fault.
            visit.request();
            visit.peer.ended();
        }
        None => panic!("given up"),
    });
    let more = "[servers.web.timeouts]\nupstream_response = \"500ms\"\nbody = \"10s\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut client = gateway.connect();
    let beginning = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nslow";
    client.send(beginning);
    assert!(
        !client.is_readable(Duration::from_millis(800)),
        "answered too early"
    );
    client.send("body");
    assert_eq!(client.reply().text(), "slowbody");
    client.send(beginning);
    assert!(
        !client.is_readable(Duration::from_millis(800)),
        "answered too early"
    );
    client.send("body");
    assert_eq!(client.reply().status(), 504);
}

#[test]
fn a_reader_that_stops_is_cut_off() {
    let origin = Origin::start(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
        let piece = vec![b'x'; 64 * 1024];
        while visit.peer.try_send(&piece).is_ok() {}
    });
    let more = "[servers.web.timeouts]\nwrite = \"300ms\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut client = gateway.connect();
    client.socket().set_recv_buffer_size(4096).unwrap();
    client.send(get("/"));
    assert_eq!(client.head().unwrap().status(), 200);
    // Only then is anything read again.
    crate::harness::wait_until("the client is given up", || {
        !gateway.is_connected(origin.port())
    });
    let (rest, end) = client.rest();
    assert!(end == End::Broken && rest.len() < 100_000_000);
}

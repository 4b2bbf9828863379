//! How the connections of a replaced generation leave.

use std::future::poll_fn;
use std::io::Write;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::client::{Client, get};
use crate::harness::{DEADLINE, Tidegate, free_address};
use crate::origin::Origin;

fn text(listen: SocketAddr, origin: &Origin, drain: &str, turn: u32) -> String {
    format!(
        r#"
[servers.web]
protocol = "http"
listen = ["{listen}"]
drain = "{drain}"
[[servers.web.routes]]
path = "/turn"
respond = {{ status = 200, body = "{turn}" }}
[[servers.web.routes]]
prefix = "/"
upstream = "app"
[upstreams.app]
endpoints = ["{}"]
"#,
        origin.address
    )
}

struct Started {
    process: Tidegate,
    listen: SocketAddr,
    origin: Origin,
    drain: &'static str,
}

impl Started {
    fn with(drain: &'static str) -> Self {
        let (origin, listen) = (Origin::start("origin"), free_address());
        Self {
            process: Tidegate::start(&text(listen, &origin, drain, 1)),
            listen,
            origin,
            drain,
        }
    }

    fn update(&self) {
        let text = text(self.listen, &self.origin, self.drain, 2);
        self.process.update(&text);
        assert_eq!(get(self.listen, "/turn").body, "2");
    }
}

#[test]
fn an_idle_connection_leaves_with_its_next_answer() {
    let started = Started::with("30s");
    let mut client = Client::connect(started.listen);
    assert!(!client.get("/turn").closes);
    started.update();
    let reply = client.get("/turn");
    assert_eq!((&*reply.body, reply.closes), ("1", true));
    assert!(client.ends());
}

#[test]
fn requests_sent_ahead_are_all_answered() {
    let started = Started::with("30s");
    let mut client = Client::connect(started.listen);
    let two = "GET /slow HTTP/1.1\r\nhost: test\r\n\r\nGET /turn HTTP/1.1\r\nhost: test\r\n\r\n";
    client.stream.write_all(two.as_bytes()).unwrap();
    started.origin.await_requests(1);
    started.update();
    started.origin.release();
    let (first, second) = (client.reply().unwrap(), client.reply().unwrap());
    assert_eq!((&*first.body, first.closes), ("origin", false));
    assert_eq!((&*second.body, second.closes), ("1", true));
    assert!(client.ends());
}

#[test]
fn a_body_under_way_is_sent_to_its_end() {
    let started = Started::with("30s");
    let mut client = Client::connect(started.listen);
    client.send("/body", "").unwrap();
    let (status, closes, length) = client.head().unwrap();
    assert_eq!((status, closes), (200, false), "sent before the update");
    started.update();
    started.origin.release();
    assert_eq!(client.read_exact(length).unwrap(), b"origin");
    // It was not told, so it may ask again, and is told now.
    let reply = client.get("/turn");
    assert_eq!((&*reply.body, reply.closes), ("1", true));
}

#[test]
fn who_idles_past_the_drain_deadline_is_sent_away_in_order() {
    let started = Started::with("300ms");
    let mut client = Client::connect(started.listen);
    assert!(!client.get("/turn").closes);
    started.update();
    assert!(client.ends(), "an end, not a reset");
    let dropped = started
        .process
        .logged("connections dropped at the drain deadline");
    assert!(dropped.is_empty(), "{dropped:?}");
}

#[test]
fn who_is_busy_past_the_drain_deadline_is_cut_off() {
    let started = Started::with("300ms");
    let mut client = Client::connect(started.listen);
    client.send("/slow", "").unwrap();
    started.origin.await_requests(1);
    started.update();
    assert!(client.reply().is_err(), "there is no answer to wait for");
    let event = started
        .process
        .next("connections dropped at the drain deadline");
    assert_eq!((&event["site"], &event["left"]), (&"web".into(), &1.into()));
    assert_eq!(
        get(started.listen, "/").body,
        "origin",
        "nobody else is concerned"
    );
}

#[test]
fn a_tunnel_outlives_the_update_until_the_drain_deadline() {
    let started = Started::with("1s");
    let mut client = Client::connect(started.listen);
    client
        .send("/", "connection: upgrade\r\nupgrade: echo\r\n")
        .unwrap();
    assert_eq!(client.head().unwrap().0, 101);
    let mut echo = |word: &[u8; 4]| {
        client.stream.write_all(word)?;
        client.read_exact(4)
    };
    assert_eq!(echo(b"ping").unwrap(), b"ping");
    let begun = Instant::now();
    started.update();
    let mut echoed = 0;
    while echo(b"pong").is_ok() {
        echoed += 1;
        assert!(begun.elapsed() < DEADLINE, "it is never cut");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(echoed > 1, "it lived on after the update");
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "cut before its time"
    );
    started
        .process
        .next("connections dropped at the drain deadline");
}

#[test]
fn http2_streams_under_way_end_and_new_ones_go_elsewhere() {
    let started = Started::with("30s");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let request = |path: &str| {
        let uri = format!("http://test{path}");
        http::Request::get(uri).body(()).unwrap()
    };
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(started.listen)
            .await
            .unwrap();
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        let talk = async {
            let (slow, _) = sender.send_request(request("/slow"), true).unwrap();
            let (body, _) = sender.send_request(request("/body"), true).unwrap();
            let mut body = body.await.unwrap().into_body();
            started.origin.await_requests(2);
            started.update();
            // GOAWAY: this connection takes no new requests.
            let refused = poll_fn(|cx| sender.poll_ready(cx)).await;
            let leaving = async {
                let mut refused = refused;
                while refused.is_ok() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    refused = poll_fn(|cx| sender.poll_ready(cx)).await;
                }
                refused.unwrap_err()
            };
            let error = tokio::time::timeout(DEADLINE, leaving).await.unwrap();
            assert!(error.is_go_away() && error.is_remote(), "{error:?}");
            assert_eq!(error.reason(), Some(h2::Reason::NO_ERROR));
            started.origin.release();
            started.origin.release();
            let mut text = Vec::new();
            while let Some(data) = body.data().await {
                text.extend_from_slice(&data.unwrap());
            }
            assert_eq!(text, b"origin");
            let mut slow = slow.await.unwrap().into_body();
            assert_eq!(slow.data().await.unwrap().unwrap(), "origin");
        };
        let (ended, ()) = tokio::join!(connection, talk);
        ended.unwrap();
    });
}

#[test]
fn a_removed_server_does_not_wait_for_those_who_idle() {
    let started = Started::with("30s");
    let other = free_address();
    let mut idle = Client::connect(started.listen);
    assert!(!idle.get("/turn").closes);
    let mut busy = Client::connect(started.listen);
    busy.send("/slow", "").unwrap();
    started.origin.await_requests(1);
    let text = text(other, &started.origin, "30s", 3).replace("servers.web", "servers.other");
    started.process.update(&text);
    let begun = Instant::now();
    assert!(idle.ends());
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "long before the drain deadline"
    );
    started.origin.release();
    assert!(busy.reply().unwrap().closes);
    assert_eq!(get(other, "/turn").body, "3");
    started.process.signal(Signal::TERM);
}

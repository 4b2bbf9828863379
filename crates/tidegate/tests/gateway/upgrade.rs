//! Protocol switches: bytes are passed on blindly only after both sides agreed.

use std::time::Duration;

use crate::harness::{End, Gate, Gateway, Origin, get, ok, proxy_to};

const UPGRADE: &str =
    "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
const SWITCHING: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n";
const CONNECT: &str = "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";

/// An origin that answers a head with `answer` and then sends every byte back, but for
/// those after the head that came with it.
fn echo(answer: &'static str) -> Origin {
    Origin::start(move |visit| {
        visit.peer.head().unwrap();
        visit.send(answer);
        while let Some(byte) = visit.peer.exactly(1) {
            visit.send(byte);
        }
        visit.send("bye");
    })
}

#[test]
fn a_switch_joins_both_sides() {
    for (request, answer) in [
        (UPGRADE, SWITCHING),
        (CONNECT, "HTTP/1.1 200 Connection Established\r\n\r\n"),
    ] {
        let origin = echo(answer);
        let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
        let mut client = gateway.connect();
        // What the client sends at once belongs to the new protocol.
        client.send([request, "early"].concat());
        let head = client.head().unwrap();
        assert_eq!(head.status().to_string(), answer[9..12]);
        assert!(head.all("transfer-encoding").is_empty() && head.all("content-length").is_empty());
        if request == UPGRADE {
            assert_eq!(head.field("upgrade"), Some("echo"));
            assert!(
                head.field("connection")
                    .unwrap()
                    .eq_ignore_ascii_case("upgrade")
            );
        }
        assert_eq!(client.exactly(5).unwrap(), b"early");
        for _ in 0..3 {
            client.send("\0GET / HTTP/1.1\r\n\r\n");
            assert_eq!(client.exactly(19).unwrap(), b"\0GET / HTTP/1.1\r\n\r\n");
        }
        // One side finishes: the other still says what it has to say.
        client.finish();
        assert_eq!(client.rest(), (b"bye".to_vec(), End::Finished));
    }
}

#[test]
fn the_upstream_may_finish_first() {
    let done = Gate::default();
    let finished = done.clone();
    let origin = Origin::start(move |visit| {
        visit.peer.head().unwrap();
        visit.send([SWITCHING, "welcome"].concat());
        visit.peer.finish();
        assert_eq!(visit.peer.rest().0, b"still here");
        finished.open();
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.send(UPGRADE);
    assert_eq!(client.head().unwrap().status(), 101);
    assert_eq!(client.rest(), (b"welcome".to_vec(), End::Finished));
    client.send("still here");
    client.finish();
    done.wait();
}

#[test]
fn a_silent_tunnel_is_closed_in_the_end() {
    let origin = echo(SWITCHING);
    let more = "[servers.web.timeouts]\ntunnel_idle = \"500ms\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut client = gateway.connect();
    client.send(UPGRADE);
    assert_eq!(client.head().unwrap().status(), 101);
    client.send("x");
    assert_eq!(client.exactly(1).unwrap(), b"x");
    client.ended();
}

#[test]
fn without_101_nothing_is_tunnelled() {
    let origin = Origin::answering(|request| ok(request.path()));
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.send([UPGRADE, &get("/next")].concat());
    let reply = client.reply();
    assert_eq!(reply.text(), "/chat");
    assert_eq!(reply.field("upgrade"), None);
    // What followed was a request, and was read as one, by every rule for requests.
    assert_eq!(client.reply().text(), "/next");
    let mut client = gateway.connect();
    client.send([UPGRADE, "\x01\x02 raw bytes\r\n\r\n"].concat());
    assert_eq!(client.reply().status(), 200);
    assert_eq!(client.reply().status(), 400);
    client.ended();
    let heads: Vec<_> = origin
        .requests()
        .iter()
        .map(|it| it.path().to_owned())
        .collect();
    assert_eq!(heads, ["/chat", "/next", "/chat"]);
}

#[test]
fn a_refused_connect_is_not_tunnelled() {
    let origin = Origin::answering(|request| {
        assert_eq!(request.method(), "CONNECT");
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    let reply = client.ask(CONNECT);
    assert_eq!((reply.status(), reply.text().as_str()), (403, "no"));
    client.send("raw bytes\r\n\r\n");
    assert_eq!(client.reply().status(), 400);
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_switch_nobody_asked_for_is_502() {
    let requests = [
        get("/"),
        // A field without the connection option, and the reverse, ask for nothing.
        get("/").replace("\r\n\r\n", "\r\nUpgrade: echo\r\n\r\n"),
        get("/").replace("\r\n\r\n", "\r\nConnection: upgrade\r\n\r\n"),
        UPGRADE.replace("HTTP/1.1", "HTTP/1.0"),
    ];
    for request in requests {
        let origin = echo(SWITCHING);
        let gateway = Gateway::start(&proxy_to(&[origin.address()], "retries = 0"));
        let mut client = gateway.connect();
        client.send([request.as_str(), "raw bytes\r\n\r\n"].concat());
        let reply = client.reply();
        assert_eq!(reply.status(), 502, "{request}");
        // Whatever comes behind it is not from the upstream.
        let (rest, _) = client.rest();
        let rest = String::from_utf8_lossy(&rest).into_owned();
        assert!(
            rest.is_empty() || rest.starts_with("HTTP/1.1 400"),
            "{rest}"
        );
        drop(gateway);
    }
}

#[test]
fn fields_of_an_upgrade_nobody_asked_for_do_not_go_on() {
    let origin = Origin::named("origin");
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.ask(get("/").replace("\r\n\r\n", "\r\nUpgrade: echo\r\n\r\n"));
    client.ask(get("/").replace("\r\n\r\n", "\r\nConnection: upgrade\r\n\r\n"));
    for request in origin.requests() {
        assert_eq!(request.field("upgrade"), None);
        assert_eq!(request.field("connection"), None);
    }
}

#[test]
fn http_2_is_not_tunnelled_past_the_routes() {
    for protocol in ["h2c", "websocket, H2C"] {
        let origin = Origin::named("origin");
        let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
        let fields = format!(
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: {protocol}\r\nHTTP2-Settings: AAMAAABk"
        );
        let request = get("/").replace("\r\n\r\n", &format!("\r\n{fields}\r\n\r\n"));
        assert_eq!(gateway.connect().ask(request).status(), 200);
        let request = origin.requests().remove(0);
        for name in ["upgrade", "connection", "http2-settings"] {
            assert_eq!(request.field(name), None, "{name}");
        }
    }
}

#[test]
fn a_tunnel_breaks_as_a_whole() {
    let broken = Gate::default();
    let seen = broken.clone();
    let origin = Origin::start(move |visit| {
        visit.peer.head().unwrap();
        visit.send(SWITCHING);
        visit.peer.rest();
        seen.open();
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.send(UPGRADE);
    assert_eq!(client.head().unwrap().status(), 101);
    client.reset();
    broken.wait();
}

#[test]
fn a_tunnel_passes_back_pressure_on() {
    let stuck = Gate::default();
    let seen = stuck.clone();
    let origin = Origin::start(move |visit| {
        visit.peer.head().unwrap();
        visit.send(SWITCHING);
        visit
            .peer
            .socket()
            .set_write_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        let piece = vec![b'x'; 1 << 20];
        let mut sent = 0;
        while sent < 256 && visit.peer.try_send(&piece).is_ok() {
            sent += 1;
        }
        assert!(sent < 256, "the gateway took all of it");
        seen.open();
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.send(UPGRADE);
    assert_eq!(client.head().unwrap().status(), 101);
    let before = gateway.resident_bytes();
    stuck.wait();
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(
        grown < 4 << 20,
        "{grown} bytes are held for a client that does not read"
    );
}

//! How long connections live, on both sides, and who may use them next.

use crate::harness::{End, Gateway, Origin, get, ok, proxy_to};

#[test]
fn pipelined_requests_are_answered_in_order() {
    // The earlier the request, the later its answer would be ready.
    let origin = Origin::answering(|request| {
        let left: u64 = request.path()[1..].parse().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20 - left));
        ok(request.path())
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    let paths: Vec<_> = (0..20).map(|turn| format!("/{turn}")).collect();
    let requests: String = paths.iter().map(|path| get(path)).collect();
    client.send(&requests);
    for path in &paths {
        assert_eq!(&client.reply().text(), path);
    }
    // With bodies between them, cut anywhere.
    let post =
        "POST /7 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let requests = [post, &get("/8"), post].concat();
    for (at, _) in requests.char_indices().step_by(7) {
        client.send(&requests[..at]);
        client.send(&requests[at..]);
        let answers = [
            client.reply().text(),
            client.reply().text(),
            client.reply().text(),
        ];
        assert_eq!(answers, ["/7", "/8", "/7"]);
    }
    assert_eq!(
        origin.connections(),
        1,
        "one after another, on one connection"
    );
}

#[test]
fn clients_decide_how_long_their_connections_live() {
    let origin = Origin::named("origin");
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let asked = |version: &str, connection: &str| {
        format!("GET / HTTP/{version}\r\nHost: a\r\n{connection}\r\n")
    };
    let mut client = gateway.connect();
    let keep = asked("1.0", "Connection: keep-alive\r\n");
    assert_eq!(client.ask(&keep).field("connection"), Some("keep-alive"));
    assert_eq!(client.ask(&keep).field("connection"), Some("keep-alive"));
    for close in [asked("1.0", ""), asked("1.1", "Connection: x, Close\r\n")] {
        let mut client = gateway.connect();
        let reply = client.ask(close);
        assert_eq!(
            (reply.status(), reply.field("connection")),
            (200, Some("close"))
        );
        assert_eq!(client.ended(), End::Finished);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_last_response_arrives_whole_whatever_its_framing() {
    let large = "0123456789abcdef".repeat(128 * 1024);
    let body = large.clone();
    let origin = Origin::answering(move |request| match request.path() {
        "/none" => "HTTP/1.1 204 No Content\r\n\r\n".to_owned(),
        "/chunked" => format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ),
        "/large" => ok(&body),
        path => ok(path),
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    for (path, body) in [
        ("/none", ""),
        ("/small", "/small"),
        ("/large", &large),
        ("/chunked", &large),
    ] {
        for version in ["1.0", "1.1"] {
            let mut client = gateway.connect();
            client.send(format!(
                "GET {path} HTTP/{version}\r\nHost: a\r\nConnection: close\r\n\r\n"
            ));
            assert!(client.reply().text() == body, "{path} in HTTP/{version}");
            assert_eq!(client.ended(), End::Finished, "{path} in HTTP/{version}");
        }
    }
}

#[test]
fn a_client_without_host_speaks_1_0() {
    let origin = Origin::named("origin");
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let reply = gateway.connect().ask("GET /a HTTP/1.0\r\n\r\n");
    assert_eq!(reply.text(), "origin /a");
    let request = &origin.requests()[0];
    assert!(request.head.line.ends_with("HTTP/1.1") && request.field("host").is_some());
}

#[test]
fn upstreams_that_end_responses_by_closing() {
    for line in [
        "HTTP/1.0 200 OK",
        "HTTP/1.1 200 OK",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive",
    ] {
        let origin = Origin::start(move |visit| {
            visit.request();
            visit.send(format!("{line}\r\n\r\nuntil the end"));
        });
        let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
        let mut client = gateway.connect();
        for _ in 0..2 {
            let reply = client.ask(get("/"));
            assert_eq!(reply.text(), "until the end");
            assert_eq!(reply.field("transfer-encoding"), Some("chunked"));
        }
        // HTTP/1.0 has no chunks.
        let mut client = gateway.connect();
        let reply = client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(reply.text(), "until the end");
        assert_eq!(reply.field("connection"), Some("close"));
        assert_eq!(origin.connections(), 3);
    }
}

#[test]
fn upstreams_decide_how_long_their_connections_live() {
    let lengths = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 1),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            1,
        ),
        (
            "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok",
            1,
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", 4),
        (
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
            4,
        ),
    ];
    for (answer, connections) in lengths {
        // Even if the connection stays open: it was said to be over.
        let origin = Origin::answering(move |_| answer);
        let gateway = Gateway::start(&proxy_to(&[origin.address()], "retries = 0"));
        let mut client = gateway.connect();
        for _ in 0..4 {
            let reply = client.ask(get("/"));
            assert_eq!(reply.text(), "ok");
            // The upstream's wishes end at the gateway.
            assert_eq!(reply.field("connection"), None);
        }
        assert_eq!(origin.connections(), connections, "{answer:?}");
    }
}

#[test]
fn a_pool_keeps_within_its_bounds() {
    let origin = Origin::named("origin");
    let more = "pool = { idle = 8, idle_timeout = \"1s\", requests = 3 }";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut client = gateway.connect();
    for turn in 0..7 {
        assert_eq!(client.ask(get("/")).status(), 200);
        assert_eq!(origin.connections(), turn / 3 + 1, "three requests each");
    }
    crate::harness::wait_until("the idle ones are closed", || {
        !gateway.is_connected(origin.port())
    });
    assert_eq!(client.ask(get("/")).status(), 200);
}

#[test]
fn a_client_that_leaves_midway_costs_nobody_else_anything() {
    let origin = Origin::start(|visit| {
        while let Some(request) = visit.request() {
            if request.path() == "/long" {
                visit.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n");
                let piece = vec![b'x'; 64 * 1024];
                while visit.peer.try_send(&piece).is_ok() {}
            }
            visit.send(ok("short"));
        }
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], "retries = 0"));
    let mut leaver = gateway.connect();
    leaver.send(get("/long"));
    assert_eq!(leaver.head().unwrap().status(), 200);
    leaver.reset();
    let mut client = gateway.connect();
    for _ in 0..3 {
        assert_eq!(client.ask(get("/short")).text(), "short");
    }
}

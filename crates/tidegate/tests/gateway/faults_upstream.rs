//! Upstreams that refuse, stall, break off, or say too much.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use socket2::{Domain, Socket, Type};

use crate::harness::{Framing, Gate, Gateway, Origin, get, ok, proxy_to, wait_until};

/// An address where nobody listens, and nobody else will while the socket lives.
fn refusing() -> (Socket, String) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address.to_string())
}

/// A listener whose queue is full: the kernel drops every further attempt to connect.
fn unresponsive() -> (Socket, Vec<TcpStream>, String) {
    let (socket, address) = refusing();
    socket.listen(0).unwrap();
    let target = address.parse().unwrap();
    let mut queued = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&target, Duration::from_millis(200)) {
        queued.push(stream);
    }
    (socket, queued, address)
}

#[test]
fn a_refusing_endpoint_costs_the_client_nothing() {
    let (_held, refusing) = refusing();
    let origin = Origin::named("origin");
    let gateway = Gateway::start(&proxy_to(&[&refusing, origin.address()], ""));
    let mut client = gateway.connect();
    for turn in 0..4 {
        let reply = client.ask(get(&format!("/{turn}")));
        assert_eq!(
            (reply.status(), reply.text()),
            (200, format!("origin /{turn}"))
        );
    }
    // Nothing had been sent: a request that must not be repeated goes on as well.
    for turn in 0..4 {
        let request = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx";
        assert_eq!(client.ask(request).status(), 200, "turn {turn}");
    }
}

#[test]
fn all_endpoints_refuse() {
    let ((_first, first), (_second, second)) = (refusing(), refusing());
    let gateway = Gateway::start(&proxy_to(&[&first, &second], ""));
    let mut client = gateway.connect();
    assert_eq!(client.ask(get("/")).status(), 502);
    // The client did nothing wrong: its connection lives on.
    assert_eq!(client.ask(get("/")).status(), 502);
}

#[test]
fn an_endpoint_does_not_accept_in_time() {
    let (_socket, _queued, address) = unresponsive();
    let more = "[servers.web.timeouts]\nupstream_connect = \"100ms\"";
    let gateway = Gateway::start(&proxy_to(&[&address], more));
    assert_eq!(gateway.connect().ask(get("/")).status(), 504);
}

#[test]
fn an_endpoint_does_not_accept_in_time_but_another_does() {
    let (_socket, _queued, address) = unresponsive();
    let origin = Origin::named("origin");
    let more = "[servers.web.timeouts]\nupstream_connect = \"100ms\"";
    let gateway = Gateway::start(&proxy_to(&[&address, origin.address()], more));
    let mut client = gateway.connect();
    assert_eq!(client.ask(get("/")).status(), 200);
    assert_eq!(client.ask(get("/")).status(), 200);
}

#[test]
fn an_upstream_does_not_answer_in_time() {
    let origin = Origin::start(|visit| {
        visit.request();
        visit.peer.ended();
    });
    let more = "[servers.web.timeouts]\nupstream_response = \"150ms\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    assert_eq!(gateway.connect().ask(get("/")).status(), 504);
    // It may have acted on it: never asked again.
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_response_head_that_dribbles_in_is_given_up_in_all() {
    let origin = Origin::start(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\n");
        while visit.peer.try_send("X-Drip: 1\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let more = "[servers.web.timeouts]\nupstream_response = \"200ms\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    assert_eq!(gateway.connect().ask(get("/")).status(), 504);
}

#[test]
fn a_response_body_stalls() {
    let origin = Origin::start(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
        visit.peer.ended();
    });
    let more = "[servers.web.timeouts]\nupstream_idle = \"150ms\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut client = gateway.connect();
    client.send(get("/"));
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.rest().0, b"half");
}

/// What an origin does with a kept connection when the second request comes on it.
fn closing_after_the_first(reset: bool) -> Origin {
    Origin::start(move |visit| {
        visit.request();
        visit.send(ok("first"));
        if visit.number == 0 {
            visit.request();
            if reset {
                let socket = visit.peer.socket();
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
            return;
        }
        while visit.request().is_some() {
            visit.send(ok("again"));
        }
    })
}

#[test]
fn a_kept_connection_that_breaks_costs_a_get_nothing() {
    for reset in [false, true] {
        let origin = closing_after_the_first(reset);
        let more = "retries = 0";
        let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
        let mut client = gateway.connect();
        assert_eq!(client.ask(get("/1")).text(), "first");
        assert_eq!(client.ask(get("/2")).text(), "first");
        let paths: Vec<_> = origin
            .requests()
            .iter()
            .map(|it| it.path().to_owned())
            .collect();
        assert_eq!(paths, ["/1", "/2", "/2"], "once more, on a new connection");
    }
}

#[test]
fn a_kept_connection_that_breaks_never_repeats_a_post() {
    let origin = closing_after_the_first(true);
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    assert_eq!(client.ask(get("/1")).text(), "first");
    let post = "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nonce";
    assert_eq!(client.ask(post).status(), 502);
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_repeated_request_has_its_body_again() {
    let origin = closing_after_the_first(false);
    let gateway = Gateway::start(&proxy_to(&[origin.address()], "retries = 0"));
    let mut client = gateway.connect();
    assert_eq!(client.ask(get("/1")).text(), "first");
    let put = "PUT /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody";
    assert_eq!(client.ask(put).status(), 200);
    let bodies: Vec<_> = origin.requests().iter().map(|it| it.text()).collect();
    assert_eq!(bodies, ["", "body", "body"]);
}

#[test]
fn an_idle_connection_the_upstream_closed_is_not_used() {
    let origin = Origin::start(|visit| {
        if visit.request().is_some() {
            visit.send(ok("one each"));
        }
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], "retries = 0"));
    let mut client = gateway.connect();
    for turn in 1..=5 {
        let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(client.ask(post).text(), "one each");
        assert_eq!(origin.connections(), turn);
        // Until the close has arrived, its use would be a race nobody can win.
        wait_until("the gateway's socket is closed on the other side", || {
            !gateway.is_connected(origin.port())
        });
    }
}

#[test]
fn a_new_connection_that_breaks_before_a_response_is_502() {
    let origin = Origin::start(|visit| {
        visit.request();
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], "retries = 0"));
    assert_eq!(gateway.connect().ask(get("/")).status(), 502);
}

#[test]
fn a_response_cut_short_never_looks_whole() {
    let beginnings = [
        (
            "length",
            "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
        ),
        (
            "chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf",
        ),
        (
            "chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        ),
        (
            "no end",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\n",
        ),
        (
            "bad chunk",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nx\r\n",
        ),
    ];
    for version in ["1.1", "1.0"] {
        for (name, beginning) in beginnings {
            let seen = Gate::default();
            let cut = seen.clone();
            let origin = Origin::start(move |visit| {
                visit.request();
                visit.send(beginning);
                cut.wait();
            });
            let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
            let mut client = gateway.connect();
            client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
            let head = client.head().unwrap();
            assert_eq!(head.status(), 200);
            let framing = head.framing(Some("GET"));
            seen.open();
            let cut = client.body(head, framing);
            assert!(
                framing != Framing::None && cut.is_none(),
                "{version} {name}: {cut:?}"
            );
        }
    }
}

#[test]
fn a_response_reset_midway_never_looks_whole() {
    for version in ["1.1", "1.0"] {
        let origin = Origin::start(|visit| {
            visit.request();
            visit.send("HTTP/1.1 200 OK\r\n\r\nclose-delimited");
            visit
                .peer
                .socket()
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        });
        let gateway = Gateway::start(&proxy_to(&[origin.address()], "retries = 0"));
        let mut client = gateway.connect();
        client.send(format!("GET / HTTP/{version}\r\nHost: a\r\n\r\n"));
        let Some(head) = client.head() else {
            continue;
        };
        // The reset may overtake the response as a whole.
        if head.status() == 200 {
            let framing = head.framing(Some("GET"));
            assert_eq!(client.body(head, framing), None, "{version}");
        }
    }
}

#[test]
fn what_follows_a_response_reaches_nobody() {
    let extra = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison";
    let with_it = format!("{}{extra}", ok("first"));
    let answers = [
        (with_it, None),
        (ok("first"), Some(extra)),
        ("HTTP/1.1 204 No Content\r\n\r\nx".to_owned(), None),
        (
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody".to_owned(),
            None,
        ),
        (
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{extra}"),
            None,
        ),
    ];
    for (answer, later) in answers {
        let (answered, sent) = (Gate::default(), Gate::default());
        let (was_answered, is_sent) = (answered.clone(), sent.clone());
        let origin = Origin::start(move |visit| {
            visit.request();
            if visit.number > 0 {
                return visit.send(ok("second"));
            }
            visit.send(&answer);
            if let Some(later) = later {
                was_answered.wait();
                // In the gateway's socket once this has returned.
                visit.send(later);
            }
            is_sent.open();
            assert_eq!(visit.request(), None, "used again");
        });
        let gateway = Gateway::start(&proxy_to(&[origin.address()], "retries = 0"));
        let mut first = gateway.connect();
        assert!(first.ask(get("/1")).status() < 400);
        answered.open();
        sent.wait();
        let mut second = gateway.connect();
        assert_eq!(second.ask(get("/2")).text(), "second");
    }
}

//! Bodies and what decides about them, in both directions.

use crate::harness::{End, Framing, Gate, Gateway, Origin, get, ok, proxy_to, wait_until};

const CHUNKED: &str = "Transfer-Encoding: chunked\r\n\r\n";

fn post(framing: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}")
}

/// A gateway in front of an origin that answers everything with `answer`.
fn answering(answer: &'static str) -> (Origin, Gateway) {
    let origin = Origin::answering(move |_| answer);
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    (origin, gateway)
}

#[test]
fn trailers_go_both_ways() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n\
        3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nX-Sum: 4\r\nX-Other: y\r\n\r\n";
    let (origin, gateway) = answering(answer);
    let mut client = gateway.connect();
    let request = post("Trailer: x-in\r\n") + CHUNKED + "2\r\nab\r\n0\r\nX-In: 2\r\n\r\n";
    for _ in 0..2 {
        let reply = client.ask(&request);
        assert_eq!(reply.text(), "abcd");
        assert_eq!(reply.field("trailer"), Some("x-sum"));
        let trailers = [("x-sum", "4"), ("x-other", "y")];
        assert_eq!(
            reply.trailers,
            trailers.map(|(a, b)| (a.to_owned(), b.to_owned()))
        );
    }
    for request in origin.requests() {
        assert_eq!(request.body, b"ab");
        assert_eq!(request.field("trailer"), Some("x-in"));
        assert_eq!(request.trailers, [("x-in".to_owned(), "2".to_owned())]);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn trailers_are_dropped_where_there_is_no_place_for_them() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
        3\r\nabc\r\n0\r\nX-Sum: 3\r\n\r\n";
    let (_origin, gateway) = answering(answer);
    let mut client = gateway.connect();
    let reply = client.ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!((reply.status(), reply.text().as_str()), (200, "abc"));
    // To a HEAD there is nothing they could follow.
    let reply = gateway.connect().ask("HEAD / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(reply.status(), 200);
}

#[test]
fn the_framing_of_a_request_is_kept() {
    let (origin, gateway) = answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let mut client = gateway.connect();
    client.ask(post("Content-Length: 3\r\n\r\nabc"));
    client.ask(post(CHUNKED) + "3\r\nabc\r\n0\r\n\r\n");
    client.ask(post("Content-Length: 0\r\n\r\n"));
    client.ask(get("/"));
    let requests = origin.requests();
    let framings: Vec<_> = requests.iter().map(|it| it.head.framing(None)).collect();
    let expected = [
        Framing::Length(3),
        Framing::Chunked,
        Framing::Length(0),
        Framing::None,
    ];
    assert_eq!(framings, expected);
}

#[test]
fn both_directions_stream_at_once() {
    let origin = Origin::start(|visit| {
        visit.peer.head().unwrap();
        visit.send(format!("HTTP/1.1 200 OK\r\n{CHUNKED}"));
        for turn in 0..10 {
            let piece = format!("3\r\nin{turn}\r\n");
            assert_eq!(visit.peer.exactly(piece.len()).unwrap(), piece.as_bytes());
            visit.send(format!("4\r\nout{turn}\r\n"));
        }
        assert_eq!(visit.peer.exactly(5).unwrap(), b"0\r\n\r\n");
        visit.send("0\r\n\r\n");
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.send(post(CHUNKED));
    assert_eq!(client.head().unwrap().status(), 200);
    for turn in 0..10 {
        client.send(format!("3\r\nin{turn}\r\n"));
        let piece = format!("4\r\nout{turn}\r\n");
        assert_eq!(client.exactly(piece.len()).unwrap(), piece.as_bytes());
    }
    client.send("0\r\n\r\n");
    assert_eq!(client.exactly(5).unwrap(), b"0\r\n\r\n");
}

#[test]
fn responses_that_have_no_body_are_not_given_one() {
    let cases = [
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n",
            Some("1234"),
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            None,
        ),
        (
            "HEAD",
            "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            Some("0"),
        ),
        (
            "HEAD",
            "HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n\r\n",
            Some("9"),
        ),
        ("GET", "HTTP/1.1 204 No Content\r\nX-A: b\r\n\r\n", None),
        (
            "GET",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\nETag: \"a\"\r\n\r\n",
            Some("99"),
        ),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n", None),
    ];
    for (method, answer, length) in cases {
        let (origin, gateway) = answering(answer);
        let mut client = gateway.connect();
        for _ in 0..3 {
            let reply = client.ask(get("/").replacen("GET", method, 1));
            assert_eq!(reply.status(), answer[9..12].parse::<u16>().unwrap());
            assert_eq!(reply.field("content-length"), length, "{method} {answer:?}");
            assert_eq!(reply.field("connection"), None);
        }
        assert_eq!(origin.connections(), 1);
    }
}

#[test]
fn leave_to_send_a_body_is_the_upstreams_to_give() {
    let origin = Origin::start(|visit| {
        while let Some(head) = visit.peer.head() {
            assert_eq!(head.field("expect"), Some("100-continue"));
            let early = visit
                .peer
                .is_readable(std::time::Duration::from_millis(100));
            assert!(!early, "sent without leave");
            visit.send("HTTP/1.1 100 Continue\r\n\r\n");
            let framing = head.framing(None);
            assert_eq!(visit.peer.body(head, framing).unwrap().body, b"hello");
            visit.send(ok("thanks"));
        }
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    for framing in ["Content-Length: 5\r\n\r\n", CHUNKED] {
        let mut client = gateway.connect();
        client.send(post("Expect: 100-continue\r\n") + framing);
        assert_eq!(client.head().unwrap().status(), 100);
        client.send(if framing == CHUNKED {
            "5\r\nhello\r\n0\r\n\r\n"
        } else {
            "hello"
        });
        assert_eq!(client.reply().text(), "thanks");
    }
}

#[test]
fn an_upstream_that_refuses_a_body_is_sent_none() {
    let origin = Origin::start(|visit| {
        visit.peer.head().unwrap();
        visit.send("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno");
        visit.peer.ended();
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.send(post("Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
    let reply = client.reply();
    assert_eq!((reply.status(), reply.text().as_str()), (417, "no"));
    // Whether the client sends its body now is open: there can be no next request.
    assert_eq!(reply.field("connection"), Some("close"));
    client.finish();
    client.ended();
}

#[test]
fn an_upstream_that_never_gives_leave_gets_the_body_in_the_end() {
    let origin = Origin::answering(|request| ok(&request.text()));
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.send(post("Expect: 100-continue\r\nContent-Length: 5\r\n\r\n"));
    assert_eq!(client.head().unwrap().status(), 100);
    client.send("hello");
    assert_eq!(client.reply().text(), "hello");
    // A client that does not wait is not kept waiting either.
    let whole = post("Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello");
    assert_eq!(client.ask(whole).text(), "hello");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn informational_responses_go_on() {
    let answer = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nConnection: x\r\nX: y\r\n\r\n\
        HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (origin, gateway) = answering(answer);
    let mut client = gateway.connect();
    for _ in 0..2 {
        client.send(get("/"));
        let hints = client.head().unwrap();
        assert_eq!(
            (hints.status(), hints.field("link")),
            (103, Some("</a.css>"))
        );
        assert_eq!(client.head().unwrap().status(), 102);
        assert_eq!(client.reply().text(), "ok");
    }
    // HTTP/1.0 does not know them.
    let reply = gateway.connect().ask("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!((reply.status(), reply.text().as_str()), (200, "ok"));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn informational_responses_come_before_the_final_one_is_there() {
    let gate = Gate::default();
    let seen = gate.clone();
    let origin = Origin::start(move |visit| {
        visit.request();
        visit.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n");
        seen.wait();
        visit.send(ok("late"));
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.send(get("/"));
    assert_eq!(client.head().unwrap().status(), 103);
    gate.open();
    assert_eq!(client.reply().text(), "late");
}

#[test]
fn endless_informational_responses_are_given_up() {
    let origin = Origin::start(|visit| {
        visit.request();
        while visit
            .peer
            .try_send("HTTP/1.1 102 Processing\r\n\r\n")
            .is_ok()
        {}
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.send("GET / HTTP/1.0\r\nHost: a\r\n\r\n");
    assert_eq!(client.reply().status(), 502);
}

#[test]
fn an_early_answer_leaves_a_small_body_to_be_read_off() {
    let origin = Origin::start(|visit| {
        visit.peer.head().unwrap();
        visit.send(ok("early"));
        visit.peer.rest();
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.send(post("Content-Length: 20000\r\n\r\n"));
    let reply = client.reply();
    assert_eq!(
        (reply.text().as_str(), reply.field("connection")),
        ("early", None)
    );
    client.send("x".repeat(20000));
    assert_eq!(
        client.ask(post("Content-Length: 0\r\n\r\n")).text(),
        "early"
    );
}

#[test]
fn an_early_answer_to_a_large_body_closes() {
    let origin = Origin::start(|visit| {
        visit.peer.head().unwrap();
        visit.send(ok("early"));
        visit.peer.rest();
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    for framing in ["Content-Length: 60000000\r\n\r\n", CHUNKED] {
        let mut client = gateway.connect();
        client.send(post(framing));
        let reply = client.reply();
        assert_eq!(
            (reply.text().as_str(), reply.field("connection")),
            ("early", Some("close"))
        );
        // It is told to stop in order, so that the answer is not lost by a reset.
        client.send("1\r\n");
        assert_eq!(client.ended(), End::Finished);
    }
}

#[test]
fn an_upload_cut_short_never_looks_whole() {
    for framing in [
        "Content-Length: 10\r\n\r\n12345",
        "Transfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n",
    ] {
        for answer in [
            "",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
        ] {
            for reset in [false, true] {
                let ended = Gate::default();
                let opened = ended.clone();
                let origin = Origin::start(move |visit| {
                    let head = visit.peer.head().unwrap();
                    visit.send(answer);
                    let framing = head.framing(None);
                    assert_eq!(visit.peer.body(head, framing), None, "it looks whole");
                    opened.open();
                });
                let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
                let mut client = gateway.connect();
                client.send(post(framing));
                wait_until("it arrives", || origin.connections() == 1);
                if !answer.is_empty() {
                    assert_eq!(client.head().unwrap().status(), 200);
                }
                if reset {
                    client.reset();
                } else {
                    client.finish();
                }
                ended.wait();
            }
        }
    }
}

#[test]
fn an_upload_that_stalls_behind_a_response_never_looks_whole() {
    let ended = Gate::default();
    let opened = ended.clone();
    let origin = Origin::start(move |visit| {
        let head = visit.peer.head().unwrap();
        visit.send(format!("HTTP/1.1 200 OK\r\n{CHUNKED}1\r\nx\r\n"));
        let framing = head.framing(None);
        assert_eq!(visit.peer.body(head, framing), None, "it looks whole");
        opened.open();
    });
    let more = "[servers.web.timeouts]\nbody = \"500ms\"\nupstream_idle = \"1s\"";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut client = gateway.connect();
    client.send(post(CHUNKED) + "1\r\nx\r\n");
    assert_eq!(client.head().unwrap().status(), 200);
    ended.wait();
}

#[test]
fn a_client_that_finishes_sending_still_gets_its_answer() {
    let gate = Gate::default();
    let finished = gate.clone();
    let origin = Origin::start(move |visit| {
        while let Some(request) = visit.request() {
            finished.wait();
            visit.send(ok(&request.text()));
        }
    });
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    client.send(post("Content-Length: 4\r\n\r\nbody") + &get("/"));
    client.finish();
    wait_until("the request arrives", || origin.requests().len() == 1);
    gate.open();
    assert_eq!(client.reply().text(), "body");
    assert_eq!(client.reply().text(), "");
    assert_eq!(client.ended(), End::Finished);
}

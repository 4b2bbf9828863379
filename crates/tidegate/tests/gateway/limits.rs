//! What clients may send too much of, and what becomes of those that do.

use crate::harness::{End, Gateway, Origin, get, ok, proxy_to, wait_until};

const SMALL: &str = r#"
[servers.web.limits]
request_line_bytes = 256
header_bytes = 1024
header_count = 10
body_bytes = "64KiB"
"#;

fn small() -> (Origin, Gateway) {
    let origin = Origin::answering(|request| ok(&request.body.len().to_string()));
    let gateway = Gateway::start(&proxy_to(&[origin.address()], SMALL));
    (origin, gateway)
}

#[test]
fn a_request_line_is_too_long() {
    let (origin, gateway) = small();
    let fits = get(&format!("/{}", "a".repeat(200)));
    assert_eq!(gateway.connect().ask(fits).status(), 200);
    for length in [300, 100_000] {
        let mut client = gateway.connect();
        // Refused before its end: nobody waits for what will not be read.
        let _ = client.try_send(format!("GET /{}", "a".repeat(length)));
        assert_eq!(client.reply().status(), 414);
        client.ended();
    }
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn header_fields_are_too_many_or_too_long() {
    let (origin, gateway) = small();
    let fields = |count: usize, length: usize| {
        let field = |at| format!("X-{at}: {}\r\n", "a".repeat(length));
        let fields: String = (0..count).map(field).collect();
        format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
    };
    assert_eq!(gateway.connect().ask(fields(9, 10)).status(), 200);
    for (count, length) in [(10, 10), (100, 1), (1, 2000), (1, 1_000_000), (9, 200)] {
        let mut client = gateway.connect();
        let _ = client.try_send(fields(count, length));
        let reply = client.reply();
        assert_eq!(reply.status(), 431, "{count} of {length}");
        assert_eq!(reply.field("connection"), Some("close"));
    }
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_body_that_says_it_is_too_large_never_begins() {
    let (origin, gateway) = small();
    let post = |length| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    let fits = [post(65536), "x".repeat(65536)].concat();
    assert_eq!(gateway.connect().ask(fits).text(), "65536");
    assert_eq!(gateway.connect().ask(post(65537)).status(), 413);
    assert_eq!(gateway.connect().ask(post(u64::MAX)).status(), 413);
    assert_eq!(origin.requests().len(), 1);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_chunked_body_grows_too_large() {
    let (origin, gateway) = small();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let fits = [head, &chunk.repeat(16), "0\r\n\r\n"].concat();
    assert_eq!(gateway.connect().ask(fits).text(), "65536");
    let mut client = gateway.connect();
    let _ = client.try_send([head, &chunk.repeat(16), "1\r\nx\r\n0\r\n\r\n"].concat());
    let reply = client.reply();
    assert_eq!(reply.status(), 413);
    assert_eq!(reply.field("connection"), Some("close"));
    assert_eq!(origin.requests().len(), 1, "the origin saw no end of it");
}

#[test]
fn a_chunk_that_says_it_is_too_large_never_goes_on() {
    let (origin, gateway) = small();
    let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut client = gateway.connect();
    client.send([head, "ffffffffffffffff\r\n"].concat());
    assert_eq!(client.reply().status(), 413);
    assert_eq!(origin.requests(), []);
}

#[test]
fn a_route_has_a_limit_of_its_own() {
    let origin = Origin::answering(|request| ok(&request.body.len().to_string()));
    let more = format!(
        "{SMALL}
[[servers.web.routes]]
prefix = \"/large\"
upstream = \"app\"
limits = {{ body_bytes = \"1MiB\" }}
[[servers.web.routes]]
prefix = \"/small\"
upstream = \"app\"
limits = {{ body_bytes = 10 }}
"
    );
    let gateway = Gateway::start(&proxy_to(&[origin.address()], &more));
    let post = |path: &str, length: usize| {
        let body = "x".repeat(length);
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let chunked = |path: &str, length: usize| {
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        format!("{head}{length:x}\r\n{}\r\n0\r\n\r\n", "x".repeat(length))
    };
    for (path, length, status) in [
        ("/large", 1 << 20, 200),
        ("/large", (1 << 20) + 1, 413),
        ("/", 65536, 200),
        ("/", 65537, 413),
        ("/small", 10, 200),
        ("/small", 11, 413),
    ] {
        for request in [post(path, length), chunked(path, length)] {
            let mut client = gateway.connect();
            let _ = client.try_send(request);
            assert_eq!(client.reply().status(), status, "{path} {length}");
        }
    }
    assert_eq!(origin.requests().len(), 6);
}

#[test]
fn an_empty_line_without_end_is_no_request() {
    let (origin, gateway) = small();
    let mut client = gateway.connect();
    let _ = client.try_send("\r\n".repeat(10_000));
    assert_eq!(client.reply().status(), 400);
    client.ended();
    // One in front of a request is an old habit of clients.
    assert_eq!(
        gateway
            .connect()
            .ask(get("/").replacen("GET", "\r\nGET", 1))
            .status(),
        200
    );
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_connection_carries_only_so_many_requests() {
    let origin = Origin::named("origin");
    let more = "[servers.web.limits]\nrequests_per_connection = 2";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut client = gateway.connect();
    assert_eq!(client.ask(get("/1")).field("connection"), None);
    assert_eq!(client.ask(get("/2")).field("connection"), Some("close"));
    assert_eq!(client.ended(), End::Finished);
}

#[test]
fn the_longest_idle_make_room_for_newcomers() {
    let origin = Origin::named("origin");
    let more = "[servers.web.limits]\nconnections = 3";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    // Longer than a tick of the worker's coarse clock, so that none are equals.
    let time_passes = || std::thread::sleep(std::time::Duration::from_millis(20));
    let mut kept: Vec<_> = (0..3)
        .map(|turn| {
            let mut client = gateway.connect();
            assert_eq!(client.ask(get(&format!("/{turn}"))).status(), 200);
            time_passes();
            client
        })
        .collect();
    // Used again, the first is no longer the one that has idled longest.
    assert_eq!(kept[0].ask(get("/again")).status(), 200);
    assert_eq!(gateway.connect().ask(get("/new")).status(), 200);
    let mut second = kept.remove(1);
    assert_eq!(second.ended(), End::Finished);
    assert_eq!(kept[0].ask(get("/still")).status(), 200);
}

#[test]
fn silent_connections_do_not_shut_everybody_out() {
    let origin = Origin::named("origin");
    let more = "[servers.web.limits]\nconnections = 8";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let flood: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    assert_eq!(gateway.connect().ask(get("/")).status(), 200);
    drop(flood);
}

#[test]
fn busy_connections_are_not_cut_for_newcomers() {
    let gate = crate::harness::Gate::default();
    let (opened, finished) = (gate.clone(), gate);
    let origin = Origin::start(move |visit| {
        visit.request();
        opened.wait();
        visit.send(ok("late"));
    });
    let more = "[servers.web.limits]\nconnections = 2";
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let mut busy = [gateway.connect(), gateway.connect()];
    busy.iter_mut().for_each(|client| client.send(get("/")));
    wait_until("both are under way", || origin.requests().len() == 2);
    gateway.connect().rest();
    finished.open();
    for client in &mut busy {
        assert_eq!(client.reply().text(), "late");
    }
}

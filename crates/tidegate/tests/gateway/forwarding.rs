//! What of a message goes on to the next hop, and what is said of the one before.

use std::sync::Arc;

use tempfile::TempDir;

use crate::harness::{Gateway, Launch, Message, Origin, Peer, get, proxy_to};

/// What an origin is sent for a request with these fields.
fn sent_on(more: &str, fields: &str) -> Message {
    let origin = Origin::named("origin");
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    let request = format!("GET /a?b=%20c HTTP/1.1\r\nHost: Example.com:81\r\n{fields}\r\n");
    assert_eq!(gateway.connect().ask(request).status(), 200);
    origin.requests().remove(0)
}

#[test]
fn fields_for_one_hop_end_at_the_gateway() {
    let request = sent_on(
        "",
        "Connection: keep-alive, X-Secret, content-length, host\r\nX-Secret: s\r\n\
         Keep-Alive: timeout=5\r\nProxy-Connection: close\r\nProxy-Authorization: Basic x\r\n\
         TE: trailers, deflate;q=0.5\r\nProxy: http://evil\r\nX-Kept: 1\r\nX-Kept: 2\r\n\
         Authorization: Bearer t\r\nCookie: a=b\r\n",
    );
    let gone = [
        "connection",
        "x-secret",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "proxy",
        "upgrade",
        "transfer-encoding",
    ];
    for name in gone {
        assert_eq!(request.head.all(name), [""; 0], "{name}");
    }
    assert_eq!(request.head.all("x-kept"), ["1", "2"]);
    assert_eq!(request.field("te"), Some("trailers"));
    assert_eq!(request.field("host"), Some("Example.com:81"));
    assert_eq!(request.field("authorization"), Some("Bearer t"));
    assert_eq!(request.field("cookie"), Some("a=b"));
    assert_eq!(request.head.line, "GET /a?b=%20c HTTP/1.1");
}

#[test]
fn response_fields_for_one_hop_end_at_the_gateway() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Secret, keep-alive\r\n\
        X-Secret: s\r\nKeep-Alive: timeout=5\r\nProxy-Connection: keep-alive\r\n\
        Proxy-Authenticate: Basic\r\nUpgrade: h2c\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n\r\nok";
    let origin = Origin::answering(move |_| answer);
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let reply = gateway.connect().ask(get("/"));
    for name in [
        "connection",
        "x-secret",
        "keep-alive",
        "proxy-connection",
        "proxy-authenticate",
        "upgrade",
    ] {
        assert_eq!(reply.head.all(name), [""; 0], "{name}");
    }
    assert_eq!(reply.head.all("set-cookie"), ["a=1", "b=2"]);
    assert_eq!(reply.text(), "ok");
}

#[test]
fn nobody_is_believed_who_says_where_he_comes_from() {
    let request = sent_on(
        "",
        "X-Forwarded-For: 1.2.3.4\r\nX_Forwarded_For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\
         X-Forwarded-Host: evil\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nVia: 1.0 fred\r\n",
    );
    assert_eq!(request.field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(request.field("x-forwarded-proto"), Some("http"));
    assert_eq!(request.field("x-forwarded-host"), Some("Example.com:81"));
    for name in ["forwarded", "x-real-ip", "x_forwarded_for"] {
        assert_eq!(request.field(name), None, "{name}");
    }
    assert_eq!(request.head.all("via").join(", "), "1.0 fred, 1.1 tidegate");
}

#[test]
fn a_trusted_proxy_is_believed() {
    let request = sent_on(
        "[servers.web.forwarded]\ntrust = [\"127.0.0.0/8\"]\nvia = \"edge\"",
        "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: first\r\n",
    );
    let all = request.head.all("x-forwarded-for").join(", ");
    assert_eq!(all, "1.2.3.4, 127.0.0.1");
    assert_eq!(request.field("x-forwarded-proto"), Some("https"));
    assert_eq!(request.field("x-forwarded-host"), Some("first"));
    assert_eq!(request.field("via"), Some("1.1 edge"));
}

#[test]
fn what_upstreams_are_told_can_be_settled() {
    let more = "host_header = \"upstream\"\n[servers.web.forwarded]\nx_forwarded = false";
    let origin = Origin::named("origin");
    let gateway = Gateway::start(&proxy_to(&[origin.address()], more));
    assert_eq!(gateway.connect().ask(get("/")).status(), 200);
    let request = origin.requests().remove(0);
    assert_eq!(request.field("host"), Some(origin.address()));
    for name in ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host"] {
        assert_eq!(request.field(name), None, "{name}");
    }
}

#[test]
fn the_target_of_a_request_stays_as_it_came() {
    let origin = Origin::named("origin");
    let gateway = Gateway::start(&proxy_to(&[origin.address()], ""));
    let mut client = gateway.connect();
    for target in ["/a//b/%2F/..%2e/;x?q=/../&r", "/%C3%A4?", "/~a/'()*!$&,=:@"] {
        assert_eq!(client.ask(get(target)).text(), format!("origin {target}"));
    }
    // The absolute form is for proxies; its authority is the host (RFC 9112 section 3.2.2).
    let absolute = "GET http://b.example:8/x?y HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(client.ask(absolute).text(), "origin /x?y");
    assert_eq!(
        origin.requests().last().unwrap().field("host"),
        Some("b.example:8")
    );
}

#[test]
fn unix_sockets_on_both_sides() {
    let directory = Arc::new(TempDir::new().unwrap());
    let origin = Origin::start_unix(&directory.path().join("origin.sock"), |visit| {
        while let Some(request) = visit.request() {
            visit.send(crate::harness::ok(&request.text()));
        }
    });
    let listen = directory.path().join("web.sock");
    let settings = proxy_to(&[origin.address()], "").replace(
        "\"127.0.0.1:0\"",
        &format!("\"127.0.0.1:0\", \"unix:{}\"", listen.display()),
    );
    let gateway = Gateway::launch(&settings, directory.clone(), Launch::default());
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
    let mut clients = [gateway.connect(), Peer::connect_unix(&listen)];
    for client in &mut clients {
        assert_eq!(client.ask(post).text(), "hello");
        assert_eq!(client.ask(post).text(), "hello");
    }
    let requests = origin.requests();
    assert_eq!(requests[0].field("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!(requests[2].field("x-forwarded-for"), Some("unknown"));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_endpoint_has_a_name() {
    let origin = Origin::named("origin");
    let name = format!("localhost:{}", origin.port());
    let gateway = Gateway::start(&proxy_to(&[&name], ""));
    assert_eq!(gateway.connect().ask(get("/a")).text(), "origin /a");
}

#[test]
fn an_endpoint_has_a_name_nobody_knows() {
    let more = "[dns]\ntimeout = \"200ms\"";
    let gateway = Gateway::start(&proxy_to(&["nowhere.invalid:80"], more));
    assert_eq!(gateway.connect().ask(get("/a")).status(), 503);
}

#[test]
fn endpoints_take_turns() {
    let origins = [Origin::named("a"), Origin::named("b"), Origin::named("c")];
    let addresses = origins.each_ref().map(Origin::address);
    let gateway = Gateway::start(&proxy_to(&addresses, "balance = \"round_robin\""));
    let mut client = gateway.connect();
    for _ in 0..9 {
        assert_eq!(client.ask(get("/")).status(), 200);
    }
    assert_eq!(origins.each_ref().map(|it| it.requests().len()), [3, 3, 3]);
}

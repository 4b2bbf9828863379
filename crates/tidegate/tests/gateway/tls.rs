//! TLS towards clients and towards upstreams.

use std::sync::Arc;

use tempfile::TempDir;

use crate::harness::{Authority, End, Gateway, Launch, Origin, get, ok, proxy_to};

/// A gateway that shows certificates for these names, and its authority.
fn secure(origin: &Origin, names: &[&str]) -> (Authority, Gateway) {
    secure_with(origin, names, "")
}

/// The same, with other sections in its settings.
fn secure_with(origin: &Origin, names: &[&str], sections: &str) -> (Authority, Gateway) {
    let directory = Arc::new(TempDir::new().unwrap());
    let authority = Authority::new();
    let pairs: Vec<String> = names
        .iter()
        .map(|name| {
            let identity = authority.issue(name, directory.path());
            format!(
                "{{ chain = {:?}, key = {:?} }}",
                identity.chain, identity.key
            )
        })
        .collect();
    let pairs = pairs.join(", ");
    let more = format!("[servers.web.tls]\ncertificates = [{pairs}]\n{sections}");
    let settings = proxy_to(&[origin.address()], &more);
    (
        authority,
        Gateway::launch(&settings, directory, Launch::default()),
    )
}

#[test]
fn the_name_asked_for_chooses_the_certificate() {
    let origin = Origin::named("origin");
    let (authority, gateway) = secure(&origin, &["a.example", "b.example"]);
    let mut shown = Vec::new();
    for name in ["a.example", "b.example", "b.example"] {
        let (mut client, protocol, certificate) = authority
            .connect(name, gateway.address(), &["http/1.1"])
            .unwrap();
        assert_eq!(protocol.as_deref(), Some(b"http/1.1".as_slice()));
        assert_eq!(client.ask(get("/a")).text(), "origin /a");
        assert_eq!(client.ask(get("/b")).text(), "origin /b");
        shown.push(certificate);
    }
    assert!(shown[0] != shown[1] && shown[1] == shown[2]);
    assert_eq!(
        origin.requests()[0].field("x-forwarded-proto"),
        Some("https")
    );
    // Another name, and no name at all, see the first.
    assert!(
        authority
            .connect("c.example", gateway.address(), &[])
            .is_err()
    );
}

#[test]
fn silence_before_the_handshake_does_not_shut_everybody_out() {
    let origin = Origin::named("origin");
    let limits = "[servers.web.limits]\nconnections = 8";
    let (authority, gateway) = secure_with(&origin, &["a.example"], limits);
    let flood: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    let (mut client, ..) = authority
        .connect("a.example", gateway.address(), &[])
        .unwrap();
    assert_eq!(client.ask(get("/")).status(), 200);
    drop(flood);
}

#[test]
fn a_protocol_is_agreed_on() {
    let origin = Origin::named("origin");
    let (authority, gateway) = secure(&origin, &["a.example"]);
    let agreed = |offered: &[&str]| {
        let (_, protocol, _) = authority.connect("a.example", gateway.address(), offered)?;
        std::io::Result::Ok(protocol.map(|it| String::from_utf8(it).unwrap()))
    };
    assert_eq!(agreed(&["h2", "http/1.1"]).unwrap().as_deref(), Some("h2"));
    assert_eq!(agreed(&["http/1.1", "h2"]).unwrap().as_deref(), Some("h2"));
    assert_eq!(agreed(&["http/1.1"]).unwrap().as_deref(), Some("http/1.1"));
    assert_eq!(agreed(&[]).unwrap(), None);
    assert!(agreed(&["spdy/1"]).is_err(), "nothing in common");
    // Who offers nothing speaks HTTP/1.1.
    let (mut client, ..) = authority
        .connect("a.example", gateway.address(), &[])
        .unwrap();
    assert_eq!(client.ask(get("/a")).text(), "origin /a");
}

#[test]
fn plain_text_at_a_tls_listener_costs_nobody_else_anything() {
    let origin = Origin::named("origin");
    let (authority, gateway) = secure(&origin, &["a.example"]);
    let mut plain = gateway.connect();
    plain.send(get("/"));
    plain.rest();
    let mut silent = gateway.connect();
    let (mut client, ..) = authority
        .connect("a.example", gateway.address(), &[])
        .unwrap();
    assert_eq!(client.ask(get("/a")).text(), "origin /a");
    silent.finish();
    silent.ended();
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn a_handshake_that_stops_is_given_up() {
    let origin = Origin::named("origin");
    let directory = Arc::new(TempDir::new().unwrap());
    let pair = Authority::new().issue("a.example", directory.path());
    let (chain, key) = (&pair.chain, &pair.key);
    let more = format!(
        "[servers.web.tls]\ncertificates = [{{ chain = {chain:?}, key = {key:?} }}]\n\
         [servers.web.timeouts]\ntls_handshake = \"200ms\""
    );
    let settings = proxy_to(&[origin.address()], &more);
    let gateway = Gateway::launch(&settings, directory, Launch::default());
    let mut client = gateway.connect();
    // The beginning of a record that never comes whole.
    client.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01]);
    client.rest();
}

#[test]
fn silent_handshakes_do_not_shut_everybody_out() {
    let origin = Origin::named("origin");
    let directory = Arc::new(TempDir::new().unwrap());
    let authority = Authority::new();
    let pair = authority.issue("a.example", directory.path());
    let (chain, key) = (&pair.chain, &pair.key);
    let more = format!(
        "[servers.web.tls]\ncertificates = [{{ chain = {chain:?}, key = {key:?} }}]\n\
         [servers.web.limits]\nconnections = 8"
    );
    let settings = proxy_to(&[origin.address()], &more);
    let gateway = Gateway::launch(&settings, directory, Launch::default());
    let flood: Vec<_> = (0..50).map(|_| gateway.connect()).collect();
    let (mut client, ..) = authority
        .connect("a.example", gateway.address(), &[])
        .unwrap();
    assert_eq!(client.ask(get("/a")).text(), "origin /a");
    drop(flood);
}

#[test]
fn a_response_cut_short_is_no_orderly_end_of_tls() {
    let origin = Origin::start(|visit| {
        visit.request();
        visit.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n");
    });
    let (authority, gateway) = secure(&origin, &["a.example"]);
    let (mut client, ..) = authority
        .connect("a.example", gateway.address(), &[])
        .unwrap();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.head().unwrap().status(), 200);
    assert_eq!(client.rest().1, End::Broken);
}

#[test]
fn large_messages_pass_both_ways() {
    let origin = Origin::answering(|request| ok(&request.text()));
    let (authority, gateway) = secure(&origin, &["a.example"]);
    let (mut client, ..) = authority
        .connect("a.example", gateway.address(), &[])
        .unwrap();
    let body: String = (0..200_000).map(|at| format!("{at},")).collect();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for _ in 0..2 {
        assert_eq!(client.ask([head.as_str(), &body].concat()).text(), body);
    }
}

#[test]
fn upstreams_prove_who_they_are() {
    let directory = Arc::new(TempDir::new().unwrap());
    let (authority, other) = (Authority::new(), Authority::new());
    let ca = authority.write(directory.path());
    let origin = Origin::start_tls(
        &authority.issue("app.internal", directory.path()),
        |visit| {
            while let Some(request) = visit.request() {
                visit.send(ok(request.path()));
            }
        },
    );
    let outsider = Origin::start_tls(&other.issue("app.internal", directory.path()), |visit| {
        while visit.request().is_some() {
            visit.send(ok("outsider"));
        }
    });
    let asked = |origin: &Origin, tls: &str| {
        let settings = proxy_to(&[origin.address()], &format!("tls = {{ {tls} }}"));
        let gateway = Gateway::launch(&settings, directory.clone(), Launch::default());
        let mut client = gateway.connect();
        let first = client.ask(get("/1")).status();
        assert_eq!(client.ask(get("/2")).status(), first);
        first
    };
    let ca = format!("ca = {ca:?}");
    assert_eq!(
        asked(&origin, &format!("{ca}, server_name = \"app.internal\"")),
        200
    );
    assert_eq!(origin.connections(), 1, "the connection is kept");
    assert_eq!(
        asked(&origin, &format!("{ca}, server_name = \"app.external\"")),
        502
    );
    // By default it is the endpoint's own name that counts.
    assert_eq!(asked(&origin, &ca), 502);
    assert_eq!(
        asked(&outsider, &format!("{ca}, server_name = \"app.internal\"")),
        502
    );
    assert_eq!(asked(&outsider, "verify = false"), 200);
    assert_eq!(
        origin.requests().len(),
        2,
        "nothing was sent before the proof"
    );
}

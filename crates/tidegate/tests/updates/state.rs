//! What a new chain gets from the one it replaces, one kind of state at a time.
//!
//! One worker: each has its own upstreams, and the kernel spreads connections.

use crate::client::{Client, get};
use crate::harness::{Place, Tidegate, access_log, free_address, thread};
use crate::origin::Origin;
use crate::tls::{PAIR, Trusting, write_pair};

const ONE_WORKER: &str = "[runtime]\nworkers = 1\npin = false\n";

/// A server at `listen` with `keys`, everything to upstream `app`, which has `upstream_keys`.
fn proxy(listen: impl std::fmt::Display, keys: &str, upstream_keys: &str) -> String {
    format!(
        r#"{ONE_WORKER}
[servers.web]
protocol = "http"
listen = ["{listen}"]
{keys}
[[servers.web.routes]]
prefix = "/"
upstream = "app"
[upstreams.app]
{upstream_keys}
"#
    )
}

fn endpoints(origins: &[&Origin]) -> String {
    let addresses = origins.iter().map(|it| format!("\"{}\"", it.address));
    format!("endpoints = [{}]", addresses.collect::<Vec<_>>().join(", "))
}

#[test]
fn upstream_connections_outlive_any_update_of_their_site() {
    let origin = Origin::start("origin");
    let place = Place::new();
    write_pair(&place, "web");
    let tls = Trusting::file(&place.path("web.crt"));
    let listen = free_address();
    let text = |keys: &str, more: &str| proxy(listen, keys, &endpoints(&[&origin])) + more;
    let process = place.start(&text("", ""));
    assert_eq!(get(listen, "/").body, "origin");

    let route = "[[servers.web.routes]]\npath = \"/new\"\nrespond = { status = 204 }\n";
    let log = "[access_log]\nfile = \"access.log\"\n";
    process.update(&text("timeouts = { upstream_response = \"9s\" }", ""));
    assert_eq!(get(listen, "/").body, "origin");
    process.update(&text("", route));
    assert_eq!(get(listen, "/new").status, 204);
    assert_eq!(get(listen, "/").body, "origin");
    process.update(&text(PAIR, ""));
    assert_eq!(tls.connect(listen).unwrap().get("/").body, "origin");
    process.update(&text("", log));
    assert_eq!(get(listen, "/").body, "origin");
    process.update(&text("http2 = false", ""));
    assert_eq!(get(listen, "/").body, "origin");
    let retries = "retries = 3\npool = { idle = 7 }\nbalance = \"least_requests\"\n";
    process.update(&proxy(
        listen,
        "",
        &(retries.to_owned() + &endpoints(&[&origin])),
    ));
    assert_eq!(get(listen, "/").body, "origin");

    assert_eq!(origin.connections(), 1, "every request took the first one");
}

#[test]
fn a_connection_in_use_during_an_update_is_used_by_the_new_chain() {
    let origin = Origin::start("origin");
    let listen = free_address();
    let text = |keys: &str| proxy(listen, keys, &endpoints(&[&origin]));
    let process = Tidegate::start(&text(""));
    let mut held = Client::connect(listen);
    held.send("/slow", "").unwrap();
    origin.await_requests(1);
    process.update(&text("drain = \"20s\""));
    origin.release();
    let reply = held.reply().unwrap();
    assert!(reply.closes, "it was asked to leave");
    assert_eq!(get(listen, "/").body, "origin");
    assert_eq!(origin.connections(), 1);
}

#[test]
fn weighted_turns_go_on_where_they_were() {
    let (heavy, light) = (Origin::start("heavy"), Origin::start("light"));
    let listen = free_address();
    let weighted = format!(
        "endpoints = [{{ address = \"{}\", weight = 3 }}, \"{}\"]",
        heavy.address, light.address
    );
    let process = Tidegate::start(&proxy(listen, "", &weighted));
    let mut order = vec![get(listen, "/").body, get(listen, "/").body];
    process.update(&proxy(listen, "drain = \"9s\"", &weighted));
    order.extend([get(listen, "/").body, get(listen, "/").body]);
    // Begun anew it would be heavy, heavy, heavy, heavy.
    assert_eq!(order, ["heavy", "heavy", "light", "heavy"]);
}

#[test]
fn requests_under_way_before_an_update_count_after_it() {
    let (busy, free) = (Origin::start("busy"), Origin::start("free"));
    let listen = free_address();
    let upstream = format!(
        "balance = \"least_requests\"\n{}",
        endpoints(&[&busy, &free])
    );
    let process = Tidegate::start(&proxy(listen, "", &upstream));
    let held = thread("held", move || get(listen, "/slow").body);
    busy.await_requests(1);
    process.update(&proxy(listen, "drain = \"20s\"", &upstream));
    for _ in 0..4 {
        assert_eq!(get(listen, "/").body, "free");
    }
    busy.release();
    assert_eq!(held.join().unwrap(), "busy");
    let turns: Vec<String> = (0..2).map(|_| get(listen, "/").body).collect();
    assert!(turns.contains(&"busy".to_owned()), "{turns:?}");
}

#[test]
fn tls_sessions_are_resumed_across_an_update() {
    let place = Place::new();
    write_pair(&place, "web");
    let tls = Trusting::file(&place.path("web.crt"));
    let origin = Origin::start("origin");
    let listen = free_address();
    let text = |keys: &str| proxy(listen, &format!("{PAIR}\n{keys}"), &endpoints(&[&origin]));
    let process = place.start(&text(""));
    let mut first = tls.connect(listen).unwrap();
    // The ticket comes with the first response.
    assert_eq!(first.get("/").status, 200);
    assert!(!first.resumed());
    process.update(&text("timeouts = { idle = \"70s\" }"));
    let mut second = tls.connect(listen).unwrap();
    assert_eq!(second.get("/").status, 200);
    assert!(second.resumed(), "after an update of the server");
    let mut minimum = text("").replace("tls = {", "tls = { min_version = \"1.3\",");
    minimum.push_str("[access_log]\nfile = \"access.log\"\n");
    process.update(&minimum);
    let mut third = tls.connect(listen).unwrap();
    assert_eq!(third.get("/").status, 200);
    assert!(third.resumed(), "after an update of its TLS settings");
}

#[test]
fn lines_held_back_by_a_replaced_chain_are_written() {
    let origin = Origin::start("origin");
    let listen = free_address();
    let log = "[access_log]\nfile = \"access.log\"\nflush = \"1h\"\n";
    let text = |keys: &str, log: &str| proxy(listen, keys, &endpoints(&[&origin])) + log;
    let mut process = Tidegate::start(&text("", log));
    let mut paths = Vec::new();
    let mut ask = |path: &str| {
        paths.push(path.to_owned());
        assert_eq!(get(listen, path).status, 200);
    };
    ask("/1");
    process.update(&text("drain = \"9s\"", log));
    ask("/2");
    // Another buffer, another file, no log at all, and the first file again.
    process.update(&text("", &log.replace("1h", "2h")));
    ask("/3");
    process.update(&text("", ""));
    assert_eq!(get(listen, "/unlogged").status, 200);
    process.update(&text("", log));
    ask("/4");
    process.stop();
    let lines = access_log(&process.place.path("access.log"));
    let mut logged: Vec<&str> = lines
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    logged.sort_unstable();
    assert_eq!(logged, paths);
    let mut generations: Vec<u64> = lines
        .iter()
        .map(|line| line["generation"].as_u64().unwrap())
        .collect();
    generations.sort_unstable();
    generations.dedup();
    assert_eq!(generations.len(), 4, "each from a generation of its own");
}

#[test]
fn connections_to_an_upstream_that_goes_are_closed() {
    let (stays, goes) = (Origin::start("stays"), Origin::start("goes"));
    let listen = free_address();
    let one = proxy(listen, "", &endpoints(&[&stays]));
    let both = format!(
        "{one}[[servers.web.routes]]\npath = \"/other\"\nupstream = \"other\"\n\
         [upstreams.other]\n{}\n",
        endpoints(&[&goes])
    );
    let process = Tidegate::start(&both);
    assert_eq!(get(listen, "/").body, "stays");
    assert_eq!(get(listen, "/other").body, "goes");
    process.update(&one);
    goes.await_alone();
    assert_eq!(get(listen, "/").body, "stays");
    assert_eq!((stays.connections(), stays.open()), (1, 1));
}

#[test]
fn an_endpoint_that_changes_gets_no_old_connection() {
    let (old, new) = (Origin::start("old"), Origin::start("new"));
    let listen = free_address();
    let process = Tidegate::start(&proxy(listen, "", &endpoints(&[&old])));
    assert_eq!(get(listen, "/").body, "old");
    process.update(&proxy(listen, "", &endpoints(&[&new])));
    for _ in 0..3 {
        assert_eq!(get(listen, "/").body, "new");
    }
    old.await_alone();
    assert_eq!((old.connections(), new.connections()), (1, 1));
}

#[test]
fn a_shorter_idle_time_holds_for_connections_kept_before() {
    let origin = Origin::start("origin");
    let listen = free_address();
    let text = |idle: &str| {
        let pool = format!("pool = {{ idle_timeout = \"{idle}\" }}\n");
        proxy(listen, "", &(pool + &endpoints(&[&origin])))
    };
    let process = Tidegate::start(&text("1h"));
    assert_eq!(get(listen, "/").body, "origin");
    process.update(&text("500ms"));
    assert_eq!(get(listen, "/").body, "origin");
    origin.await_alone();
}

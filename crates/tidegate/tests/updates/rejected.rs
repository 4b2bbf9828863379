//! Files that are wrong, gone, or say nothing new.

use std::net::SocketAddr;

use rustix::process::Signal;
use serde_json::Value;

use crate::client::{Client, get};
use crate::harness::{Tidegate, access_log, free_address, message};

/// A server that says `body`.
fn server(name: &str, listen: SocketAddr, body: &str) -> String {
    format!(
        r#"
[servers.{name}]
protocol = "http"
listen = ["{listen}"]
[[servers.{name}.routes]]
prefix = "/"
respond = {{ status = 200, body = "{body}" }}
"#
    )
}

/// Twelve mistakes and where they are, for the server at a good address.
const TWELVE: &str = r#"
[runtime]
worker = 4
[servers.web]
protocol = "http"
listen = ["LISTEN", "127.0.0.1"]
timeouts = { header = 10, idle = "75 parsecs" }
limits = { header_bytes = "32kb", connections = 0 }
drain = "soon"
[[servers.web.routes]]
path = "/api/{*rest}"
upstream = "absent"
[[servers.web.routes]]
prefix = "/static"
respond = { status = 2000 }
[upstreams.api]
balance = "round-robin"
endpoints = [{ address = "127.0.0.1:9000", weight = 0 }, "127.0.0.1"]
"#;

const PLACES: [(u64, &str); 12] = [
    (3, "runtime.worker"),
    (6, "servers.web.listen[1]"),
    (7, "servers.web.timeouts.header"),
    (7, "servers.web.timeouts.idle"),
    (8, "servers.web.limits.connections"),
    (8, "servers.web.limits.header_bytes"),
    (9, "servers.web.drain"),
    (12, "servers.web.routes[0].upstream"),
    (15, "servers.web.routes[1].respond.status"),
    (17, "upstreams.api.balance"),
    (18, "upstreams.api.endpoints[0].weight"),
    (18, "upstreams.api.endpoints[1]"),
];

#[test]
fn twelve_mistakes_are_twelve_located_errors_and_nothing_changes() {
    let listen = free_address();
    let process = Tidegate::start(&server("web", listen, "good"));
    let mut client = Client::connect(listen);
    assert!(!client.get("/").closes);

    process.update_refused(&TWELVE.replace("LISTEN", &listen.to_string()));
    let is_mistake = |event: &Value| event["key"].is_string();
    let mut found: Vec<(u64, String)> = (0..12)
        .map(|_| {
            let event = process.next_that("a mistake", is_mistake);
            assert!(event["expected"].is_string(), "{event}");
            assert!(event["column"].as_u64().unwrap() > 0, "{event}");
            let file = event["file"].as_str().unwrap();
            assert!(file.ends_with("tidegate.toml"), "{event}");
            let key = event["key"].as_str().unwrap().to_owned();
            (event["line"].as_u64().unwrap(), key)
        })
        .collect();
    found.sort();
    let mut expected: Vec<(u64, String)> = PLACES
        .iter()
        .map(|(line, key)| (*line, (*key).to_owned()))
        .collect();
    expected.sort();
    assert_eq!(found, expected);

    assert!(!client.get("/").closes, "nobody was asked to leave");
    assert_eq!(get(listen, "/").body, "good");
    process.update(&server("web", listen, "better"));
    assert_eq!(get(listen, "/").body, "better");
    assert_eq!(process.logged("reloaded").len(), 1);
}

#[test]
fn a_deleted_file_changes_nothing() {
    let listen = free_address();
    let process = Tidegate::start(&server("web", listen, "first"));
    let mut client = Client::connect(listen);
    assert!(!client.get("/").closes);
    std::fs::remove_file(process.place.config()).unwrap();
    process.signal(Signal::HUP);
    process.next("reload rejected: the file is wrong; serving on");
    let reason = process.next_that("why", |event| event["file"].is_string());
    assert!(
        message(&reason).contains("cannot read the file"),
        "{reason}"
    );
    assert_eq!(get(listen, "/").body, "first");
    assert!(!client.get("/").closes);

    // No signal: the watch is on the directory, and outlives the file.
    process.place.write(&server("web", listen, "second"));
    let reloaded = process.next("reloaded");
    assert_eq!(reloaded["cause"], "file change");
    assert_eq!(get(listen, "/").body, "second");
}

#[test]
fn a_file_that_says_nothing_new_makes_no_generation() {
    let listen = free_address();
    let text = server("web", listen, "same");
    let process = Tidegate::start(&text);
    let mut client = Client::connect(listen);
    assert!(!client.get("/").closes);
    process.signal(Signal::HUP);
    let event = process.next("reloaded: nothing has changed");
    assert!(event["generation"].is_null(), "{event}");
    // Other words for the same.
    process
        .place
        .write(&format!("# A comment.\n{text}\n[runtime]\npin = true\n"));
    let event = process.next("reloaded: nothing has changed");
    assert_eq!(event["cause"], "file change");
    assert!(!client.get("/").closes, "nobody was asked to leave");
    assert!(process.logged("reloaded").is_empty());
}

#[test]
fn only_what_changed_is_rebuilt() {
    let (left, right) = (free_address(), free_address());
    let log = "[access_log]\nfile = \"access.log\"\n";
    let text =
        |body: &str| log.to_owned() + &server("left", left, body) + &server("right", right, "same");
    let mut process = Tidegate::start(&text("old"));
    let (mut changes, mut stays) = (Client::connect(left), Client::connect(right));
    assert!(!changes.get("/").closes && !stays.get("/before").closes);
    let generation = process.update(&text("new"));
    let event = process.logged("reloaded").remove(0);
    assert_eq!(
        (&event["deployed"], &event["removed"]),
        (&"left".into(), &"".into())
    );

    let reply = changes.get("/");
    assert_eq!((&*reply.body, reply.closes), ("old", true));
    assert_eq!(get(left, "/after").body, "new");
    assert!(!stays.get("/after").closes);
    process.stop();
    let lines = access_log(&process.place.path("access.log"));
    let of = |site: &str, path: &str| {
        let line = lines
            .iter()
            .find(|line| line["site"] == *site && line["path"] == *path);
        line.unwrap()["generation"].as_u64().unwrap()
    };
    assert_eq!(of("right", "/before"), of("right", "/after"));
    assert_eq!(of("left", "/after"), generation);
    assert!(of("left", "/") < generation);
}

#[test]
fn what_needs_a_restart_is_said_until_there_is_one() {
    let listen = free_address();
    let text = |runtime: &str| format!("[runtime]\n{runtime}\n{}", server("web", listen, "same"));
    let process = Tidegate::start(&text("workers = 1"));
    let warns = |event: &Value| message(event).contains("takes effect after a restart");
    process
        .place
        .write(&text("workers = 3\ncommand_timeout = \"4s\""));
    let event = process.next_that("the warning", warns);
    assert!(
        message(&event).starts_with("runtime.workers changed from 1 to 3"),
        "{event}"
    );
    process.signal(Signal::HUP);
    process.next_that("the warning again", warns);
    process.place.write(&text("workers = 1"));
    process.next("reloaded: nothing has changed");
    process.signal(Signal::HUP);
    let event = process.next_that("an end", |event| !message(event).is_empty());
    assert_eq!(message(&event), "reloaded: nothing has changed");
}

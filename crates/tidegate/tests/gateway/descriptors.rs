//! A process that may open no more files.

use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use crate::harness::{Gateway, Launch, Peer, get};

const SETTINGS: &str = r#"
[runtime]
workers = 1
pin = false

[servers.web]
protocol = "http"
listen = ["127.0.0.1:0"]

[[servers.web.routes]]
prefix = "/"
respond = { status = 200, body = "served" }
"#;

/// Processor time used so far, in hundredths of a second.
fn processor_ticks(gateway: &Gateway) -> u64 {
    let stat = gateway.proc("stat");
    // The name in parentheses may have blanks; user and system time are the 12th and
    // 13th field after it.
    let fields = stat.rsplit(')').next().unwrap().split_whitespace();
    fields
        .skip(11)
        .take(2)
        .map(|it| it.parse::<u64>().unwrap())
        .sum()
}

#[test]
fn running_out_of_descriptors_neither_spins_nor_lasts() {
    let launch = Launch {
        descriptors_max: Some(48),
    };
    let directory = Arc::new(TempDir::new().unwrap());
    let gateway = Gateway::launch(SETTINGS, directory, launch);
    let mut kept = gateway.connect();
    assert_eq!(kept.ask(get("/")).text(), "served");
    let flood: Vec<Peer> = (0..64).map(|_| gateway.connect()).collect();
    gateway.wait_for_log("it cannot accept", |lines| {
        lines
            .iter()
            .any(|line| line.to_string().contains("cannot accept"))
    });
    let before = processor_ticks(&gateway);
    let window = Duration::from_millis(500);
    std::thread::sleep(window);
    let used = processor_ticks(&gateway) - before;
    assert!(used <= 10, "{used} hundredths of a second in {window:?}");
    assert_eq!(kept.ask(get("/")).text(), "served");
    drop(flood);
    for _ in 0..3 {
        assert_eq!(gateway.connect().ask(get("/")).text(), "served");
    }
}

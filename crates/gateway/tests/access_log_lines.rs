//! A line that is no JSON, says something else, or has no end.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::Value;
use tidegate_gateway::access_log::{
    AccessLog, Entry, LINE_BYTES_MAX, LONG_FIELD_BYTES_MAX, LogBuffer, SHORT_FIELD_BYTES_MAX,
};
use tidegate_runtime::clock;

/// Keeps what is written.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn plain() -> Entry<'static> {
    Entry {
        time: UNIX_EPOCH + Duration::from_millis(1_795_342_530_007),
        site: "web",
        generation: 7,
        peer: "192.0.2.1:5000",
        method: "GET",
        host: Some(b"example.com"),
        path: b"/a?b=c",
        protocol: "HTTP/1.1",
        status: 200,
        request_bytes: 0,
        response_bytes: 1024,
        duration: Duration::from_micros(1500),
        route: Some("/{*rest}"),
        upstream: Some("api"),
        endpoint: Some("10.0.0.1:80"),
        upstream_time: Some(Duration::from_micros(1200)),
        retries: 1,
        call: None,
        user_agent: Some(b"curl/8"),
        referer: None,
        fault: None,
    }
}

fn lines(entries: &[Entry<'_>]) -> String {
    let kept = Kept::default();
    let log = AccessLog::to_sink(Box::new(kept.clone())).unwrap();
    let buffer = LogBuffer::new(log.sender());
    for entry in entries {
        buffer.record(entry, clock::now());
    }
    drop(buffer);
    let counts = log.close(Duration::from_secs(10)).unwrap();
    assert_eq!(counts.written, u64::try_from(entries.len()).unwrap());
    String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
}

#[test]
fn a_line_has_its_keys_in_order() {
    assert_eq!(
        lines(&[plain()]),
        concat!(
            r#"{"time":"2026-11-22T10:15:30.007Z","site":"web","generation":7,"#,
            r#""peer":"192.0.2.1:5000","method":"GET","host":"example.com","path":"/a?b=c","#,
            r#""protocol":"HTTP/1.1","status":200,"request_bytes":0,"response_bytes":1024,"#,
            r#""duration_us":1500,"route":"/{*rest}","upstream":"api","endpoint":"10.0.0.1:80","#,
            r#""upstream_us":1200,"retries":1,"user_agent":"curl/8"}"#,
            "\n"
        )
    );
}

#[test]
fn what_a_peer_sends_cannot_forge_a_line() {
    let entry = Entry {
        path: b"/\"}\n{\"status\":200,\x1b[31m\x7f\\",
        user_agent: Some(b"\xff\xe2\x82 \xc3\xa9"),
        ..plain()
    };
    let text = lines(&[entry]);
    assert_eq!(text.lines().count(), 1);
    assert!(!text.contains('\x1b') && !text.contains('\x7f'));
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["path"], "/\"}\n{\"status\":200,\u{1b}[31m\u{7f}\\");
    assert_eq!(value["user_agent"], "\u{fffd}\u{fffd} é");
}

#[test]
fn the_longest_line_is_bounded_and_cuts_between_characters() {
    let control = vec![1; 100_000];
    let text = "\u{1}".repeat(100_000);
    let euros = "€".repeat(100_000);
    let worst = Entry {
        site: &text,
        peer: &text,
        method: &text,
        host: Some(&control),
        path: &control,
        protocol: &text,
        route: Some(&text),
        upstream: Some(&text),
        endpoint: Some(&text),
        user_agent: Some(&control),
        referer: Some(&control),
        fault: Some(&text),
        ..plain()
    };
    let line = lines(&[worst]);
    assert!(line.len() <= LINE_BYTES_MAX, "{} bytes", line.len());
    let value: Value = serde_json::from_str(&line).unwrap();
    let kept = value["path"].as_str().unwrap();
    assert_eq!(kept, "\u{1}".repeat(LONG_FIELD_BYTES_MAX) + "…");

    let line = lines(&[Entry {
        referer: Some(euros.as_bytes()),
        site: &euros,
        ..plain()
    }]);
    let value: Value = serde_json::from_str(&line).unwrap();
    let long = "€".repeat(LONG_FIELD_BYTES_MAX / 3) + "…";
    assert_eq!(value["referer"].as_str(), Some(long.as_str()));
    let short = "€".repeat(SHORT_FIELD_BYTES_MAX / 3) + "…";
    assert_eq!(value["site"].as_str(), Some(short.as_str()));
}

proptest! {
    #[test]
    fn every_line_parses_and_says_what_happened(
        path in proptest::collection::vec(any::<u8>(), 0..200),
        host in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..50)),
        referer in proptest::option::of(".{0,60}"),
        fault in proptest::option::of("\\PC{0,60}"),
        numbers in any::<(u64, u64, u64, u16, u32)>(),
        milliseconds in 0..4_000_000_000_000_u64,
    ) {
        let (generation, request_bytes, response_bytes, status, retries) = numbers;
        let entry = Entry {
            time: UNIX_EPOCH + Duration::from_millis(milliseconds),
            generation,
            status,
            request_bytes,
            response_bytes,
            retries,
            path: &path,
            host: host.as_deref(),
            referer: referer.as_ref().map(|referer| referer.as_bytes()),
            fault: fault.as_deref(),
            ..plain()
        };
        let text = lines(&[entry.clone(), entry]);
        prop_assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            let value: Value = serde_json::from_str(line).unwrap();
            let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            prop_assert_eq!(&value["path"], &lossy(&path));
            prop_assert_eq!(value.get("host").map(|v| v.as_str().unwrap().to_owned()), host.as_deref().map(lossy));
            prop_assert_eq!(value.get("referer").and_then(Value::as_str), referer.as_deref());
            prop_assert_eq!(value.get("fault").and_then(Value::as_str), fault.as_deref());
            prop_assert_eq!(value["generation"].as_u64(), Some(generation));
            prop_assert_eq!(value["status"].as_u64(), Some(u64::from(status)));
            prop_assert_eq!(value["request_bytes"].as_u64(), Some(request_bytes));
            prop_assert_eq!(value["response_bytes"].as_u64(), Some(response_bytes));
            prop_assert_eq!(value["retries"].as_u64(), Some(u64::from(retries)));
        }
    }
}

//! The log of the process, read as it is written.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use serde_json::Value;

use crate::harness::{DEADLINE, thread};

/// What the process wrote to standard error, and whether that has ended.
#[derive(Default)]
pub(crate) struct Log {
    lines: Mutex<(Vec<Value>, bool)>,
    news: Condvar,
}

impl Log {
    pub(crate) fn follow(self: &Arc<Self>, source: impl std::io::Read + Send + 'static) {
        let log = self.clone();
        thread("log", move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap_or(Value::String(line));
                log.lines.lock().unwrap().0.push(event);
                log.news.notify_all();
            }
            log.lines.lock().unwrap().1 = true;
            log.news.notify_all();
        });
    }

    /// Everything with this message so far.
    pub(crate) fn all(&self, wanted: &str) -> Vec<Value> {
        let lines = self.lines.lock().unwrap();
        let events = lines.0.iter().filter(|event| message(event) == wanted);
        events.cloned().collect()
    }

    /// The first event at or behind `from` that `is_it`, and its place.
    pub(crate) fn wait(
        &self,
        from: usize,
        is_it: impl Fn(&Value) -> bool,
    ) -> Option<(usize, Value)> {
        let begun = Instant::now();
        let mut lines = self.lines.lock().unwrap();
        let mut next = from;
        loop {
            while let Some(line) = lines.0.get(next) {
                if is_it(line) {
                    return Some((next, line.clone()));
                }
                next += 1;
            }
            let left = DEADLINE.checked_sub(begun.elapsed())?;
            if lines.1 {
                return None;
            }
            lines = self.news.wait_timeout(lines, left).unwrap().0;
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines.lock().unwrap().0 {
            match line {
                Value::String(line) => writeln!(text, "{line}"),
                event => writeln!(text, "{event}"),
            }
            .unwrap();
        }
        text
    }
}

pub(crate) fn message(event: &Value) -> &str {
    event["message"].as_str().unwrap_or_default()
}

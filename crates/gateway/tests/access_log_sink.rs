//! A sink that stalls, fails or moves: traffic goes on, lost lines are counted.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{self, Write};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant, UNIX_EPOCH};

use tidegate_gateway::access_log::{
    AccessLog, CHUNK_BYTES, CHUNKS_MAX, Entry, FLUSH_AFTER, LogBuffer, LogCounts, LogTarget,
    OpenError,
};
use tidegate_runtime::clock::Tick;

const DEADLINE: Duration = Duration::from_secs(20);

fn entry(path: &[u8]) -> Entry<'_> {
    Entry {
        time: UNIX_EPOCH,
        site: "web",
        generation: 1,
        peer: "192.0.2.1:5000",
        method: "GET",
        host: None,
        path,
        protocol: "HTTP/1.1",
        status: 200,
        request_bytes: 0,
        response_bytes: 0,
        duration: Duration::ZERO,
        route: None,
        upstream: None,
        endpoint: None,
        upstream_time: None,
        retries: 0,
        call: None,
        user_agent: None,
        referer: None,
        fault: None,
    }
}

fn until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "the condition never held");
        std::thread::yield_now();
    }
}

fn line_count(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// Takes a write only when told to.
struct Stalled {
    go_on: Receiver<()>,
    written: SyncSender<usize>,
}

impl Write for Stalled {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.go_on.recv().map_err(io::Error::other)?;
        self.written.send(bytes.len()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stalled_sink_costs_lines_and_no_time() {
    let (go_on, stalled) = sync_channel(1000);
    let (written, sizes) = sync_channel(1000);
    let log = AccessLog::to_sink(Box::new(Stalled {
        go_on: stalled,
        written,
    }))
    .unwrap();
    let buffer = LogBuffer::new(log.sender());
    let path = vec![b'x'; 1000];
    // The queue's worth, the chunk the writer holds, and as much again to be dropped.
    let mut lines = 0;
    while log.counts().dropped_at_queue == 0 {
        buffer.record(&entry(&path), Tick::from_millis(0));
        lines += 1;
        assert!(
            lines * path.len() < 2 * CHUNKS_MAX * CHUNK_BYTES,
            "the queue has no bound"
        );
    }
    for _ in 0..10_000 {
        buffer.record(&entry(&path), Tick::from_millis(0));
        lines += 1;
    }
    buffer.flush();
    let dropped = log.counts().dropped_at_queue;
    assert!(dropped >= 10_000);
    assert_eq!(log.counts().written, 0);

    for _ in 0..CHUNKS_MAX + 1 {
        go_on.send(()).unwrap();
    }
    until(|| log.counts().written + dropped == lines as u64);
    drop((go_on, sizes));
    drop(buffer);
    assert_eq!(log.close(DEADLINE).unwrap().dropped_at_queue, dropped);
}

#[test]
fn closing_does_not_wait_for_a_stalled_sink() {
    let (go_on, stalled) = sync_channel(0);
    let (written, _sizes) = sync_channel(1);
    let log = AccessLog::to_sink(Box::new(Stalled {
        go_on: stalled,
        written,
    }))
    .unwrap();
    let buffer = LogBuffer::new(log.sender());
    buffer.record(&entry(b"/"), Tick::from_millis(0));
    buffer.flush();
    let error = log.close(Duration::from_millis(1)).unwrap_err();
    assert_eq!(error.queued_lines, 1);
    drop(go_on);
}

#[test]
fn a_full_disk_costs_lines_only() {
    let log = AccessLog::open(LogTarget::File("/dev/full".into())).unwrap();
    let buffer = LogBuffer::new(log.sender());
    for _ in 0..5 {
        buffer.record(&entry(b"/"), Tick::from_millis(0));
        buffer.flush();
    }
    let counts = log.close(DEADLINE).unwrap();
    let expected = LogCounts {
        dropped_at_write: 5,
        ..LogCounts::default()
    };
    assert_eq!(counts, expected);
}

/// Takes `room` bytes, then fails once, then takes everything.
struct Tearing {
    room: usize,
    kept: SyncSender<Vec<u8>>,
}

impl Write for Tearing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.room == 0 {
            self.room = usize::MAX;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        self.kept
            .send(bytes[..taken].to_vec())
            .map_err(io::Error::other)?;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_torn_line_spoils_no_other() {
    let (kept, pieces) = sync_channel(1000);
    let log = AccessLog::to_sink(Box::new(Tearing { room: 250, kept })).unwrap();
    let buffer = LogBuffer::new(log.sender());
    for _ in 0..3 {
        buffer.record(&entry(b"/first"), Tick::from_millis(0));
    }
    buffer.flush();
    buffer.record(&entry(b"/after"), Tick::from_millis(0));
    buffer.flush();
    let counts = log.close(DEADLINE).unwrap();
    let text: Vec<u8> = pieces.iter().flatten().collect();
    let text = String::from_utf8(text).unwrap();
    let whole = |line: &&str| serde_json::from_str::<serde_json::Value>(line).is_ok();
    let whole_lines = text.lines().filter(whole).count();
    assert_eq!(
        text.lines().count(),
        whole_lines + 1,
        "one torn line: {text}"
    );
    assert!(text.lines().last().unwrap().contains("/after"));
    assert_eq!(counts.written, whole_lines as u64);
    assert_eq!(counts.written + counts.dropped_at_write, 4);
}

#[test]
fn a_rotated_file_is_opened_anew() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.log");
    let moved = directory.path().join("access.log.1");
    std::fs::write(&path, "kept\n").unwrap();
    let log = AccessLog::open(LogTarget::File(path.clone())).unwrap();
    let buffer = LogBuffer::new(log.sender());
    buffer.record(&entry(b"/1"), Tick::from_millis(0));
    buffer.flush();
    until(|| line_count(&path) == 2);
    std::fs::rename(&path, &moved).unwrap();
    log.reopen();
    until(|| path.exists());
    buffer.record(&entry(b"/2"), Tick::from_millis(0));
    buffer.flush();
    until(|| line_count(&path) == 1);
    assert_eq!(line_count(&moved), 2);

    // A directory in its place: the old file goes on taking lines.
    std::fs::rename(&path, directory.path().join("access.log.2")).unwrap();
    std::fs::create_dir(&path).unwrap();
    log.reopen();
    buffer.record(&entry(b"/3"), Tick::from_millis(0));
    buffer.flush();
    until(|| line_count(&directory.path().join("access.log.2")) == 2);
    drop(buffer);
    assert_eq!(log.close(DEADLINE).unwrap().written, 3);
}

#[test]
fn a_file_that_cannot_be_opened_is_an_error_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing/access.log");
    let error = AccessLog::open(LogTarget::File(path)).unwrap_err();
    assert!(matches!(error, OpenError::File { .. }));
    assert!(error.to_string().contains("missing/access.log"), "{error}");
}

#[test]
fn lines_wait_a_second_at_most_and_a_full_chunk_not_at_all() {
    let (go_on, stalled) = sync_channel(1000);
    let (written, sizes) = sync_channel(1000);
    for _ in 0..10 {
        go_on.send(()).unwrap();
    }
    let log = AccessLog::to_sink(Box::new(Stalled {
        go_on: stalled,
        written,
    }))
    .unwrap();
    let buffer = LogBuffer::new(log.sender());
    let start = Tick::from_millis(5000);
    let just_before = Tick::from_millis(5999);
    assert_eq!(buffer.next_flush(), None);
    buffer.record(&entry(b"/"), start);
    buffer.record(&entry(b"/"), just_before);
    assert_eq!(buffer.next_flush(), Some(start + FLUSH_AFTER));
    buffer.flush_due(just_before);
    assert!(buffer.next_flush().is_some());
    buffer.flush_due(start + FLUSH_AFTER);
    assert_eq!(buffer.next_flush(), None);
    assert!(sizes.recv_timeout(DEADLINE).unwrap() < 1000);

    while sizes.try_recv().is_err() {
        buffer.record(&entry(&[b'x'; 1000]), start);
        assert!(log.counts().dropped_at_queue == 0);
        if buffer.next_flush().is_none() {
            assert!(sizes.recv_timeout(DEADLINE).unwrap() >= CHUNK_BYTES);
            break;
        }
    }
    drop(buffer);
    assert_eq!(log.close(DEADLINE).unwrap().dropped_at_queue, 0);
}

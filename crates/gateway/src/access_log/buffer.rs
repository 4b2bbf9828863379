//! A worker's part of the log: lines collected until they are worth handing over.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use bytes::BytesMut;
use tidegate_runtime::clock::Tick;

use super::call_entry::CallEntry;
use super::connection_entry::ConnectionEntry;
use super::date::DateCache;
use super::entry::Entry;
use super::writer::LogSender;

/// A chunk this full is handed over, in bytes.
pub const CHUNK_BYTES: usize = 64 * 1024;

/// A line this old is handed over, however few there are.
pub const FLUSH_AFTER: Duration = Duration::from_secs(1);

/// How much a worker holds back, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// The size of a chunk that is handed over, in bytes.
    pub chunk_bytes: usize,
    /// The longest a line waits for its chunk to fill.
    pub flush_after: Duration,
}

impl Default for LogLimits {
    fn default() -> Self {
        Self {
            chunk_bytes: CHUNK_BYTES,
            flush_after: FLUSH_AFTER,
        }
    }
}

/// Collects one worker's lines; share it among the worker's chains with `Rc`, across
/// updates too. Dropping it hands over what is left.
///
/// The caller drives time: call [`flush_due`](Self::flush_due) now and then, best from
/// a task that wakes at [`next_flush`](Self::next_flush).
#[derive(Debug)]
pub struct LogBuffer {
    state: RefCell<State>,
    sender: LogSender,
    limits: LogLimits,
    one_worker: PhantomData<Rc<()>>,
}

#[derive(Debug, Default)]
struct State {
    chunk: BytesMut,
    lines: u64,
    date: DateCache,
    /// When the oldest line must go.
    due: Option<Tick>,
}

impl LogBuffer {
    /// A buffer that hands over to `sender`'s writer.
    pub fn new(sender: LogSender) -> Self {
        Self::with_limits(sender, LogLimits::default())
    }

    /// As [`new`](Self::new), holding back what `limits` say.
    pub fn with_limits(sender: LogSender, limits: LogLimits) -> Self {
        Self {
            state: RefCell::default(),
            sender,
            limits,
            one_worker: PhantomData,
        }
    }

    /// Whether this is such a buffer as `with_limits(sender, limits)` gives.
    pub fn leads_to(&self, sender: &LogSender, limits: LogLimits) -> bool {
        self.limits == limits && self.sender.is_same(sender)
    }

    /// Adds a line, handing the chunk over when it is full.
    pub fn record(&self, entry: &Entry<'_>, now: Tick) {
        self.add(now, |date, chunk| entry.encode(date, chunk));
    }

    /// Adds a line about a Thrift call, as [`record`](Self::record) does.
    pub fn record_call(&self, entry: &CallEntry<'_>, now: Tick) {
        self.add(now, |date, chunk| entry.encode(date, chunk));
    }

    /// Adds a line about a connection, as [`record`](Self::record) does.
    pub fn record_connection(&self, entry: &ConnectionEntry<'_>, now: Tick) {
        self.add(now, |date, chunk| entry.encode(date, chunk));
    }

    fn add(&self, now: Tick, encode: impl FnOnce(&mut DateCache, &mut BytesMut)) {
        let mut state = self.state.borrow_mut();
        if state.chunk.capacity() == 0 {
            let chunk_bytes = self.limits.chunk_bytes;
            state.chunk.reserve(chunk_bytes + chunk_bytes / 16);
        }
        let State { chunk, date, .. } = &mut *state;
        encode(date, chunk);
        state.lines += 1;
        state.due.get_or_insert(now + self.limits.flush_after);
        if state.chunk.len() >= self.limits.chunk_bytes {
            self.hand_over(&mut state);
        }
    }

    /// Hands over what is due at `now`.
    pub fn flush_due(&self, now: Tick) {
        if self.next_flush().is_some_and(|due| due <= now) {
            self.flush();
        }
    }

    /// When the next line is due; `None` while there is none.
    pub fn next_flush(&self) -> Option<Tick> {
        self.state.borrow().due
    }

    /// Hands over what there is.
    pub fn flush(&self) {
        self.hand_over(&mut self.state.borrow_mut());
    }

    fn hand_over(&self, state: &mut State) {
        if state.lines > 0 {
            self.sender
                .send(std::mem::take(&mut state.chunk), state.lines);
        }
        state.lines = 0;
        state.due = None;
    }
}

impl Drop for LogBuffer {
    fn drop(&mut self) {
        self.flush();
    }
}

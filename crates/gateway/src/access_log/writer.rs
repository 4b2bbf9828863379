//! The thread that writes the log, and the bounded queue to it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread;
use std::time::Duration;

use bytes::BytesMut;
use tidegate_runtime::clock::{self, Tick};
use tokio::sync::watch;

/// How many chunks may wait for the writer before more are dropped.
pub const CHUNKS_MAX: usize = 64;

/// Write errors are warned of at most this often.
pub const WARN_EVERY: Duration = Duration::from_secs(60);

/// Where the log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Appended to a file, created when missing.
    File(PathBuf),
    /// The process's standard output.
    Stdout,
    /// The process's standard error.
    Stderr,
}

/// The log could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file cannot be opened for appending.
    #[error("access log `{}`: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The writer thread cannot be started.
    #[error("access log: cannot start its thread: {0}")]
    Thread(io::Error),
}

/// The log was not closed in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the access log's target takes no more; {} lines may be lost", .queued_lines)]
pub struct CloseError {
    /// Lines handed over and not written.
    pub queued_lines: u64,
}

/// Lines by their fate, since the log was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogCounts {
    /// Written.
    pub written: u64,
    /// Dropped because the queue was full or the writer gone.
    pub dropped_at_queue: u64,
    /// Lost to write errors, a full disk for one.
    pub dropped_at_write: u64,
}

#[derive(Debug, Default)]
struct Shared {
    sent: AtomicU64,
    written: AtomicU64,
    dropped_at_queue: AtomicU64,
    dropped_at_write: AtomicU64,
    reopen: AtomicBool,
    close: AtomicBool,
}

#[derive(Debug)]
enum Message {
    Chunk {
        bytes: BytesMut,
        lines: u64,
    },
    /// Look at the flags.
    Wake,
}

/// Hands chunks to the writer; one for each [`LogBuffer`](super::LogBuffer).
#[derive(Clone, Debug)]
pub struct LogSender {
    queue: SyncSender<Message>,
    shared: Arc<Shared>,
}

impl LogSender {
    /// Whether both lead to the same writer.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub(super) fn send(&self, bytes: BytesMut, lines: u64) {
        // Counted first: the writer may be done with the chunk before we go on.
        self.shared.sent.fetch_add(lines, Ordering::Relaxed);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.queue.try_send(Message::Chunk { bytes, lines })
        {
            self.shared.sent.fetch_sub(lines, Ordering::Relaxed);
            self.shared
                .dropped_at_queue
                .fetch_add(lines, Ordering::Relaxed);
        }
    }
}

/// The log's control side: counts, reopening, closing.
#[derive(Debug)]
pub struct AccessLog {
    sender: LogSender,
    done: Receiver<()>,
    /// Closed when the writer has ended, however that came.
    alive: watch::Receiver<()>,
}

impl AccessLog {
    /// Opens `target` and starts the writer thread.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened or the thread not be started.
    pub fn open(target: LogTarget) -> Result<Self, OpenError> {
        let sink = match target {
            LogTarget::File(path) => {
                let file = append_to(&path).map_err(|source| OpenError::File {
                    path: path.clone(),
                    source,
                })?;
                Sink::File { path, file }
            }
            LogTarget::Stdout => Sink::Stream(Box::new(io::stdout())),
            LogTarget::Stderr => Sink::Stream(Box::new(io::stderr())),
        };
        Self::start(sink)
    }

    /// Starts the writer thread on a sink of the caller's, which may block.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started.
    pub fn to_sink(sink: Box<dyn Write + Send>) -> Result<Self, OpenError> {
        Self::start(Sink::Stream(sink))
    }

    /// A sender for a worker's buffer.
    pub fn sender(&self) -> LogSender {
        self.sender.clone()
    }

    /// What became of the lines so far.
    pub fn counts(&self) -> LogCounts {
        let shared = &self.sender.shared;
        LogCounts {
            written: shared.written.load(Ordering::Relaxed),
            dropped_at_queue: shared.dropped_at_queue.load(Ordering::Relaxed),
            dropped_at_write: shared.dropped_at_write.load(Ordering::Relaxed),
        }
    }

    /// Waits until the writer has ended: after [`Self::close`], or because of a defect.
    /// Cancellation safe.
    pub fn ended(&self) -> impl Future<Output = ()> + use<> {
        let mut alive = self.alive.clone();
        async move { while alive.changed().await.is_ok() {} }
    }

    /// Asks the writer to open the file by its name again before the next chunk, after
    /// the old one was moved away. Lines handed over before may still go to the old
    /// file. Without a file, nothing happens.
    pub fn reopen(&self) {
        self.sender.shared.reopen.store(true, Ordering::Release);
        self.wake();
    }

    /// Writes what was handed over and ends the writer, waiting `timeout` at most.
    /// Buffers must have been flushed; what they send later is dropped and counted.
    ///
    /// # Errors
    ///
    /// When the sink did not take everything in time. The thread is left to end by itself.
    pub fn close(self, timeout: Duration) -> Result<LogCounts, CloseError> {
        self.sender.shared.close.store(true, Ordering::Release);
        self.wake();
        match self.done.recv_timeout(timeout) {
            // The thread ended, one way or the other.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Ok(self.counts()),
            Err(RecvTimeoutError::Timeout) => {
                let counts = self.counts();
                let sent = self.sender.shared.sent.load(Ordering::Relaxed);
                Err(CloseError {
                    queued_lines: sent.saturating_sub(counts.written + counts.dropped_at_write),
                })
            }
        }
    }

    /// Full queue, no need: whoever drains it sees the flags.
    fn wake(&self) {
        let _ = self.sender.queue.try_send(Message::Wake);
    }

    fn start(sink: Sink) -> Result<Self, OpenError> {
        let (queue, chunks) = sync_channel(CHUNKS_MAX);
        let (ended, done) = sync_channel(1);
        let (living, alive) = watch::channel(());
        let shared = Arc::new(Shared::default());
        let writer = Writer {
            sink,
            shared: Arc::clone(&shared),
            mid_line: false,
            warned: None,
        };
        thread::Builder::new()
            .name("tg-access-log".to_owned())
            .spawn(move || {
                let _living = living;
                writer.run(&chunks);
                // Nobody may be waiting.
                let _ = ended.try_send(());
            })
            .map_err(OpenError::Thread)?;
        Ok(Self {
            sender: LogSender { queue, shared },
            done,
            alive,
        })
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

enum Sink {
    File { path: PathBuf, file: File },
    Stream(Box<dyn Write + Send>),
}

impl Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File { file, .. } => file.write(bytes),
            Self::Stream(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File { .. } => Ok(()),
            Self::Stream(stream) => stream.flush(),
        }
    }
}

struct Writer {
    sink: Sink,
    shared: Arc<Shared>,
    /// A failed write left half a line behind.
    mid_line: bool,
    warned: Option<Tick>,
}

impl Writer {
    fn run(mut self, chunks: &Receiver<Message>) {
        // Ends when every sender is gone, or at the first empty queue after `close`.
        while let Ok(message) = chunks.recv() {
            self.take(message);
            if self.shared.close.load(Ordering::Acquire) {
                while let Ok(message) = chunks.try_recv() {
                    self.take(message);
                }
                return;
            }
        }
    }

    fn take(&mut self, message: Message) {
        if self.shared.reopen.swap(false, Ordering::AcqRel) {
            self.reopen();
        }
        if let Message::Chunk { bytes, lines } = message {
            self.write(&bytes, lines);
        }
    }

    fn write(&mut self, chunk: &[u8], lines: u64) {
        let mut lost = 0;
        if self.mid_line {
            // The next line must not continue the torn one.
            match self.write_all(b"\n") {
                Ok(()) => self.mid_line = false,
                Err((_, error)) => {
                    lost = lines;
                    self.warn(&error, lines);
                }
            }
        }
        if lost == 0
            && let Err((written, error)) = self.write_all(chunk)
        {
            let left = &chunk[written..];
            lost =
                u64::try_from(left.iter().filter(|byte| **byte == b'\n').count()).unwrap_or(lines);
            self.mid_line = written > 0 && chunk[written - 1] != b'\n';
            self.warn(&error, lost);
        }
        self.shared
            .dropped_at_write
            .fetch_add(lost, Ordering::Relaxed);
        let written = lines.saturating_sub(lost);
        self.shared.written.fetch_add(written, Ordering::Relaxed);
    }

    /// Writes all of `bytes`, or says how many it wrote and why no more.
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let mut written = 0;
        while written < bytes.len() {
            match self.sink.write(&bytes[written..]) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(more) => written += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        self.sink.flush().map_err(|error| (written, error))
    }

    fn reopen(&mut self) {
        let Sink::File { path, file } = &mut self.sink else {
            return;
        };
        match append_to(path) {
            Ok(new) => {
                *file = new;
                self.mid_line = false;
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "cannot reopen the access log; writing on to the old file");
            }
        }
    }

    fn warn(&mut self, error: &io::Error, lines: u64) {
        let now = clock::now();
        let quiet = |warned: Tick| now.since(warned) < WARN_EVERY;
        if self.warned.is_some_and(quiet) {
            return;
        }
        self.warned = Some(now);
        tracing::warn!(%error, lines, "cannot write the access log; lines are dropped and counted");
    }
}

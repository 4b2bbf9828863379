//! The access log: one JSON line per request, call or passed-on connection, written off the
//! workers.
//!
//! Each worker fills its own [`LogBuffer`] and hands whole chunks over a bounded queue
//! to one writer thread. Nothing ever waits for the disk: a chunk that finds the queue
//! full or the writer gone is dropped and its lines are counted, as are lines a write
//! error lost. Memory is bounded by [`CHUNKS_MAX`] chunks of about [`CHUNK_BYTES`].

mod buffer;
mod call_entry;
mod connection_entry;
mod date;
mod entry;
mod writer;

pub use buffer::{CHUNK_BYTES, FLUSH_AFTER, LogBuffer, LogLimits};
pub use call_entry::CallEntry;
pub use connection_entry::ConnectionEntry;
pub use entry::{Entry, LINE_BYTES_MAX, LONG_FIELD_BYTES_MAX, SHORT_FIELD_BYTES_MAX};
pub use writer::{
    AccessLog, CHUNKS_MAX, CloseError, LogCounts, LogSender, LogTarget, OpenError, WARN_EVERY,
};

//! The server's end of one HTTP/1.1 connection: the stream, what has been read
//! from it and not yet used, what is to be written to it, and its time limit.
//!
//! It is shared between the connection's loop, which reads heads and writes
//! responses, and the request body a handler pulls. Both run in the same task:
//! the cell is borrowed within a poll only, never across an await.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tidegate_runtime::buffer::{self, BufferSize};
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::io::Io;
use tidegate_runtime::limit::{self, Limit};
use tokio::io::AsyncWrite;

use super::codec::{BodyDecoder, BodyLength, Limits};
use crate::write::Outbox;

/// How many bytes must pass before a peer has earned a fresh time limit. Less
/// than this per time limit is a peer that holds the connection, not one that
/// uses it.
const PROGRESS_BYTES: u64 = 4 * 1024;

/// Whether the client still waits to be told to send its body (RFC 9110 section 10.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Continue {
    /// It does not wait.
    Settled,
    /// It waits for `100 Continue` or a final response.
    Awaited,
}

pub(crate) struct Wire {
    pub(crate) io: Io,
    pub(crate) input: BytesMut,
    pub(crate) decoder: BodyDecoder,
    pub(crate) awaits_continue: Continue,
    pub(crate) outbox: Outbox,
    pub(crate) deadline: Deadline,
    /// Whether the stream was just seen to be readable, so that it need not be asked.
    pub(crate) is_readable: bool,
    stall: Stall,
}

pub(crate) type SharedWire = Rc<RefCell<Wire>>;

/// A wait on the client that has begun, and what has moved since its limit was set.
#[derive(Clone, Copy, Debug)]
enum Stall {
    None,
    Waiting { moved: u64 },
}

impl Wire {
    pub(crate) fn new(io: Io, limits: &Limits) -> Self {
        Self {
            io,
            input: BytesMut::new(),
            decoder: BodyDecoder::new(BodyLength::None, limits),
            awaits_continue: Continue::Settled,
            outbox: Outbox::default(),
            deadline: Deadline::new(),
            is_readable: false,
            stall: Stall::None,
        }
    }

    /// Reads more input, of which `expected` is at hand at the least when more
    /// than a head's worth is to come. Zero is the end of the stream.
    pub(crate) fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        size: BufferSize,
    ) -> Poll<io::Result<usize>> {
        if self.input.capacity() == 0 {
            // No buffer is taken for a stream that has nothing to put into it.
            if !std::mem::take(&mut self.is_readable) {
                ready!(self.io.poll_readable(cx))?;
            }
            self.input = buffer::take(size);
        } else if self.input.capacity() == self.input.len() || size == BufferSize::Body {
            self.make_room(size);
        }
        let read = self.io.poll_read_into(cx, &mut self.input);
        if read.is_pending() {
            self.return_input();
        }
        read
    }

    fn make_room(&mut self, size: BufferSize) {
        let room = self.input.capacity() - self.input.len();
        if room >= size.bytes() / 2 {
            return;
        }
        if self.input.is_empty() && !self.input.try_reclaim(size.bytes()) {
            // Somebody still reads what was in it: leave it to them.
            self.input = buffer::take(size);
        } else {
            self.input.reserve(size.bytes());
        }
    }

    /// Gives the read buffer back if there is one with nothing unread in it.
    pub(crate) fn return_input(&mut self) {
        if self.input.capacity() == 0 || !self.input.is_empty() {
            return;
        }
        let input = std::mem::take(&mut self.input);
        let size = if input.capacity() > BufferSize::Body.bytes() / 2 {
            BufferSize::Body
        } else {
            BufferSize::Head
        };
        buffer::give(input, size);
    }

    /// Puts a little that is unread into a buffer of a head's size: by sending slowly nobody
    /// has more of the memory than that.
    pub(crate) fn shrink_input(&mut self) {
        let head = BufferSize::Head.bytes();
        if self.input.capacity() > 2 * head && self.input.len() < head {
            let mut small = buffer::take(BufferSize::Head);
            small.extend_from_slice(&self.input);
            let large = std::mem::replace(&mut self.input, small);
            buffer::give(large, BufferSize::Body);
        }
    }

    /// Writes what is in the outbox. Fails with [`io::ErrorKind::TimedOut`] when
    /// the client takes too little of it within `timeout`.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        timeout: Duration,
    ) -> Poll<io::Result<()>> {
        let mut sent = 0;
        match self.outbox.poll_send(&mut self.io, cx, &mut sent) {
            Poll::Ready(outcome) => {
                self.settle();
                Poll::Ready(outcome)
            }
            Poll::Pending => self.poll_stalled(cx, timeout, sent).map(|error| {
                limit::hit(Limit::WriteTimeout);
                Err(error)
            }),
        }
    }

    /// Takes note that the client keeps us waiting, having moved `moved` bytes;
    /// ready when it has for too long.
    pub(crate) fn poll_stalled(
        &mut self,
        cx: &Context<'_>,
        limit: Duration,
        moved: u64,
    ) -> Poll<io::Error> {
        self.moved(moved);
        if let Stall::None = self.stall {
            self.deadline.arm(limit);
            self.stall = Stall::Waiting { moved: 0 };
        }
        self.deadline
            .poll_elapsed(cx)
            .map(|()| io::ErrorKind::TimedOut.into())
    }

    /// The client moved `count` bytes while we waited.
    pub(crate) fn moved(&mut self, count: u64) {
        if let Stall::Waiting { moved } = &mut self.stall {
            *moved += count;
            if *moved >= PROGRESS_BYTES {
                self.settle();
            }
        }
    }

    /// The client did what was waited for.
    pub(crate) fn settle(&mut self) {
        if let Stall::Waiting { .. } = self.stall {
            self.stall = Stall::None;
            self.deadline.disarm();
        }
    }
}

impl Wire {
    /// Tells the client that nothing more comes.
    pub(crate) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Failing to say goodbye to somebody who left is no failure.
        Pin::new(&mut self.io).poll_shutdown(cx).map(|_| ())
    }

    /// As [`Wire::poll_finish`], giving up on a client that does not listen.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        // Dropping a plain socket says the same with one system call less.
        if self.io.tls().is_none() || self.poll_finish(cx).is_ready() {
            return Poll::Ready(());
        }
        self.poll_stalled(cx, limit, 0).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tidegate_runtime::local;
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn the_start_of_a_head_does_not_hold_a_large_buffer() {
        local::block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let stream = TcpStream::connect(listener.local_addr().unwrap()).await;
            let mut wire = Wire::new(Io::from_tcp(stream.unwrap()), &Limits::default());
            wire.input = buffer::take(BufferSize::Body);
            wire.input.extend_from_slice(b"GET / HT");
            wire.shrink_input();
            assert_eq!(wire.input, "GET / HT");
            assert!(wire.input.capacity() <= 2 * BufferSize::Head.bytes());
            // Much that is unread stays where it is.
            let much = vec![b'x'; BufferSize::Head.bytes()];
            wire.input = buffer::take(BufferSize::Body);
            wire.input.extend_from_slice(&much);
            let place = wire.input.as_ptr();
            wire.shrink_input();
            assert_eq!((&*wire.input, wire.input.as_ptr()), (&*much, place));
        });
    }
}

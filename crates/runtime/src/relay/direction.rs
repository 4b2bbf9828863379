//! One direction of two joined streams.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::AsyncWrite;

use super::RelayError;
use crate::buffer::{self, BufferSize};
use crate::io::Io;

/// Which end of a direction failed.
pub(super) enum Fault {
    Source(io::Error),
    Sink(io::Error),
}

impl Fault {
    pub(super) fn locate(
        self,
        source: fn(io::Error) -> RelayError,
        sink: fn(io::Error) -> RelayError,
    ) -> RelayError {
        match self {
            Self::Source(error) => source(error),
            Self::Sink(error) => sink(error),
        }
    }
}

/// Holds a buffer only while it has bytes to pass on.
#[derive(Default)]
pub(super) struct Direction {
    pending: BytesMut,
    stage: Stage,
    passed_bytes: u64,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    /// Bytes were written and may sit in a TLS session's buffer.
    Unflushed,
    Ending,
    Ended,
}

impl Direction {
    pub(super) const fn passed_bytes(&self) -> u64 {
        self.passed_bytes
    }

    pub(super) fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Passes on what there is. Ready when the source has finished and the sink knows.
    pub(super) fn poll(
        &mut self,
        from: &mut Io,
        to: &mut Io,
        cx: &mut Context<'_>,
    ) -> Result<Poll<()>, Fault> {
        match self.poll_steps(from, to, cx) {
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Ready(Err(fault)) => Err(fault),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    /// tokio's budget for each task bounds the loop, as every step is a socket's.
    fn poll_steps(
        &mut self,
        from: &mut Io,
        to: &mut Io,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), Fault>> {
        loop {
            ready!(self.poll_write_out(to, cx)).map_err(Fault::Sink)?;
            if self.stage == Stage::Ended {
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_fill(from, cx)).map_err(Fault::Source)?;
        }
    }

    /// Leaves the direction open with nothing pending, or ended.
    fn poll_write_out(&mut self, to: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.pending.is_empty() {
            let count = ready!(Pin::new(&mut *to).poll_write(cx, &self.pending))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.pending.advance(count);
            self.stage = Stage::Unflushed;
            self.passed_bytes += count as u64;
        }
        match self.stage {
            Stage::Open | Stage::Ended => {}
            Stage::Unflushed => {
                ready!(Pin::new(&mut *to).poll_flush(cx))?;
                self.stage = Stage::Open;
            }
            Stage::Ending => {
                match ready!(Pin::new(&mut *to).poll_shutdown(cx)) {
                    // The peer was faster: it has ended the connection already.
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {}
                    other => other?,
                }
                self.stage = Stage::Ended;
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_fill(&mut self, from: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Asked first, so that a connection at rest keeps no buffer.
        if from.poll_readable(cx)?.is_pending() {
            self.release();
            return Poll::Pending;
        }
        if self.pending.capacity() == 0 {
            self.pending = buffer::take(BufferSize::Body);
        } else {
            self.pending.reserve(BufferSize::Body.bytes());
        }
        let Poll::Ready(count) = from.poll_read_into(cx, &mut self.pending) else {
            self.release();
            return Poll::Pending;
        };
        if count? == 0 {
            self.release();
            self.stage = Stage::Ending;
        }
        Poll::Ready(Ok(()))
    }

    fn release(&mut self) {
        if self.pending.capacity() > 0 {
            buffer::give(std::mem::take(&mut self.pending), BufferSize::Body);
        }
    }
}

//! Two streams joined: bytes go both ways until both sides have finished.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tidegate_runtime::buffer::{self, BufferSize};
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::io::Io;
use tidegate_runtime::limit::{self, Limit};
use tokio::io::AsyncWrite;

/// Joins two streams until both have ended, one fails, or nothing has moved
/// either way for `idle`.
///
/// A side that finishes sending is passed on as such and can still receive. A
/// direction holds a buffer only while it has bytes to pass on.
pub async fn join(mut left: Io, mut right: Io, idle: Duration) {
    let deadline = Deadline::new();
    deadline.arm(idle);
    let mut forth = Direction::default();
    let mut back = Direction::default();
    let joined = poll_fn(|cx| {
        let mut moved = 0;
        let forth_done = forth.poll(&mut left, &mut right, cx, &mut moved)?;
        let back_done = back.poll(&mut right, &mut left, cx, &mut moved)?;
        if forth_done.is_ready() && back_done.is_ready() {
            return Poll::Ready(Ok::<(), io::Error>(()));
        }
        if moved > 0 {
            deadline.arm(idle);
        }
        deadline.poll_elapsed(cx).map(|()| {
            limit::hit(Limit::TunnelIdleTimeout);
            Ok(())
        })
    });
    if let Err(error) = joined.await {
        tracing::debug!(%error, "tunnel broke");
    }
}

#[derive(Default)]
struct Direction {
    pending: BytesMut,
    stage: Stage,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Open,
    Unflushed,
    Ending,
    Ended,
}

impl Direction {
    fn poll(
        &mut self,
        from: &mut Io,
        to: &mut Io,
        cx: &mut Context<'_>,
        moved: &mut usize,
    ) -> io::Result<Poll<()>> {
        match self.poll_step(from, to, cx, moved) {
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Ready(Err(error)) => Err(error),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn poll_step(
        &mut self,
        from: &mut Io,
        to: &mut Io,
        cx: &mut Context<'_>,
        moved: &mut usize,
    ) -> Poll<io::Result<()>> {
        loop {
            while !self.pending.is_empty() {
                let count = ready!(Pin::new(&mut *to).poll_write(cx, &self.pending))?;
                if count == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.pending.advance(count);
                self.stage = Stage::Unflushed;
                *moved += count;
            }
            match self.stage {
                Stage::Open => {}
                Stage::Unflushed => {
                    ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    self.stage = Stage::Open;
                }
                Stage::Ending => {
                    ready!(Pin::new(&mut *to).poll_shutdown(cx))?;
                    self.stage = Stage::Ended;
                }
                Stage::Ended => return Poll::Ready(Ok(())),
            }
            if self.stage == Stage::Open {
                ready!(self.poll_fill(from, cx))?;
            }
        }
    }

    fn poll_fill(&mut self, from: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let readable = from.poll_readable(cx)?;
        if readable.is_pending() {
            self.release();
            return Poll::Pending;
        }
        if self.pending.capacity() == 0 {
            self.pending = buffer::take(BufferSize::Body);
        } else {
            self.pending.reserve(BufferSize::Body.bytes());
        }
        match from.poll_read_into(cx, &mut self.pending) {
            Poll::Ready(count) => {
                if count? == 0 {
                    self.stage = Stage::Ending;
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => {
                self.release();
                Poll::Pending
            }
        }
    }

    fn release(&mut self) {
        if self.pending.capacity() > 0 {
            buffer::give(std::mem::take(&mut self.pending), BufferSize::Body);
        }
    }
}

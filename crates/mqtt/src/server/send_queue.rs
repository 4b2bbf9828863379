//! Packets on their way to one client: small ones copied behind each other, large payloads
//! referred to, all leaving in as few system calls as the socket allows.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tidegate_runtime::buffer::{self, BufferSize};
use tidegate_runtime::io::Io;
use tokio::io::AsyncWrite;

/// Payloads up to here are copied: cheaper than one more piece of a vectored write.
const COPIED_BYTES_MAX: usize = 4 * 1024;

/// Pieces of one vectored write.
const PIECES_MAX: usize = 64;

/// Encoded packets that wait for the socket.
#[derive(Debug, Default)]
pub(super) struct SendQueue {
    /// Filled pieces, first to leave first.
    filled: VecDeque<Bytes>,
    /// What packets are appended to; lent by the worker while there is anything in it.
    open: Option<BytesMut>,
    bytes: usize,
    unflushed: bool,
}

impl SendQueue {
    /// Bytes that have not been written.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes == 0 && !self.unflushed
    }

    /// Appends what `encode` writes.
    pub(super) fn put<T>(&mut self, encode: impl FnOnce(&mut BytesMut) -> T) -> T {
        let open = self
            .open
            .get_or_insert_with(|| buffer::take(BufferSize::Body));
        let before = open.len();
        let result = encode(open);
        self.bytes += open.len() - before;
        result
    }

    /// Appends a payload.
    pub(super) fn put_payload(&mut self, payload: &Bytes) {
        if payload.len() <= COPIED_BYTES_MAX {
            self.put(|open| open.extend_from_slice(payload));
            return;
        }
        if let Some(open) = &mut self.open
            && !open.is_empty()
        {
            self.filled.push_back(open.split().freeze());
        }
        self.bytes += payload.len();
        self.filled.push_back(payload.clone());
    }

    /// Writes until nothing is left; pending when the socket takes no more.
    pub(super) fn poll_send(&mut self, io: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.bytes > 0 {
            let count = ready!(self.poll_write(io, cx))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unflushed = true;
            self.advance(count);
        }
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        if let Some(open) = self.open.take() {
            buffer::give(open, BufferSize::Body);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&self, io: &mut Io, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let io = Pin::new(io);
        let open = self.open.as_deref().unwrap_or_default();
        if self.filled.is_empty() {
            // A plain write costs the kernel less than a vector of one.
            return io.poll_write(cx, open);
        }
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let mut count = 0;
        let pieces = self.filled.iter().map(|piece| &piece[..]).chain([open]);
        for (slice, piece) in slices.iter_mut().zip(pieces) {
            *slice = IoSlice::new(piece);
            count += 1;
        }
        io.poll_write_vectored(cx, &slices[..count])
    }

    fn advance(&mut self, mut count: usize) {
        self.bytes -= count;
        while let Some(piece) = self.filled.front_mut() {
            if count < piece.len() {
                piece.advance(count);
                return;
            }
            count -= piece.len();
            self.filled.pop_front();
        }
        if let Some(open) = &mut self.open {
            open.advance(count);
        }
    }
}

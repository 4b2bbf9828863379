//! Bytes on their way out: what was encoded and what was only referred to,
//! leaving in one vectored write.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tidegate_runtime::io::Io;
use tokio::io::AsyncWrite;

/// At most three pieces: encoded bytes, body data by reference, encoded bytes.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// A head, a chunk's size line, or both.
    pub(crate) lead: BytesMut,
    /// Body data.
    pub(crate) data: Bytes,
    /// What ends a chunk, and maybe the body.
    pub(crate) tail: &'static [u8],
    unflushed: bool,
}

impl Outbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.lead.is_empty() && self.data.is_empty() && self.tail.is_empty() && !self.unflushed
    }

    /// Whether another frame may be put in.
    pub(crate) fn has_room(&self) -> bool {
        self.data.is_empty() && self.tail.is_empty()
    }

    /// Writes until nothing is left. Gives up its turn, having added what was
    /// accepted to `sent`, when the socket accepts no more.
    pub(crate) fn poll_send(
        &mut self,
        io: &mut Io,
        cx: &mut Context<'_>,
        sent: &mut u64,
    ) -> Poll<io::Result<()>> {
        loop {
            let slices = [
                IoSlice::new(&self.lead),
                IoSlice::new(&self.data),
                IoSlice::new(self.tail),
            ];
            let used = match (
                self.lead.is_empty(),
                self.data.is_empty(),
                self.tail.is_empty(),
            ) {
                (true, true, true) => break,
                (false, true, true) => &slices[..1],
                (true, false, true) => &slices[1..2],
                (true, _, _) => &slices[1..],
                _ => &slices[..],
            };
            let count = ready!(Pin::new(&mut *io).poll_write_vectored(cx, used))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *sent += count as u64;
            self.unflushed = true;
            self.advance(count);
        }
        if self.unflushed {
            ready!(Pin::new(io).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut count: usize) {
        let lead = count.min(self.lead.len());
        self.lead.advance(lead);
        count -= lead;
        let data = count.min(self.data.len());
        self.data.advance(data);
        count -= data;
        self.tail = &self.tail[count..];
    }
}

//! One end of a connection: the stream, what has been read from it and not yet used, what
//! is to be written to it, and its time limit.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use tidegate_runtime::buffer::{self, BufferSize};
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::io::Io;
use tokio::io::AsyncWrite;

use crate::codec::{DecodeError, Decoder, EncodeError, Limits, Message, encode_head};

/// How much more memory is set aside at a time for a message that is larger than what has
/// arrived of it.
const GROWTH_BYTES_MAX: usize = 256 * 1024;

/// How much that is as long as little has arrived: a length alone costs a peer nothing.
const GROWTH_BYTES_FIRST: usize = 64 * 1024;

/// Bodies of fewer bytes are copied behind their heads: cheaper than a second slice.
const COPIED_BYTES_MAX: usize = 512;

pub(crate) struct Wire {
    pub(crate) io: Io,
    pub(crate) deadline: Deadline,
    pub(crate) decoder: Decoder,
    pub(crate) input: BytesMut,
    lead: BytesMut,
    body: Bytes,
    unflushed: bool,
}

impl Wire {
    pub(crate) fn new(io: Io, limits: Limits) -> Self {
        Self {
            io,
            deadline: Deadline::new(),
            decoder: Decoder::new(limits),
            input: BytesMut::new(),
            lead: BytesMut::new(),
            body: Bytes::new(),
            unflushed: false,
        }
    }

    /// The next message, from what was read already if it is there; `None` if the peer has
    /// finished, be it in the middle of one.
    pub(crate) fn poll_message(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, ReceiveError>> {
        loop {
            if !self.input.is_empty()
                && let Some(message) = self.decoder.decode(&mut self.input)?
            {
                return Poll::Ready(Ok(Some(message)));
            }
            if ready!(self.poll_fill(cx))? == 0 {
                return Poll::Ready(Ok(None));
            }
        }
    }

    /// Reads once. Pending without a buffer held if there was nothing.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, ReceiveError>> {
        if self.input.is_empty() {
            ready!(self.io.poll_readable(cx))?;
            if self.input.capacity() < BufferSize::Head.bytes() / 2 {
                self.input = buffer::take(BufferSize::Head);
            }
        }
        let whole = self.decoder.message_bytes(&self.input)?;
        let wanted = match whole {
            Some(whole) => whole.saturating_sub(self.input.len()),
            // Without a length: as much again as there is.
            None => self.input.len(),
        };
        let spare = self.input.capacity() - self.input.len();
        let growth = growth(self.input.len(), wanted);
        if spare < wanted.clamp(1, growth) {
            self.input.reserve(growth);
        }
        let read = ready!(self.io.poll_read_into(cx, &mut self.input))?;
        Poll::Ready(Ok(read))
    }

    /// Reads what there is, to no end.
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(BufferSize::Head.bytes());
        self.io.poll_read_into(cx, &mut self.input)
    }

    /// Gives the read buffer back: nothing is to be read for a while.
    pub(crate) fn release_input(&mut self) {
        if self.input.is_empty() && self.input.capacity() > 0 {
            buffer::give(std::mem::take(&mut self.input), BufferSize::Head);
        }
    }

    /// Puts a message up to be sent. The one before it has been.
    pub(crate) fn put(&mut self, message: &Message) -> Result<(), EncodeError> {
        if self.lead.capacity() == 0 {
            self.lead = buffer::take(BufferSize::Head);
        }
        encode_head(
            message.wire,
            &message.envelope,
            message.headers.as_ref(),
            message.body.len(),
            &mut self.lead,
        )?;
        if message.body.len() <= COPIED_BYTES_MAX {
            self.lead.extend_from_slice(&message.body);
        } else {
            self.body = message.body.clone();
        }
        Ok(())
    }

    /// Writes what was put up, and notes in `progress` that some of it was accepted.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut bool,
    ) -> Poll<io::Result<()>> {
        loop {
            let io = Pin::new(&mut self.io);
            let written = match (self.lead.is_empty(), self.body.is_empty()) {
                (true, true) => break,
                // A plain write costs the kernel less than a vector of one.
                (false, true) => io.poll_write(cx, &self.lead),
                (true, false) => io.poll_write(cx, &self.body),
                (false, false) => {
                    let slices = [IoSlice::new(&self.lead), IoSlice::new(&self.body)];
                    io.poll_write_vectored(cx, &slices)
                }
            };
            let count = ready!(written)?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *progress = true;
            self.unflushed = true;
            let lead = count.min(self.lead.len());
            self.lead.advance(lead);
            self.body.advance(count - lead);
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.unflushed = false;
        }
        self.body = Bytes::new();
        buffer::give(std::mem::take(&mut self.lead), BufferSize::Head);
        Poll::Ready(Ok(()))
    }

    /// Says that nothing more comes. Failing to say goodbye to somebody who left is no failure.
    pub(crate) fn poll_finish(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.io).poll_shutdown(cx).map(|_| ())
    }
}

/// How much room is made for `wanted` more bytes of a message of which some have `arrived`.
fn growth(arrived: usize, wanted: usize) -> usize {
    let most = (4 * arrived).clamp(GROWTH_BYTES_FIRST, GROWTH_BYTES_MAX);
    wanted.clamp(BufferSize::Head.bytes(), most)
}

/// Why no message was received.
#[derive(Debug)]
pub(crate) enum ReceiveError {
    Bad(DecodeError),
    Io(io::Error),
}

impl From<DecodeError> for ReceiveError {
    fn from(error: DecodeError) -> Self {
        Self::Bad(error)
    }
}

impl From<io::Error> for ReceiveError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_made_in_proportion_to_what_has_arrived() {
        let message = 16 << 20;
        assert_eq!(growth(4, message), GROWTH_BYTES_FIRST);
        assert_eq!(growth(40_000, message), 160_000);
        assert_eq!(growth(1 << 20, message), GROWTH_BYTES_MAX);
        // What is known to be small gets what it needs.
        assert_eq!(growth(4096, 50_000), 50_000);
        assert_eq!(growth(4096, 10), BufferSize::Head.bytes());
    }
}

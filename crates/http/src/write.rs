//! Bytes on their way out: what was encoded and what was only referred to,
//! leaving in one vectored write.
//!
//! Copying a small body behind its head to spare the vector was measured and
//! gained nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::{Body as _, Frame};
use tidegate_runtime::io::Io;
use tokio::io::AsyncWrite;

use crate::body::Body;
use crate::fault::{Fault, FaultKind};
use crate::h1::codec::BodyEncoder;

/// Whether a body has more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// It has.
    ToCome,
    /// What was put in is the last of it.
    None,
}

/// What follows once the outbox is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Follow {
    /// More, or nothing for now.
    #[default]
    Unknown,
    /// The end of the stream, at once: what is in the outbox may leave with it.
    End,
}

/// At most three pieces: encoded bytes, body data by reference, encoded bytes.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// A head, a chunk's size line, or both.
    pub(crate) lead: BytesMut,
    /// Body data.
    pub(crate) data: Bytes,
    /// What ends a chunk, and maybe the body.
    pub(crate) tail: &'static [u8],
    pub(crate) follow: Follow,
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

    /// Puts a frame of `body`, or its end, in; whether more of the body is to come.
    ///
    /// # Errors
    ///
    /// The body does not keep to what its head announced: a defect of its source.
    pub(crate) fn put(
        &mut self,
        frame: Option<Frame<Bytes>>,
        body: &Body,
        encoder: &mut BodyEncoder,
    ) -> Result<Rest, Fault> {
        let encoded = match frame.map(Frame::into_data) {
            None => encoder.finish(&mut self.lead, None).map(|()| Rest::None),
            Some(Ok(data)) if body.is_end_stream() => {
                // The end leaves in the same write.
                let tail = encoder.last_data(&mut self.lead, data.len());
                self.data = data;
                tail.map(|tail| self.tail = tail).map(|()| Rest::None)
            }
            Some(Ok(data)) => {
                let tail = encoder.data(&mut self.lead, data.len());
                self.data = data;
                tail.map(|tail| self.tail = tail).map(|()| Rest::ToCome)
            }
            Some(Err(frame)) => {
                let trailers = frame.into_trailers().ok();
                let ended = encoder.finish(&mut self.lead, trailers.as_ref());
                ended.map(|()| Rest::None)
            }
        };
        encoded.map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))
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
            let stream = Pin::new(&mut *io);
            let written = match (
                self.lead.is_empty(),
                self.data.is_empty(),
                self.tail.is_empty(),
            ) {
                (true, true, true) => break,
                // A plain write costs the kernel less than a vector of one.
                _ if self.follow == Follow::End => io.poll_write_last(cx, &slices),
                (false, true, true) => stream.poll_write(cx, &self.lead),
                (true, false, true) => stream.poll_write(cx, &self.data),
                _ => stream.poll_write_vectored(cx, &slices),
            };
            let count = ready!(written)?;
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
        if self.data.is_empty() {
            // Lets go of the read buffer it is a slice of, which is wanted next.
            self.data = Bytes::new();
        }
        count -= data;
        self.tail = &self.tail[count..];
    }
}

//! A connection whose bytes come and go in WebSocket frames.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tungstenite::protocol::frame::coding::CloseCode;

use super::Io;
use crate::websocket::{Incoming, Outgoing, Violation, WebSocketOptions};

/// Pieces of one vectored write, with the head of the frame.
const PIECES_MAX: usize = 65;

/// The frames around a connection's bytes. As all of [`Io`], it holds no read buffer.
#[derive(Debug)]
pub(super) struct WebSocket {
    carrier: Io,
    incoming: Incoming,
    outgoing: Outgoing,
}

impl WebSocket {
    pub(super) fn new(carrier: Io, options: WebSocketOptions) -> Self {
        Self {
            carrier,
            incoming: Incoming::new(options),
            outgoing: Outgoing::default(),
        }
    }

    pub(super) fn carrier(&self) -> &Io {
        &self.carrier
    }

    pub(super) fn carrier_mut(&mut self) -> &mut Io {
        &mut self.carrier
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.outgoing.has_unsent()
    }

    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.incoming.is_closed() {
            return Poll::Ready(Ok(()));
        }
        self.carrier.poll_readable(cx)
    }

    /// Sends what goes ahead of payload, as far as the socket takes it.
    fn poll_lead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.lead().is_empty() {
            let carrier = Pin::new(&mut self.carrier);
            let count = ready!(carrier.poll_write(cx, self.outgoing.lead()))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.sent(count);
        }
        Poll::Ready(Ok(()))
    }

    /// Answers the peer's control frames. What the socket has no room for now goes with
    /// the next flush.
    fn answer(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(owed) = self.incoming.take_owed() else {
            return Ok(());
        };
        self.outgoing.owe(owed);
        match Pin::new(self).poll_flush(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    #[cold]
    fn refuse(&mut self, cx: &mut Context<'_>, violation: Violation) -> io::Error {
        self.outgoing.close(violation.close_code());
        // The error that is reported is the peer's, not that it does not hear of it.
        let _ = Pin::new(self).poll_flush(cx);
        io::Error::new(io::ErrorKind::InvalidData, violation)
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        while !this.incoming.is_closed() {
            ready!(Pin::new(&mut this.carrier).poll_read(cx, buffer))?;
            let came = &mut buffer.filled_mut()[before..];
            if came.is_empty() {
                // The peer, or the network, did without a close frame.
                return Poll::Ready(Ok(()));
            }
            let taken = this.incoming.take_apart(came);
            let kept = taken.map_err(|violation| this.refuse(cx, violation))?;
            buffer.set_filled(before + kept);
            this.answer(cx)?;
            if kept > 0 {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for WebSocket {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = &mut *self;
        let slices = &slices[..slices.len().min(PIECES_MAX - 1)];
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        if total == 0 {
            return Poll::Ready(Ok(0));
        }
        loop {
            let allowed = this.outgoing.begin(total as u64);
            if allowed == 0 {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let mut pieces = [IoSlice::new(&[]); PIECES_MAX];
            let count = lay_out(&mut pieces, this.outgoing.lead(), slices, allowed);
            let carrier = Pin::new(&mut this.carrier);
            let sent = ready!(carrier.poll_write_vectored(cx, &pieces[..count]))?;
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            let payload = this.outgoing.sent(sent);
            if payload > 0 {
                return Poll::Ready(Ok(payload));
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_lead(cx))?;
        Pin::new(&mut self.carrier).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outgoing.close(CloseCode::Normal);
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.carrier).poll_shutdown(cx)
    }
}

/// Puts the lead and `allowed` bytes of payload into `pieces`; how many of them it took.
fn lay_out<'a>(
    pieces: &mut [IoSlice<'a>; PIECES_MAX],
    lead: &'a [u8],
    slices: &'a [IoSlice<'_>],
    allowed: u64,
) -> usize {
    pieces[0] = IoSlice::new(lead);
    let mut count = usize::from(!lead.is_empty());
    let mut left = usize::try_from(allowed).unwrap_or(usize::MAX);
    for slice in slices {
        let slice = &slice[..slice.len().min(left)];
        if !slice.is_empty() {
            pieces[count] = IoSlice::new(slice);
            count += 1;
            left -= slice.len();
        }
    }
    count
}

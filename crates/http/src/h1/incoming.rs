//! The body of a request, pulled from the connection by whoever handles it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tidegate_runtime::buffer::BufferSize;
use tidegate_runtime::limit::Limit;

use super::codec::{BodyEvent, BodyLength};
use super::wire::{Continue, SharedWire};
use crate::fault::{Fault, FaultKind};

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A request body still on its way in.
pub(crate) struct Incoming {
    wire: SharedWire,
    length: BodyLength,
    timeout: Duration,
    delivered: u64,
    ended: bool,
}

impl Incoming {
    pub(crate) const fn new(wire: SharedWire, length: BodyLength, timeout: Duration) -> Self {
        Self {
            wire,
            length,
            timeout,
            delivered: 0,
            ended: false,
        }
    }

    fn poll_event(&self, cx: &mut Context<'_>) -> Poll<Result<BodyEvent, Fault>> {
        let mut wire = self.wire.borrow_mut();
        let wire = &mut *wire;
        if wire.awaits_continue == Continue::Awaited {
            wire.outbox.lead.extend_from_slice(CONTINUE);
            wire.awaits_continue = Continue::Settled;
        }
        if !wire.outbox.is_empty() {
            ready!(wire.poll_send(cx, self.timeout)).map_err(client_gone)?;
        }
        loop {
            match wire.decoder.decode(&mut wire.input)? {
                BodyEvent::NeedInput => {}
                BodyEvent::End => {
                    wire.settle();
                    return Poll::Ready(Ok(BodyEvent::End));
                }
                event => return Poll::Ready(Ok(event)),
            }
            let count = match wire.poll_fill(cx, BufferSize::Body) {
                Poll::Ready(count) => count.map_err(client_gone)?,
                Poll::Pending => {
                    return wire.poll_stalled(cx, self.timeout, 0).map(|_| {
                        Err(Fault::late(
                            FaultKind::RequestTimeout,
                            Limit::BodyTimeout,
                            "the request body stalled",
                        ))
                    });
                }
            };
            if count == 0 {
                return Poll::Ready(wire.decoder.finish().map_err(Fault::from));
            }
            wire.moved(count as u64);
        }
    }
}

fn client_gone(error: std::io::Error) -> Fault {
    Fault::new(FaultKind::ClientGone, error.to_string())
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let event = ready!(self.poll_event(cx));
        Poll::Ready(match event {
            Ok(BodyEvent::Data(data)) => {
                self.delivered += data.len() as u64;
                Some(Ok(Frame::data(data)))
            }
            Ok(BodyEvent::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Ok(BodyEvent::End | BodyEvent::NeedInput) => {
                self.ended = true;
                None
            }
            Err(fault) => {
                self.ended = true;
                Some(Err(fault))
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.ended || self.length == BodyLength::Fixed(self.delivered)
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            BodyLength::Fixed(length) => SizeHint::with_exact(length - self.delivered),
            _ => SizeHint::default(),
        }
    }
}

//! The body of a server's response, pulled by whoever passes it on.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tidegate_runtime::clock;
use tidegate_runtime::limit::Limit;

use super::super::codec::{BodyDecoder, BodyEvent, ConnectionIntent};
use super::flow::{Flow, protocol_fault};
use crate::client::{ConnectionHome, RESIDUE_BYTES_MAX, RESIDUE_TIMEOUT, Residue};
use crate::fault::{Fault, FaultKind};

pub(super) struct ResponseBody {
    /// Gone once the body has been read, or has failed.
    flow: Option<Box<Flow>>,
    decoder: BodyDecoder,
    home: Rc<dyn ConnectionHome>,
    waiting: bool,
}

impl ResponseBody {
    pub(super) const fn new(
        flow: Box<Flow>,
        decoder: BodyDecoder,
        home: Rc<dyn ConnectionHome>,
    ) -> Self {
        Self {
            flow: Some(flow),
            decoder,
            home,
            waiting: false,
        }
    }

    fn poll_event(
        &mut self,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, Fault>> {
        let Some(flow) = &mut self.flow else {
            return Poll::Ready(Ok(None));
        };
        if !flow.is_uploaded()
            // The server must not take a request for whole whose source broke off,
            // though it has begun to answer it.
            && let Poll::Ready(Err(fault)) = flow.poll_upload(cx)
        {
            return Poll::Ready(Err(fault));
        }
        loop {
            let event = self
                .decoder
                .decode(&mut flow.input)
                .map_err(protocol_fault)?;
            let frame = match event {
                BodyEvent::NeedInput => None,
                BodyEvent::Data(data) => Some(Frame::data(data)),
                BodyEvent::Trailers(trailers) => Some(Frame::trailers(trailers)),
                BodyEvent::End => return Poll::Ready(Ok(None)),
            };
            if let Some(frame) = frame {
                if self.waiting {
                    self.waiting = false;
                    flow.connection.deadline.disarm();
                }
                return Poll::Ready(Ok(Some(frame)));
            }
            match flow.poll_fill(cx) {
                Poll::Ready(Ok(1..)) => {}
                Poll::Ready(Ok(0)) => {
                    flow.intent = ConnectionIntent::Close;
                    let end = self.decoder.finish().map(|_| None);
                    return Poll::Ready(end.map_err(|_| {
                        Fault::new(FaultKind::UpstreamReset, "the response was cut short")
                    }));
                }
                Poll::Ready(Err(error)) => {
                    return Poll::Ready(Err(Fault::new(
                        FaultKind::UpstreamReset,
                        error.to_string(),
                    )));
                }
                Poll::Pending => {
                    if !self.waiting {
                        self.waiting = true;
                        flow.connection.deadline.arm(flow.settings.idle_timeout);
                    }
                    ready!(flow.connection.deadline.poll_elapsed(cx));
                    return Poll::Ready(Err(Fault::late(
                        FaultKind::UpstreamTimeout,
                        Limit::UpstreamIdleTimeout,
                        "the response body stalled",
                    )));
                }
            }
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        let outcome = ready!(this.poll_event(cx));
        match &outcome {
            Err(_) => this.flow = None,
            Ok(_) if this.decoder.is_complete() => {
                // The connection need not wait until this piece has been passed on.
                if let Some(flow) = this.flow.take() {
                    flow.finish(&this.home);
                }
            }
            Ok(_) => {}
        }
        Poll::Ready(outcome.transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.flow.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder
            .remaining()
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Drop for ResponseBody {
    /// A reader that leaves early costs the connection only if much is left.
    fn drop(&mut self) {
        let Some(mut flow) = self.flow.take() else {
            return;
        };
        while let Ok(BodyEvent::Data(_)) = self.decoder.decode(&mut flow.input) {}
        let small = self
            .decoder
            .remaining()
            .is_some_and(|left| left <= RESIDUE_BYTES_MAX);
        if !small || !flow.input.is_empty() {
            return;
        }
        if !self.decoder.is_complete() {
            let none = BodyDecoder::new(super::BodyLength::None, &flow.settings.limits);
            flow.connection.residue = Some(Box::new(Residue {
                decoder: std::mem::replace(&mut self.decoder, none),
                expires: clock::now() + RESIDUE_TIMEOUT,
            }));
        }
        flow.finish(&self.home);
    }
}

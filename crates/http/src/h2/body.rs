//! The body of an HTTP/2 request.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::RecvStream;
use http_body::{Body, Frame, SizeHint};
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::limit::Limit;

use crate::context::Context as RequestContext;
use crate::fault::{Fault, FaultKind};
use crate::h1::codec::ParseError;

/// A request body on its way in. Its window reopens as it is read.
pub(super) struct StreamBody {
    stream: RecvStream,
    deadline: Deadline,
    timeout: Duration,
    waiting: bool,
    /// How many more bytes are allowed.
    budget: u64,
    length: Option<u64>,
    /// Where a client that waits to be told to send it is told so.
    leave: Option<RequestContext>,
}

impl StreamBody {
    pub(super) fn new(
        stream: RecvStream,
        length: Option<u64>,
        budget: u64,
        timeout: Duration,
    ) -> Self {
        Self {
            stream,
            deadline: Deadline::new(),
            timeout,
            waiting: false,
            budget,
            length,
            leave: None,
        }
    }

    /// The client waits for `100 Continue` (RFC 9110 section 10.1.1), which goes by
    /// `context` when the body is first asked for.
    pub(super) fn give_leave_by(&mut self, context: RequestContext) {
        self.leave = Some(context);
    }

    fn poll_received(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        match ready!(self.stream.poll_data(cx)) {
            Some(data) => Poll::Ready(Some(data.map(Frame::data))),
            None => self
                .stream
                .poll_trailers(cx)
                .map(|trailers| trailers.map(|it| it.map(Frame::trailers)).transpose()),
        }
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = &mut *self;
        if let Some(context) = this.leave.take() {
            context.give_leave();
        }
        let Poll::Ready(received) = this.poll_received(cx) else {
            if !this.waiting {
                this.waiting = true;
                this.deadline.arm(this.timeout);
            }
            ready!(this.deadline.poll_elapsed(cx));
            let fault = Fault::late(
                FaultKind::RequestTimeout,
                Limit::BodyTimeout,
                "the request body stalled",
            );
            return Poll::Ready(Some(Err(fault)));
        };
        this.waiting = false;
        this.deadline.disarm();
        Poll::Ready(received.map(|frame| {
            let frame =
                frame.map_err(|error| Fault::new(FaultKind::ClientGone, error.to_string()))?;
            if let Some(data) = frame.data_ref() {
                let count = data.len();
                this.budget = this
                    .budget
                    .checked_sub(count as u64)
                    .ok_or(ParseError::BodyTooLarge)?;
                // Fails only on a stream that is gone, as the next read will tell.
                let _ = this.stream.flow_control().release_capacity(count);
                this.length = this
                    .length
                    .map(|length| length.saturating_sub(count as u64));
            }
            Ok(frame)
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

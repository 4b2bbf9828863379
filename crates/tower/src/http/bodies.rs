//! Bodies of others as the one body of a chain.

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use pin_project_lite::pin_project;
use tidegate_http::{Body, Fault};

use super::fault;
use super::request_body::Pump;
use crate::BoxError;

/// `body` as a body of Tidegate's, moved by `pump` for as long as it lasts.
///
/// One that is Tidegate's already, and at hand or a switch of protocols, stays what it is.
pub(super) fn into_body<B>(body: B, pump: Option<Pump>) -> Body
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + 'static,
{
    let body = match downcast::<B, Body>(body) {
        Ok(ours) if pump.is_none() || ours.is_at_hand() || ours.is_upgrade() => return ours,
        Ok(ours) => return Body::stream(Foreign { body: ours, pump }),
        Err(body) => body,
    };
    if body.is_end_stream() && body.size_hint().exact() == Some(0) {
        return Body::empty();
    }
    Body::stream(Foreign { body, pump })
}

/// `value` as what it is, if it is a `T`.
fn downcast<V: 'static, T: 'static>(value: V) -> Result<T, V> {
    let mut value = Some(value);
    let any: &mut dyn Any = &mut value;
    match any.downcast_mut::<Option<T>>().and_then(Option::take) {
        Some(found) => Ok(found),
        None => Err(value.expect("only what was found was taken")),
    }
}

pin_project! {
    struct Foreign<B> {
        #[pin]
        body: B,
        // What the body is made of may still be on its way in.
        pump: Option<Pump>,
    }
}

impl<B> http_body::Body for Foreign<B>
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>>,
{
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let this = self.project();
        let frame = this.body.poll_frame(cx);
        if frame.is_pending() {
            move_on(this.pump, cx);
        }
        Poll::Ready(match ready!(frame) {
            Some(frame) => Some(frame.map_err(|error| fault(error.into()))),
            None => {
                *this.pump = None;
                None
            }
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Polls a pump that there may be, until it has done its work.
pub(super) fn move_on(pump: &mut Option<Pump>, cx: &mut Context<'_>) {
    let done = |pump: &mut Pump| Pin::new(pump).poll(cx).is_ready();
    if pump.as_mut().is_some_and(done) {
        *pump = None;
    }
}

//! A request body that may change threads, as handlers of others demand of it.
//!
//! The body of a chain stays on its worker. Its reader gets the other end of a pipe of one
//! frame. Invariant: a frame is pulled only when the reader waits for one, so that reading
//! slowly holds the client back, and a client that waits for `100 Continue` gets it when it
//! should.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tidegate_http::{Body, Fault, FaultKind};

/// The body of a request on its way to a handler of tower's. It is `Send`.
///
/// It can be read for as long as the request is under way: until its response has been sent,
/// or was given up. A task that goes on reading after that gets an error.
#[derive(Debug)]
pub struct RequestBody(Source);

#[derive(Debug)]
enum Source {
    AtHand(Bytes),
    Piped { pipe: Arc<Pipe>, hint: SizeHint },
}

#[derive(Debug, Default)]
struct Pipe(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    /// The request is over: what is wanted now will not come.
    over: bool,
    reader: Option<Waker>,
    pump: Option<Waker>,
}

#[derive(Debug, Default)]
enum Stage {
    /// Nobody waits for a frame.
    #[default]
    Idle,
    /// The reader does.
    Wanted,
    /// Here it is.
    Filled(Result<Frame<Bytes>, Fault>),
    /// There was an end, or an error.
    Ended,
    /// The reader will not come back.
    Unread,
}

impl Pipe {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change is a single assignment, so a poisoned state is still a whole one.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestBody {
    /// The reader's end of `body`, and what moves it, if it has to be moved.
    pub(super) fn new(body: Body) -> (Self, Option<Pump>) {
        if let Some(bytes) = body.as_full() {
            return (Self(Source::AtHand(bytes)), None);
        }
        let pipe = Arc::<Pipe>::default();
        let hint = body.size_hint();
        let pump = Pump {
            pipe: Arc::clone(&pipe),
            body,
        };
        (Self(Source::Piped { pipe, hint }), Some(pump))
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let (pipe, hint) = match &mut self.0 {
            Source::AtHand(bytes) if bytes.is_empty() => return Poll::Ready(None),
            Source::AtHand(bytes) => {
                let frame = Frame::data(std::mem::take(bytes));
                return Poll::Ready(Some(Ok(frame)));
            }
            Source::Piped { pipe, hint } => (pipe, hint),
        };
        let frame = pipe.poll_take(cx);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let (Some(data), Some(length)) = (frame.data_ref(), hint.exact())
        {
            *hint = SizeHint::with_exact(length.saturating_sub(data.len() as u64));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Source::AtHand(bytes) => bytes.is_empty(),
            Source::Piped { pipe, hint } => {
                hint.exact() == Some(0) || matches!(pipe.state().stage, Stage::Ended)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Source::AtHand(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Piped { hint, .. } => *hint,
        }
    }
}

impl Pipe {
    fn poll_take(&self, cx: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        let mut state = self.state();
        let frame = match std::mem::replace(&mut state.stage, Stage::Idle) {
            Stage::Filled(Ok(frame)) => Some(Ok(frame)),
            Stage::Filled(Err(fault)) => {
                state.stage = Stage::Ended;
                Some(Err(fault))
            }
            Stage::Ended | Stage::Unread => {
                state.stage = Stage::Ended;
                None
            }
            Stage::Idle | Stage::Wanted if state.over => {
                state.stage = Stage::Ended;
                let fault = Fault::new(FaultKind::ClientGone, "the request is over");
                Some(Err(fault))
            }
            Stage::Idle | Stage::Wanted => {
                state.stage = Stage::Wanted;
                state.reader = Some(cx.waker().clone());
                let pump = state.pump.take();
                drop(state);
                // Woken outside the lock: a waker is foreign code.
                pump.into_iter().for_each(Waker::wake);
                return Poll::Pending;
            }
        };
        Poll::Ready(frame)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Source::Piped { pipe, .. } = &self.0 {
            let mut state = pipe.state();
            state.stage = Stage::Unread;
            let pump = state.pump.take();
            drop(state);
            pump.into_iter().for_each(Waker::wake);
        }
    }
}

/// The worker's end: pulls frames from the body as they are wanted. Ready once there is
/// nothing left to do; to be polled by whatever waits for the handler.
pub(super) struct Pump {
    pipe: Arc<Pipe>,
    body: Body,
}

impl Future for Pump {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let pipe = &this.pipe;
        if !matches!(pipe.state().stage, Stage::Wanted) {
            return pipe.poll_wanted(cx);
        }
        // Pulled outside the lock: it is foreign code, and may take a while.
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(cx) else {
            // The reader may leave before the next frame comes.
            return pipe.poll_wanted(cx);
        };
        let mut state = pipe.state();
        if matches!(state.stage, Stage::Wanted) {
            state.stage = frame.map_or(Stage::Ended, Stage::Filled);
        }
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        pipe.poll_wanted(cx)
    }
}

impl Pipe {
    /// Ready when no frame will be wanted; registers the pump's task otherwise.
    fn poll_wanted(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state();
        match state.stage {
            Stage::Idle | Stage::Wanted | Stage::Filled(Ok(_)) => {
                state.pump = Some(cx.waker().clone());
                Poll::Pending
            }
            Stage::Filled(Err(_)) | Stage::Ended | Stage::Unread => Poll::Ready(()),
        }
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        let mut state = self.pipe.state();
        state.over = true;
        let reader = state.reader.take();
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }
}

const _: () = {
    const fn is_send<T: Send>() {}
    is_send::<RequestBody>();
};

#[cfg(test)]
mod tests;

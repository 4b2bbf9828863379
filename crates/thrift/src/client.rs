//! Asking a Thrift server, one call at a time on a connection. A pool of connections is its
//! user's affair: a connection that can carry another call comes back with the answer.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use tidegate_runtime::buffer::{self, BufferSize};
use tidegate_runtime::clock::{self, Tick};
use tidegate_runtime::io::Io;
use tidegate_runtime::limit::Limit;

use crate::codec::{DecodeError, Decoder, Limits, Message, MessageKind, Transport};
use crate::fault::{Fault, FaultKind};
use crate::server::CLOSING;
use crate::wire::{ReceiveError, Wire};

/// What a client grants a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// From the first byte of the call to the last of its answer.
    pub response_timeout: Duration,
    /// Size limits of answers.
    pub limits: Limits,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            response_timeout: Duration::from_secs(60),
            limits: Limits::default(),
        }
    }
}

/// What came of a call.
#[derive(Debug)]
pub struct Answered {
    /// The reply or exception; nothing came of a one-way call.
    pub message: Option<Message>,
    /// The connection, if it can carry another call.
    pub connection: Option<ClientConnection>,
}

/// A call that was not answered.
#[derive(Debug)]
pub struct CallFailure {
    /// Why.
    pub fault: Fault,
    /// Whether another attempt, on another connection, can be right.
    pub progress: Progress,
}

/// How far a failed call had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Not a byte of it was accepted by the system.
    Unsent,
    /// The connection broke before a byte of an answer arrived. The server may have done
    /// what it was asked all the same.
    NoAnswer,
    /// Something else: the server took its time, or began to answer.
    Begun,
}

/// Whether a connection that waits in a pool can carry a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It was closed, or has bytes nobody asked for.
    Dead,
}

/// One connection to a server, between two calls.
pub struct ClientConnection {
    wire: Wire,
    calls: u64,
    idle_since: Tick,
}

impl ClientConnection {
    /// A connection over `io` that has carried nothing yet.
    #[must_use]
    pub fn new(io: Io) -> Self {
        Self {
            wire: Wire::new(io, Limits::default()),
            calls: 0,
            idle_since: clock::now(),
        }
    }

    /// How many calls it has carried.
    #[must_use]
    pub const fn calls(&self) -> u64 {
        self.calls
    }

    /// Since when it has been idle.
    #[must_use]
    pub const fn idle_since(&self) -> Tick {
        self.idle_since
    }

    /// Whether it can carry a call now. Usually costs no system call.
    pub fn readiness(&mut self) -> Readiness {
        let mut cx = Context::from_waker(Waker::noop());
        if self.wire.io.poll_readable(&mut cx).is_pending() {
            return Readiness::Ready;
        }
        let mut input: BytesMut = buffer::take(BufferSize::Head);
        // Readable without cause, or the end, or an answer to nothing.
        let readiness = match self.wire.io.poll_read_into(&mut cx, &mut input) {
            Poll::Pending => Readiness::Ready,
            Poll::Ready(_) => Readiness::Dead,
        };
        buffer::give(input, BufferSize::Head);
        readiness
    }

    /// Sends a call and waits for its answer, which a one-way call does not have.
    ///
    /// The answer comes in the transport of the call and has its sequence id; its protocol
    /// is what the server makes of it. Dropping the returned future closes the connection.
    ///
    /// # Errors
    ///
    /// [`CallFailure`], which says whether the call may be tried elsewhere.
    pub async fn call(
        mut self,
        call: &Message,
        settings: &ClientSettings,
    ) -> Result<Answered, CallFailure> {
        self.calls += 1;
        let transport = match call.wire.transport {
            // The answer says itself whether its payload has a frame of its own.
            Transport::TtHeaderFramed => Transport::TtHeader,
            transport => transport,
        };
        self.wire.decoder = Decoder::with_transport(settings.limits, transport);
        self.wire.deadline.arm(settings.response_timeout);
        self.send(call).await?;
        let message = match call.envelope.kind {
            MessageKind::OneWay => None,
            _ => Some(self.receive(call).await?),
        };
        self.wire.deadline.disarm();
        self.wire.release_input();
        self.idle_since = clock::now();
        let headers = message
            .as_ref()
            .and_then(|message| message.headers.as_ref());
        let is_closing = headers.is_some_and(|headers| headers.get(CLOSING) == Some(b"1"));
        // What came behind the answer, nobody asked for.
        let keep = self.wire.input.is_empty() && !is_closing;
        Ok(Answered {
            message,
            connection: keep.then_some(self),
        })
    }

    async fn send(&mut self, call: &Message) -> Result<(), CallFailure> {
        let wire = &mut self.wire;
        wire.put(call).map_err(|error| CallFailure {
            fault: Fault::new(FaultKind::Internal, error.to_string()),
            progress: Progress::Begun,
        })?;
        let mut is_begun = false;
        let sent = poll_fn(|cx| {
            let sending = wire.poll_send(cx, &mut is_begun);
            match sending {
                Poll::Ready(Ok(())) => Poll::Ready(Ok(())),
                Poll::Ready(Err(error)) => {
                    let fault = Fault::new(FaultKind::UpstreamReset, error.to_string());
                    Poll::Ready(Err(fault))
                }
                Poll::Pending => wire
                    .deadline
                    .poll_elapsed(cx)
                    .map(|()| Err(late("the server does not read the call"))),
            }
        })
        .await;
        sent.map_err(|fault| {
            let progress = match (fault.kind(), is_begun) {
                (FaultKind::UpstreamReset, false) => Progress::Unsent,
                (FaultKind::UpstreamReset, true) => Progress::NoAnswer,
                _ => Progress::Begun,
            };
            CallFailure { fault, progress }
        })
    }

    async fn receive(&mut self, call: &Message) -> Result<Message, CallFailure> {
        let wire = &mut self.wire;
        let received = poll_fn(|cx| match wire.poll_message(cx) {
            Poll::Ready(Ok(Some(message))) => Poll::Ready(Ok(message)),
            Poll::Ready(Ok(None)) => {
                let detail = "closed without an answer";
                Poll::Ready(Err(Fault::new(FaultKind::UpstreamReset, detail)))
            }
            Poll::Ready(Err(ReceiveError::Io(error))) => {
                let fault = Fault::new(FaultKind::UpstreamReset, error.to_string());
                Poll::Ready(Err(fault))
            }
            Poll::Ready(Err(ReceiveError::Bad(error))) => Poll::Ready(Err(bad(error))),
            Poll::Pending => wire
                .deadline
                .poll_elapsed(cx)
                .map(|()| Err(late("no answer in time"))),
        })
        .await;
        let is_unanswered = wire.input.is_empty();
        received
            .and_then(|message| answers(message, call))
            .map_err(|fault| CallFailure {
                progress: match fault.kind() {
                    FaultKind::UpstreamReset if is_unanswered => Progress::NoAnswer,
                    _ => Progress::Begun,
                },
                fault,
            })
    }
}

/// The message, if it is the answer to the call.
fn answers(message: Message, call: &Message) -> Result<Message, Fault> {
    let envelope = &message.envelope;
    if !matches!(envelope.kind, MessageKind::Reply | MessageKind::Exception) {
        return Err(Fault::new(
            FaultKind::UpstreamSequence,
            "not an answer but another call",
        ));
    }
    if envelope.sequence_id != call.envelope.sequence_id {
        let detail = format!(
            "answer {} to call {}",
            envelope.sequence_id, call.envelope.sequence_id
        );
        return Err(Fault::new(FaultKind::UpstreamSequence, detail));
    }
    Ok(message)
}

fn bad(error: DecodeError) -> Fault {
    Fault::new(FaultKind::UpstreamProtocol(error), "")
}

fn late(detail: &'static str) -> Fault {
    Fault::late(
        FaultKind::UpstreamTimeout,
        Limit::UpstreamResponseTimeout,
        detail,
    )
}

impl fmt::Debug for ClientConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientConnection")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

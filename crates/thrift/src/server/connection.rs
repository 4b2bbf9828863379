//! One client's connection.
//!
//! While it waits for a call it is a small future without buffers. A call that arrives
//! gets a future of its own, in memory that is given back when the connection idles again.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tidegate_runtime::connections::{Accepted, ConnectionHandle, NEWCOMER_GRACE};
use tidegate_runtime::in_place;
use tidegate_runtime::limit::{self, Limit};

use super::lineage::{Generation, Lineage};
use crate::call::{Answer, Call, ThriftHandler};
use crate::codec::{
    ApplicationException, Envelope, HeaderKey, Headers, HeadersBuilder, Limits, Message,
    MessageKind, Transport, Wire as Spelling,
};
use crate::context::{ConnectionInfo, Context};
use crate::fault::{Fault, FaultKind};
use crate::spelling::respell;
use crate::wire::{ReceiveError, Wire};

/// The longest a closing connection waits for the client to stop sending.
const LINGER: Duration = Duration::from_secs(2);
/// The most a closing connection reads meanwhile.
const LINGER_BYTES: usize = 1024 * 1024;

/// The header that tells a TTHeader client that the connection takes no more calls, by the
/// name CloudWeGo's implementations know.
pub(crate) const CLOSING: HeaderKey<'static> = HeaderKey::Name(b"crrst");

/// What follows a burst of calls.
enum Next {
    Idle,
    /// Nothing of the client's is left unread.
    Close,
    /// The client may still be sending: closing at once would reset it before it has read
    /// the answer.
    Linger,
}

/// What receiving came to.
enum Arrival {
    Message(Message),
    Nothing,
    End,
}

/// The call that is being answered, as far as the answer needs it.
struct Asked {
    spelling: Spelling,
    envelope: Envelope,
    header_sequence_id: i32,
}

pub(super) struct Connection<H> {
    wire: Wire,
    generation: Rc<Generation<H>>,
    lineage: Rc<Lineage<H>>,
    handle: ConnectionHandle,
    info: Rc<ConnectionInfo>,
    served: u64,
}

impl<H: ThriftHandler> Connection<H> {
    pub(super) fn new(
        generation: Rc<Generation<H>>,
        lineage: Rc<Lineage<H>>,
        accepted: Accepted,
    ) -> Self {
        let Accepted {
            io,
            peer,
            local,
            handle,
        } = accepted;
        let info = Rc::new(ConnectionInfo {
            peer,
            local,
            server_name: io.server_name().map(Into::into),
        });
        Self {
            wire: Wire::new(io, generation.settings.limits),
            generation,
            lineage,
            handle,
            info,
            served: 0,
        }
    }

    /// Serves calls until the connection ends.
    pub(super) async fn serve(mut self) -> Result<(), Fault> {
        // A client that connects and says nothing is held to the time a message may take.
        self.wire
            .deadline
            .arm(self.generation.settings.timeouts.message);
        // When room is needed, it goes before those that ask for something.
        self.handle.mark_idle();
        while self.call_begins().await {
            match in_place::future(|| self.burst()).await? {
                Next::Idle => {}
                Next::Close => break,
                Next::Linger => {
                    Box::pin(self.linger()).await;
                    return Ok(());
                }
            }
        }
        Box::pin(self.close()).await;
        Ok(())
    }

    /// Waits until the client sends something; false when it is time to close.
    async fn call_begins(&mut self) -> bool {
        let mut is_hastened = false;
        poll_fn(|cx| {
            if let Poll::Ready(ready) = self.wire.io.poll_readable(cx) {
                return Poll::Ready(ready.is_ok());
            }
            if self.wire.deadline.poll_elapsed(cx).is_ready() {
                self.count_silence(is_hastened);
                return Poll::Ready(false);
            }
            if self.handle.poll_draining(cx).is_ready() && self.follow() {
                // Asks again under the group that it belongs to now.
                let _ = self.handle.poll_draining(cx);
            }
            if is_hastened || self.handle.poll_leaving(cx).is_pending() {
                return Poll::Pending;
            }
            if self.served > 0 || self.handle.is_evicted() {
                return Poll::Ready(false);
            }
            is_hastened = true;
            self.wire.deadline.arm(NEWCOMER_GRACE);
            self.wire.deadline.poll_elapsed(cx).map(|()| false)
        })
        .await
    }

    /// Goes on under the generation that has replaced its own, if there is one.
    fn follow(&mut self) -> bool {
        if self.handle.is_evicted() {
            return false;
        }
        match self.lineage.follow(&mut self.handle) {
            Some(generation) => {
                self.generation = generation;
                let limits = self.generation.settings.limits;
                self.wire.decoder.set_limits(limits);
                true
            }
            None => false,
        }
    }

    /// The time to ask for something is over: the usual one, unless the client had to leave.
    #[cold]
    fn count_silence(&self, is_hastened: bool) {
        match (is_hastened, self.served) {
            (true, _) => {}
            (false, 0) => limit::hit(Limit::MessageTimeout),
            (false, _) => limit::hit(Limit::IdleTimeout),
        }
    }

    /// Serves the call that has begun, and those the client sent right behind it.
    async fn burst(&mut self) -> Result<Next, Fault> {
        self.handle.mark_busy();
        let mut context = Context::new(Rc::clone(&self.info));
        loop {
            if self.handle.is_draining() {
                self.follow();
            }
            self.wire
                .deadline
                .arm(self.generation.settings.timeouts.message);
            let message = match self.receive().await {
                Ok(Arrival::Message(message)) => message,
                Ok(Arrival::Nothing) => break,
                Ok(Arrival::End) => return Ok(Next::Close),
                Err(fault) => return self.refuse(&fault).await,
            };
            self.wire.deadline.disarm();
            context.renew();
            self.served += 1;
            match self.exchange(message, &context).await? {
                Next::Idle if self.wire.input.is_empty() => break,
                // The next call is here already.
                Next::Idle => {}
                next => return Ok(next),
            }
        }
        self.wire.release_input();
        self.wire
            .deadline
            .arm(self.generation.settings.timeouts.idle);
        self.handle.mark_idle();
        Ok(Next::Idle)
    }
    async fn receive(&mut self) -> Result<Arrival, Fault> {
        let wire = &mut self.wire;
        poll_fn(|cx| match wire.poll_message(cx) {
            Poll::Ready(Ok(Some(message))) => Poll::Ready(Ok(Arrival::Message(message))),
            // A reset or an end in the middle of a message: nobody is left to answer.
            Poll::Ready(Ok(None) | Err(ReceiveError::Io(_))) => Poll::Ready(Ok(Arrival::End)),
            Poll::Ready(Err(ReceiveError::Bad(error))) => Poll::Ready(Err(error.into())),
            Poll::Pending if wire.input.is_empty() => Poll::Ready(Ok(Arrival::Nothing)),
            Poll::Pending => wire.deadline.poll_elapsed(cx).map(|()| {
                let detail = "the message stalled";
                Err(Fault::late(
                    FaultKind::CallTimeout,
                    Limit::MessageTimeout,
                    detail,
                ))
            }),
        })
        .await
    }

    async fn exchange(&mut self, message: Message, context: &Context) -> Result<Next, Fault> {
        let asked = Asked::of(&message);
        if !matches!(asked.envelope.kind, MessageKind::Call | MessageKind::OneWay) {
            let fault = Fault::new(FaultKind::NotACall, "");
            self.send(asked.exception(&fault), &asked).await?;
            return Ok(Next::Linger);
        }
        // Its own for as long as the call takes, whatever is deployed meanwhile.
        let generation = Rc::clone(&self.generation);
        let context = context.clone();
        let answer = generation.handler.handle(Call { message, context }).await;
        if let Err(fault) = &answer {
            tracing::debug!(peer = %self.info.peer, %fault, "call failed");
            if let Some(limit) = fault.kind().limit() {
                limit::hit(limit);
            }
        }
        let keep = self.keeps();
        if asked.envelope.kind == MessageKind::Call {
            let limits = &generation.settings.limits;
            let mut message = asked
                .answer(answer, limits)
                .unwrap_or_else(|fault| asked.exception(&fault));
            if !keep {
                message.headers = message.headers.map(announce_closing);
            }
            self.send(message, &asked).await?;
        }
        Ok(match keep {
            true => Next::Idle,
            false if self.wire.input.is_empty() => Next::Close,
            false => Next::Linger,
        })
    }

    /// Whether the connection may carry another call.
    fn keeps(&mut self) -> bool {
        if self.served >= self.generation.settings.calls_per_connection {
            limit::hit(Limit::CallsPerConnection);
            return false;
        }
        // What was sent ahead is answered before the connection ends.
        !self.handle.is_draining() || self.follow() || !self.wire.input.is_empty()
    }

    /// Answers what is not a message, as far as it can be told what it was to be, and is
    /// done with the connection.
    async fn refuse(&mut self, fault: &Fault) -> Result<Next, Fault> {
        tracing::debug!(peer = %self.info.peer, %fault, "message refused");
        if let Some(limit) = fault.kind().limit() {
            limit::hit(limit);
        }
        if let Some(refused) = self.wire.decoder.refused(&self.wire.input) {
            let asked = Asked {
                spelling: refused.wire,
                header_sequence_id: refused.envelope.sequence_id,
                envelope: refused.envelope,
            };
            if asked.envelope.kind == MessageKind::Call {
                self.send(asked.exception(fault), &asked).await?;
            }
        }
        Ok(Next::Linger)
    }

    async fn send(&mut self, message: Message, asked: &Asked) -> Result<(), Fault> {
        let stall = self.generation.settings.timeouts.write;
        let wire = &mut self.wire;
        if let Err(error) = wire.put(&message) {
            let fault = Fault::new(FaultKind::Internal, error.to_string());
            // An exception is small and has no headers: it fits.
            let _ = wire.put(&asked.exception(&fault));
        }
        wire.deadline.arm(stall);
        poll_fn(|cx| {
            let mut progress = false;
            let sending = wire.poll_send(cx, &mut progress);
            if progress {
                wire.deadline.arm(stall);
            }
            if let Poll::Ready(sent) = sending {
                let gone = |error: io::Error| Fault::new(FaultKind::ClientGone, error.to_string());
                return Poll::Ready(sent.map_err(gone));
            }
            wire.deadline.poll_elapsed(cx).map(|()| {
                let detail = "the client does not read its answer";
                Err(Fault::late(
                    FaultKind::ClientGone,
                    Limit::WriteTimeout,
                    detail,
                ))
            })
        })
        .await?;
        wire.deadline.disarm();
        Ok(())
    }

    /// Says goodbye, which on a plain socket its dropping does.
    async fn close(&mut self) {
        let wire = &mut self.wire;
        if wire.io.tls().is_none() {
            return;
        }
        wire.deadline.arm(LINGER);
        poll_fn(|cx| match wire.poll_finish(cx) {
            Poll::Ready(()) => Poll::Ready(()),
            Poll::Pending => wire.deadline.poll_elapsed(cx),
        })
        .await;
    }

    /// Closes without resetting a client that is still sending: says that we are done, then
    /// reads until it is.
    async fn linger(&mut self) {
        let wire = &mut self.wire;
        wire.deadline.arm(LINGER);
        let mut read = 0;
        let mut is_finished = false;
        poll_fn(|cx| {
            is_finished = is_finished || wire.poll_finish(cx).is_ready();
            while is_finished && read < LINGER_BYTES {
                wire.input.clear();
                match wire.poll_read(cx) {
                    Poll::Ready(Ok(count)) if count > 0 => read += count,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return wire.deadline.poll_elapsed(cx),
                }
            }
            if is_finished {
                return Poll::Ready(());
            }
            wire.deadline.poll_elapsed(cx)
        })
        .await;
    }
}

impl Asked {
    fn of(message: &Message) -> Self {
        let headers = message.headers.as_ref();
        Self {
            spelling: message.wire,
            envelope: message.envelope.clone(),
            header_sequence_id: headers
                .map_or(message.envelope.sequence_id, |headers| headers.sequence_id),
        }
    }

    /// The message that answers the call, by number as well.
    fn answer(&self, answer: Result<Answer, Fault>, limits: &Limits) -> Result<Message, Fault> {
        let Answer::Message(message) = answer? else {
            return Err(Fault::new(FaultKind::MissingResult, ""));
        };
        let mut message = respell(message, self.spelling, limits)
            .map_err(|error| Fault::new(FaultKind::UpstreamProtocol(error), ""))?;
        message.envelope.sequence_id = self.envelope.sequence_id;
        message.headers = self.headers(message.headers);
        Ok(message)
    }

    fn exception(&self, fault: &Fault) -> Message {
        let exception: ApplicationException = fault.exception();
        Message {
            wire: self.spelling,
            envelope: self.envelope.answer(MessageKind::Exception),
            headers: self.headers(None),
            body: exception.encode(self.spelling.protocol),
        }
    }

    fn headers(&self, headers: Option<Headers>) -> Option<Headers> {
        let number = self.header_sequence_id;
        let mut headers = match self.spelling.transport {
            Transport::Unframed | Transport::Framed => return None,
            _ => headers.unwrap_or_else(|| Headers::empty(number)),
        };
        headers.sequence_id = number;
        Some(headers)
    }
}

/// Headers too large for one more key go without.
fn announce_closing(headers: Headers) -> Headers {
    let announced = HeadersBuilder::new(headers.sequence_id)
        .extend(&headers)
        .and_then(|builder| builder.with(CLOSING, "1"));
    announced.map_or(headers, HeadersBuilder::build)
}

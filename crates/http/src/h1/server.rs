//! One client's HTTP/1.1 connection.
//!
//! While it waits for a request it is a small future without buffers. A request
//! that arrives gets a future of its own, in memory that is given back when the
//! connection idles again; the handler runs inside it, and the body of the
//! request is pulled and that of the response pushed by the same task.

mod exchange;

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tidegate_runtime::buffer::BufferSize;
use tidegate_runtime::connections::{ConnectionHandle, NEWCOMER_GRACE};
use tidegate_runtime::in_place;
use tidegate_runtime::io::Io;
use tidegate_runtime::limit::{self, Limit};

use super::codec::{RequestHead, RequestParser};
use super::respond::{self, Answer};
use super::wire::{SharedWire, Wire};
use crate::body::Upgrade;
use crate::context::{ConnectionInfo, Context};
use crate::exchange::HttpHandler;
use crate::fault::{Fault, FaultKind};
use crate::server::{Http2Connection, HttpServer, ServerSettings};

/// What every HTTP/2 connection begins with (RFC 9113 section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The longest a closing connection waits for the client to stop sending.
const LINGER: Duration = Duration::from_secs(2);
/// How long a client that idled when it was sent away may have a request on the way, which is
/// not to meet with a reset.
const FAREWELL_LINGER: Duration = Duration::from_millis(200);
/// The most a closing connection reads meanwhile.
const LINGER_BYTES: usize = 1024 * 1024;

/// What follows a burst of requests.
enum Next {
    Idle,
    /// Nothing of the client's is left unread.
    Close,
    /// The client may still be sending: closing at once would reset it before
    /// it has read the response.
    Linger,
    Http2,
    Upgrade(Upgrade),
}

/// What becomes of a connection that speaks something else from now on.
type Last<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + 'a>>;

/// What waiting for a request came to.
enum Waited {
    Request,
    End,
    /// Somebody wants the client to go, who may be sending at this moment.
    Leave,
}

/// What reading a head came to.
enum Arrival {
    Head,
    Nothing,
    End,
    Http2,
}

pub(crate) struct Connection<'a, H> {
    wire: SharedWire,
    handler: &'a H,
    settings: &'a ServerSettings,
    info: Rc<ConnectionInfo>,
    handle: ConnectionHandle,
    served: u64,
    detects_http2: bool,
    /// What the next request is read into: a client that has sent a body is likely to send
    /// another, and both come in one read if there is room.
    reads: BufferSize,
}

impl<'a, H: HttpHandler> Connection<'a, H> {
    pub(crate) fn new(
        server: &'a HttpServer<H>,
        io: Io,
        info: Rc<ConnectionInfo>,
        handle: ConnectionHandle,
        detects_http2: bool,
    ) -> Self {
        let settings = server.settings();
        Self {
            wire: Rc::new(RefCell::new(Wire::new(io, &settings.limits))),
            handler: server.handler(),
            settings,
            info,
            handle,
            served: 0,
            detects_http2,
            reads: BufferSize::Head,
        }
    }

    /// Serves requests until the connection ends; `server` goes on with one whose client
    /// turns out to speak HTTP/2.
    ///
    /// No more is held through a wait than the connection, once: this future is most of what
    /// an idle one costs.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` keeps room for its arguments twice"
    )]
    pub(crate) fn serve(
        mut self,
        server: &'a HttpServer<H>,
    ) -> impl Future<Output = Result<(), Fault>> + use<'a, H> {
        async move {
            // A client that connects and says nothing is held to the header limit.
            self.arm(self.settings.timeouts.header);
            // When room is needed, it goes before those that ask for something.
            self.handle.mark_idle();
            loop {
                match self.request_begins().await {
                    Waited::Request => {}
                    Waited::End => {
                        Box::pin(self.close()).await;
                        return Ok(());
                    }
                    Waited::Leave => {
                        Box::pin(self.linger(FAREWELL_LINGER)).await;
                        return Ok(());
                    }
                }
                let next = in_place::future(|| self.burst()).await?;
                let last = match next {
                    Next::Idle => continue,
                    Next::Close => {
                        self.close().await;
                        return Ok(());
                    }
                    Next::Linger => {
                        Box::pin(self.linger(LINGER)).await;
                        return Ok(());
                    }
                    Next::Http2 => self.into_http2(server),
                    Next::Upgrade(upgrade) => self.into_upgraded(upgrade),
                };
                return match last {
                    Some(last) => last.await,
                    None => Ok(()),
                };
            }
        }
    }

    fn into_http2(self, server: &'a HttpServer<H>) -> Option<Last<'a>> {
        let info = self.info.clone();
        let (io, handle) = self.into_parts()?;
        Some(Box::pin(server.serve_http2(Http2Connection {
            io,
            handle,
            info,
        })))
    }

    fn into_upgraded(self, upgrade: Upgrade) -> Option<Last<'a>> {
        let (io, handle) = self.into_parts()?;
        let running = upgrade.start(io, handle);
        Some(Box::pin(async {
            running.await;
            Ok(())
        }))
    }

    fn arm(&self, limit: Duration) {
        self.wire.borrow().deadline.arm(limit);
    }

    /// Waits until the client sends something, or it is time to close.
    async fn request_begins(&self) -> Waited {
        let mut is_hastened = false;
        poll_fn(|cx| {
            let mut wire = self.wire.borrow_mut();
            if let Poll::Ready(ready) = wire.io.poll_readable(cx) {
                wire.is_readable = true;
                let come = ready.map_or(Waited::End, |()| Waited::Request);
                return Poll::Ready(come);
            }
            if wire.deadline.poll_elapsed(cx).is_ready() {
                self.count_silence(is_hastened);
                return Poll::Ready(Waited::End);
            }
            if is_hastened || self.handle.poll_leaving(cx).is_pending() {
                return Poll::Pending;
            }
            // Somebody waits for its place.
            if self.handle.is_evicted() {
                return Poll::Ready(Waited::End);
            }
            if self.served > 0 {
                return Poll::Ready(Waited::Leave);
            }
            is_hastened = true;
            wire.deadline.arm(NEWCOMER_GRACE);
            wire.deadline.poll_elapsed(cx).map(|()| Waited::End)
        })
        .await
    }

    /// The time to ask for something is over: the usual one, unless the client had to leave.
    #[cold]
    fn count_silence(&self, is_hastened: bool) {
        match (is_hastened, self.served) {
            (true, _) => {}
            (false, 0) => limit::hit(Limit::HeaderTimeout),
            (false, _) => limit::hit(Limit::IdleTimeout),
        }
    }

    /// Serves the request that has begun, and those the client sent right behind it.
    async fn burst(&mut self) -> Result<Next, Fault> {
        self.handle.mark_busy();
        let mut parser = RequestParser::new();
        let mut context = Context::new(self.info.clone());
        loop {
            let mut head = None;
            match self.read_head(&mut parser, &mut head).await {
                Ok(Arrival::Head) => {}
                Ok(Arrival::Nothing) => break,
                Ok(Arrival::End) => return Ok(Next::Close),
                Ok(Arrival::Http2) => return Ok(Next::Http2),
                Err(fault) => return self.refuse(fault).await,
            };
            context.renew();
            let Some(head) = head else { break };
            let next = self.exchange(head, &context).await?;
            self.served += 1;
            match next {
                Next::Idle if self.wire.borrow().input.is_empty() => break,
                // The next request is here already.
                Next::Idle => {}
                next => return Ok(next),
            }
        }
        let mut wire = self.wire.borrow_mut();
        wire.return_input();
        wire.deadline.arm(self.settings.timeouts.idle);
        self.handle.mark_idle();
        Ok(Next::Idle)
    }

    /// Reads a head into `slot`, which spares moving it through every poll.
    async fn read_head(
        &self,
        parser: &mut RequestParser,
        slot: &mut Option<RequestHead>,
    ) -> Result<Arrival, Fault> {
        let mut is_held_up = false;
        let mut size = self.reads;
        poll_fn(|cx| {
            let mut wire = self.wire.borrow_mut();
            loop {
                if !wire.input.is_empty() {
                    match self.detect(&wire.input) {
                        Some(Arrival::Http2) => return Poll::Ready(Ok(Arrival::Http2)),
                        Some(_) => {}
                        None => {
                            *slot = parser.parse(&mut wire.input, &self.settings.limits)?;
                            if slot.is_some() {
                                wire.deadline.disarm();
                                return Poll::Ready(Ok(Arrival::Head));
                            }
                        }
                    }
                }
                match wire.poll_fill(cx, size) {
                    // A reset or an end in the middle of a head: nobody is left to answer.
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Ok(Arrival::End)),
                    Poll::Ready(Ok(_)) => {}
                    Poll::Pending if wire.input.is_empty() => {
                        return Poll::Ready(Ok(Arrival::Nothing));
                    }
                    Poll::Pending => {
                        // Most heads come whole, and need no limit.
                        if !std::mem::replace(&mut is_held_up, true) {
                            wire.deadline.arm(self.settings.timeouts.header);
                            size = BufferSize::Head;
                            wire.shrink_input();
                        }
                        return wire.deadline.poll_elapsed(cx).map(|()| {
                            Err(Fault::late(
                                FaultKind::RequestTimeout,
                                Limit::HeaderTimeout,
                                "the request head stalled",
                            ))
                        });
                    }
                }
            }
        })
        .await
    }

    /// Whether the first bytes are, or may become, the HTTP/2 preface; `None` if not.
    fn detect(&self, input: &BytesMut) -> Option<Arrival> {
        if !self.detects_http2 || self.served > 0 {
            return None;
        }
        let compared = input.len().min(HTTP2_PREFACE.len());
        if input[..compared] != HTTP2_PREFACE[..compared] {
            return None;
        }
        Some(if compared == HTTP2_PREFACE.len() {
            Arrival::Http2
        } else {
            Arrival::Nothing
        })
    }

    /// Answers what is not a request, and is done with the connection.
    async fn refuse(&self, fault: Fault) -> Result<Next, Fault> {
        tracing::debug!(peer = %self.info.peer, %fault, "request refused");
        let answer = Answer::refusal(self.settings.timeouts.write);
        let response = respond::fault_response(&fault);
        respond::send(&self.wire, response, &answer).await?;
        Ok(Next::Linger)
    }

    async fn close(&self) {
        // Freed with the connection, it would not be there for the next one.
        self.wire.borrow_mut().return_input();
        let limit = self.settings.timeouts.write;
        poll_fn(|cx| self.wire.borrow_mut().poll_close(cx, limit)).await;
    }

    /// Closes without resetting a client that is still sending: says that we are
    /// done, then reads until it is (RFC 9112 section 9.6).
    async fn linger(&self, limit: Duration) {
        self.arm(limit);
        let mut read = 0;
        poll_fn(|cx| {
            let mut wire = self.wire.borrow_mut();
            ready!(wire.poll_finish(cx));
            loop {
                wire.input.clear();
                match wire.poll_fill(cx, BufferSize::Body) {
                    Poll::Ready(Ok(count)) if count > 0 && read < LINGER_BYTES => read += count,
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return wire.deadline.poll_elapsed(cx),
                }
            }
        })
        .await;
    }

    /// The stream, with what was read ahead, for another protocol.
    fn into_parts(self) -> Option<(Io, ConnectionHandle)> {
        // Whoever still held the request's body has answered by now.
        let wire = Rc::into_inner(self.wire)?.into_inner();
        Some((wire.io.with_prefix(wire.input.freeze()), self.handle))
    }
}

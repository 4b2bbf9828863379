//! One request, answered: its body lent to the handler, informational responses and the
//! response sent, and what is left of the body read off.

use std::future::poll_fn;
use std::pin::pin;

use http::{Method, Version};
use tidegate_runtime::buffer::BufferSize;
use tidegate_runtime::limit::{self, Limit};

use super::{Connection, Next};
use crate::body::Body;
use crate::context::Context;
use crate::exchange::{Exchange, HttpHandler};
use crate::fault::{Fault, FaultKind};
use crate::h1::codec::{BodyDecoder, BodyEvent, BodyLength, ConnectionIntent, RequestHead};
use crate::h1::incoming::Incoming;
use crate::h1::respond::{self, Answer};
use crate::h1::wire::Continue;
use crate::hop::{self, UpgradeField};
use crate::message::{Request, Response};

impl<H: HttpHandler> Connection<'_, H> {
    /// Answers one request; what follows.
    pub(super) async fn exchange(
        &mut self,
        head: RequestHead,
        context: &Context,
    ) -> Result<Next, Fault> {
        let RequestHead {
            mut parts,
            body,
            intent,
            expects_continue,
            upgrade,
        } = head;
        let is_head = parts.method == Method::HEAD;
        let client_is_done = intent == ConnectionIntent::Close && body == BodyLength::None;
        let version = parts.version;
        let upgrade_field = if upgrade {
            UpgradeField::Stays
        } else {
            UpgradeField::Goes
        };
        hop::take_off(&mut parts.headers, upgrade_field);
        context.set_asks_upgrade(upgrade);
        self.reads = reads_next(body);
        let body = self.take_body(body, expects_continue);
        let exchange = Exchange {
            request: Request::from_parts(parts, body),
            context: context.clone(),
        };
        // What is left of a body that stalled is not waited for once more.
        let mut stalled = false;
        let response = match self.handle(exchange, context, version).await {
            Ok(response) => response,
            Err(fault) if fault.kind() == FaultKind::ClientGone => return Ok(Next::Close),
            Err(fault) => {
                tracing::debug!(peer = %self.info.peer, %fault, "request failed");
                stalled = fault.kind() == FaultKind::RequestTimeout;
                respond::fault_response(&fault)
            }
        };
        let response = respond::settle_upgrade(response, upgrade);
        let keep = intent == ConnectionIntent::KeepAlive
            && !stalled
            && !(self.handle.is_draining() && self.has_no_next())
            && self.may_have_another()
            && self.unread_is_small();
        let answer = Answer {
            intent: if keep {
                ConnectionIntent::KeepAlive
            } else {
                ConnectionIntent::Close
            },
            version,
            is_head,
            client_is_done,
            write_timeout: self.settings.timeouts.write,
        };
        let sent = respond::send(&self.wire, response, &answer).await?;
        if let Some(upgrade) = sent.upgrade {
            return Ok(Next::Upgrade(upgrade));
        }
        let keep = keep && sent.intent == ConnectionIntent::KeepAlive;
        let is_read = if keep {
            self.discard_body().await
        } else {
            self.wire.borrow().decoder.is_complete()
        };
        Ok(match (keep, is_read) {
            (true, true) => Next::Idle,
            (false, true) if self.wire.borrow().input.is_empty() => Next::Close,
            _ => Next::Linger,
        })
    }

    /// The request's body: at hand if all of it has arrived, else pulled.
    fn take_body(&self, length: BodyLength, expects_continue: bool) -> Body {
        let mut wire = self.wire.borrow_mut();
        let wire = &mut *wire;
        wire.decoder = BodyDecoder::new(length, &self.settings.limits);
        let arrived = match length {
            BodyLength::None | BodyLength::Fixed(0) => return Body::empty(),
            BodyLength::Fixed(length) => wire.input.len() as u64 >= length,
            _ => false,
        };
        if arrived && let Ok(BodyEvent::Data(data)) = wire.decoder.decode(&mut wire.input) {
            return Body::full(data);
        }
        if expects_continue {
            wire.awaits_continue = Continue::Awaited;
        }
        Body::stream(Incoming::new(
            self.wire.clone(),
            length,
            self.settings.timeouts.body,
        ))
    }

    /// Runs the handler, sending informational responses as it gives them.
    async fn handle(
        &self,
        exchange: Exchange,
        context: &Context,
        version: Version,
    ) -> Result<Response, Fault> {
        let mut answering = pin!(self.handler.handle(exchange));
        poll_fn(|cx| {
            let outcome = answering.as_mut().poll(cx);
            let mut wire = self.wire.borrow_mut();
            // An HTTP/1.0 client does not know them (RFC 9110 section 15.2).
            while let Some(informational) = context.next_informational() {
                if version == Version::HTTP_11 {
                    respond::encode_informational(&mut wire.outbox.lead, &informational);
                }
            }
            if outcome.is_pending() && !wire.outbox.is_empty() {
                // Failure shows when the response itself is sent.
                let _ = wire.poll_send(cx, self.settings.timeouts.write);
            }
            outcome
        })
        .await
    }

    fn may_have_another(&self) -> bool {
        let may = self.served + 1 < self.settings.requests_per_connection;
        if !may {
            limit::hit(Limit::RequestsPerConnection);
        }
        may
    }

    /// Whether nothing has arrived behind the request that is answered now. What was sent
    /// ahead is answered before the client is told to leave.
    fn has_no_next(&self) -> bool {
        let wire = self.wire.borrow();
        wire.input.is_empty() || !wire.decoder.is_complete()
    }

    /// Whether what is left of the request body is worth reading off.
    fn unread_is_small(&self) -> bool {
        let wire = self.wire.borrow();
        // A client that was never told to continue will not send its body, or
        // will: there is no telling where the next request begins.
        wire.decoder.is_complete()
            || wire.awaits_continue == Continue::Settled
                && wire
                    .decoder
                    .remaining()
                    .is_some_and(|left| left <= self.settings.drain_body_bytes)
    }

    /// Reads off what nobody read of the request body; false if that is too much.
    async fn discard_body(&self) -> bool {
        if self.wire.borrow().decoder.is_complete() {
            return true;
        }
        if !self.unread_is_small() {
            return false;
        }
        let rest = Incoming::new(
            self.wire.clone(),
            BodyLength::Chunked,
            self.settings.timeouts.body,
        );
        let mut rest = pin!(rest);
        loop {
            let frame = poll_fn(|cx| http_body::Body::poll_frame(rest.as_mut(), cx)).await;
            match frame {
                None => return true,
                Some(Ok(_)) => {}
                Some(Err(_)) => return false,
            }
        }
    }
}

/// What a request is read into that comes after one with such a body.
const fn reads_next(body: BodyLength) -> BufferSize {
    match body {
        BodyLength::None => BufferSize::Head,
        // With its head it fits.
        BodyLength::Fixed(length) if length <= BufferSize::Head.bytes() as u64 / 2 => {
            BufferSize::Head
        }
        _ => BufferSize::Body,
    }
}

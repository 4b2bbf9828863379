//! Sending a response: how its body is framed, and what leaves in which write.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, StatusCode, Version};
use http_body::Body as _;
use tidegate_runtime::buffer::{self, BufferSize};
use tidegate_runtime::limit;

use super::codec::{
    BodyEncoder, ConnectionField, ConnectionIntent, EncodedBody, encode_response_head,
};
use super::wire::SharedWire;
use crate::body::{Body, Upgrade};
use crate::context::Informational;
use crate::fault::{self, Fault, FaultKind};
use crate::headers::Headers;
use crate::message::Response;
use crate::write::{Follow, Rest};

/// What the request decides about its response.
pub(crate) struct Answer {
    pub(crate) intent: ConnectionIntent,
    pub(crate) version: Version,
    pub(crate) is_head: bool,
    /// Whether the client asked for the connection's end and had no body to send. It has
    /// nothing more to say that could meet with a reset, so that the response may be held back
    /// to leave together with the end of the stream.
    pub(crate) client_is_done: bool,
    pub(crate) write_timeout: Duration,
}

impl Answer {
    /// For something that is no request: answer and close.
    pub(crate) const fn refusal(write_timeout: Duration) -> Self {
        Self {
            intent: ConnectionIntent::Close,
            version: Version::HTTP_11,
            is_head: false,
            client_is_done: false,
            write_timeout,
        }
    }
}

/// What became of the connection by sending a response.
pub(crate) struct Sent {
    pub(crate) intent: ConnectionIntent,
    pub(crate) upgrade: Option<Upgrade>,
}

/// The response a fault stands for, which is counted. Says no more than its status does.
pub(crate) fn fault_response(fault: &Fault) -> Response {
    fault::count(fault.kind());
    if let Some(limit) = fault.kind().limit() {
        limit::hit(limit);
    }
    let status = fault.kind().status();
    let mut response = Response::new(Body::from(status.canonical_reason().unwrap_or("")));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// A protocol switch goes through only if the client asked for one; nothing is
/// tunnelled on the word of an upstream alone.
pub(crate) fn settle_upgrade(response: Response, asked: bool) -> Response {
    let switches = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if response.body().is_upgrade() && asked || !response.body().is_upgrade() && !switches {
        return response;
    }
    fault_response(&Fault::new(
        FaultKind::UpstreamProtocol,
        "switched protocols without being asked",
    ))
}

pub(crate) fn encode_informational(out: &mut BytesMut, informational: &Informational) {
    // Fails only for a body, and there is none.
    let _ = encode_response_head(
        out,
        informational.status,
        &informational.headers,
        EncodedBody::None,
        ConnectionField::Implied,
    );
}

/// Sends a response, head and first data in one write, then the rest as it comes.
pub(crate) async fn send(
    wire: &SharedWire,
    response: Response,
    answer: &Answer,
) -> Result<Sent, Fault> {
    let (parts, body) = response.into_parts();
    let framing = frame(parts.status, &parts.headers, &body, answer);
    let intent = match framing {
        EncodedBody::UntilClose => ConnectionIntent::Close,
        _ => answer.intent,
    };
    let connection = match (framing, intent) {
        (EncodedBody::Tunnel, _) if parts.status == StatusCode::SWITCHING_PROTOCOLS => {
            ConnectionField::Upgrade
        }
        (EncodedBody::Tunnel, _) => ConnectionField::Implied,
        (_, ConnectionIntent::Close) => ConnectionField::Close,
        (_, ConnectionIntent::KeepAlive) if answer.version == Version::HTTP_10 => {
            ConnectionField::KeepAlive
        }
        (_, ConnectionIntent::KeepAlive) => ConnectionField::Implied,
    };
    {
        let mut wire = wire.borrow_mut();
        if wire.outbox.lead.capacity() == 0 {
            wire.outbox.lead = buffer::take(BufferSize::Head);
        }
        encode_response_head(
            &mut wire.outbox.lead,
            parts.status,
            &parts.headers,
            framing,
            connection,
        )
        .map_err(|error| Fault::new(FaultKind::Internal, error.to_string()))?;
    }
    let mut sending = Sending {
        body,
        encoder: BodyEncoder::new(framing),
        pulls: !matches!(framing, EncodedBody::Tunnel | EncodedBody::Unsent(_)),
        follow: match framing {
            EncodedBody::Tunnel => Follow::Unknown,
            _ if answer.client_is_done => Follow::End,
            _ => Follow::Unknown,
        },
    };
    let sent = poll_fn(|cx| sending.poll(wire, cx, answer.write_timeout)).await;
    if let Err(fault) = &sent
        // An orderly end is all this client could tell a whole response by.
        && (framing == EncodedBody::UntilClose
            // What a client does not read would stay in the kernel for minutes.
            || fault.kind() == FaultKind::ClientGone)
    {
        wire.borrow().io.break_off();
    }
    sent?;
    let lead = std::mem::take(&mut wire.borrow_mut().outbox.lead);
    buffer::give(lead, BufferSize::Head);
    let upgrade = match framing {
        EncodedBody::Tunnel => sending.body.into_upgrade().ok(),
        _ => None,
    };
    Ok(Sent { intent, upgrade })
}

/// RFC 9112 section 6: the one way this body can be told from what follows it.
fn frame(status: StatusCode, headers: &Headers, body: &Body, answer: &Answer) -> EncodedBody {
    if body.is_upgrade() {
        return EncodedBody::Tunnel;
    }
    let length = body.size_hint().exact();
    if answer.is_head || status == StatusCode::NOT_MODIFIED {
        let declared = headers
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str()?.parse().ok());
        return EncodedBody::Unsent(declared.or_else(|| length.filter(|_| !body.is_empty())));
    }
    if status == StatusCode::NO_CONTENT || status.is_informational() {
        return EncodedBody::Unsent(None);
    }
    match length {
        Some(length) => EncodedBody::Fixed(length),
        None if answer.version == Version::HTTP_10 => EncodedBody::UntilClose,
        None => EncodedBody::Chunked,
    }
}

struct Sending {
    body: Body,
    encoder: BodyEncoder,
    /// Whether there is more of the body to pull.
    pulls: bool,
    /// What follows the whole response.
    follow: Follow,
}

impl Sending {
    fn poll(
        &mut self,
        wire: &SharedWire,
        cx: &mut Context<'_>,
        limit: Duration,
    ) -> Poll<Result<(), Fault>> {
        loop {
            // One frame at a time: the next is pulled when this one is on its way.
            if self.pulls && wire.borrow().outbox.has_room() {
                // Pulled outside the borrow: what feeds this body may be what is
                // left of the request's, and that reads from the same wire.
                match Pin::new(&mut self.body).poll_frame(cx) {
                    Poll::Ready(frame) => {
                        let mut wire = wire.borrow_mut();
                        let frame = frame.transpose()?;
                        let rest = wire.outbox.put(frame, &self.body, &mut self.encoder)?;
                        self.pulls = rest == Rest::ToCome;
                    }
                    Poll::Pending if wire.borrow().outbox.is_empty() => return Poll::Pending,
                    Poll::Pending => {}
                }
            }
            let mut wire = wire.borrow_mut();
            if !self.pulls {
                wire.outbox.follow = self.follow;
            }
            ready!(wire.poll_send(cx, limit))
                .map_err(|error| Fault::new(FaultKind::ClientGone, error.to_string()))?;
            if !self.pulls {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

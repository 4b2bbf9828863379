//! One request to an HTTP/1.1 server, and its response.
//!
//! The request's body goes out while the response comes in, in one task and
//! without a channel: whoever pulls the response also pushes the rest of the
//! request. A small response is taken whole from the read that brought its
//! head, and the connection is free again before the handler sees it.

mod body;
mod flow;

use std::future::poll_fn;
use std::rc::Rc;

use bytes::BytesMut;
use http::Method;

use self::body::ResponseBody;
use self::flow::{Flow, Upload};
use super::codec::{
    BodyDecoder, BodyEncoder, BodyEvent, BodyLength, ConnectionField, EncodedBody, RequestTarget,
    ResponseHead, encode_request_head,
};
use crate::body::Body;
use crate::client::{
    ClientConnection, ClientSettings, ConnectionHome, Outgoing, Progress, SendFailure, Upgrading,
};
use crate::context::Context;
use crate::fault::{Fault, FaultKind};
use crate::hop::{self, UpgradeField};
use crate::message::Response;
use crate::tunnel;

pub(crate) async fn send(
    connection: ClientConnection,
    outgoing: Outgoing<'_>,
    settings: &Rc<ClientSettings>,
    home: &Rc<dyn ConnectionHome>,
    context: &Context,
) -> Result<Response, SendFailure> {
    let method = outgoing.method;
    let mut flow = begin(connection, outgoing, settings)?;
    flow.connection.deadline.arm(flow.patience());
    let head = poll_fn(|cx| flow.poll_head(cx, method, context)).await?;
    flow.connection.deadline.disarm();
    flow.connection.requests += 1;
    respond(flow, head, home).map_err(|fault| SendFailure {
        fault,
        progress: Progress::Begun,
    })
}

/// Encodes the head; with it goes what is at hand of the body.
fn begin(
    connection: ClientConnection,
    outgoing: Outgoing<'_>,
    settings: &Rc<ClientSettings>,
) -> Result<Box<Flow>, SendFailure> {
    let Outgoing {
        method,
        target,
        headers,
        body,
        upgrade,
        expects_continue,
    } = outgoing;
    let framing = frame(method, target, &body);
    let connection_field = match upgrade {
        Upgrading::Asked if method != Method::CONNECT => ConnectionField::Upgrade,
        _ => ConnectionField::Implied,
    };
    let mut flow = Flow::new(
        connection,
        settings.clone(),
        Upload::new(body, BodyEncoder::new(framing), expects_continue),
    );
    encode_request_head(
        &mut flow.outbox.lead,
        method,
        target,
        headers,
        framing,
        connection_field,
    )
    .map_err(|error| SendFailure {
        fault: Fault::new(FaultKind::Internal, error.to_string()),
        progress: Progress::Begun,
    })?;
    Ok(flow)
}

/// A request without a body says nothing of one, unless its method suggests
/// one (RFC 9110 section 8.6).
fn frame(method: &Method, target: RequestTarget<'_>, body: &Body) -> EncodedBody {
    if matches!(target, RequestTarget::Authority(_)) {
        return EncodedBody::None;
    }
    let suggests = matches!(*method, Method::POST | Method::PUT | Method::PATCH);
    match http_body::Body::size_hint(body).exact() {
        Some(0) if !suggests => EncodedBody::None,
        Some(length) => EncodedBody::Fixed(length),
        None => EncodedBody::Chunked,
    }
}

fn respond(
    mut flow: Box<Flow>,
    mut head: ResponseHead,
    home: &Rc<dyn ConnectionHome>,
) -> Result<Response, Fault> {
    flow.intent = head.intent;
    let upgrade_field = match head.body {
        BodyLength::Tunnel => UpgradeField::Stays,
        _ => UpgradeField::Goes,
    };
    hop::take_off(&mut head.parts.headers, upgrade_field);
    let mut decoder = BodyDecoder::new(head.body, &flow.settings.limits);
    let body = match head.body {
        BodyLength::None | BodyLength::Fixed(0) => {
            flow.finish(home);
            Body::empty()
        }
        BodyLength::Tunnel => tunnel_body(flow),
        BodyLength::Fixed(length) if length <= flow.input.len() as u64 => {
            let body = match decoder.decode(&mut flow.input) {
                Ok(BodyEvent::Data(data)) => Body::full(data),
                _ => Body::empty(),
            };
            flow.finish(home);
            body
        }
        _ => Body::stream(ResponseBody::new(flow, decoder, home.clone())),
    };
    Ok(Response::from_parts(head.parts, body))
}

fn tunnel_body(mut flow: Box<Flow>) -> Body {
    let idle = flow.settings.tunnel_idle_timeout;
    let ahead: BytesMut = std::mem::take(&mut flow.input);
    let server = flow.into_io().with_prefix(ahead.freeze());
    Body::upgrade(move |client| tunnel::join(client, server, idle))
}

//! One request on an HTTP/2 connection, and its response.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::header::{
    CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, HeaderMap, HeaderName, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderValue, Method, StatusCode, Version};
use http_body::Body as _;
use tidegate_runtime::deadline::Deadline;
use tidegate_runtime::limit::Limit;

use super::body::StreamBody;
use crate::body::Body;
use crate::context::{ConnectionInfo, Context};
use crate::exchange::{Exchange, HttpHandler};
use crate::fault::{Fault, FaultKind};
use crate::h1::codec::ParseError;
use crate::h1::respond::fault_response;
use crate::message::{Request, Response};
use crate::server::ServerSettings;

/// Fields that concern an HTTP/1.1 connection (RFC 9113 section 8.2.2).
const CONNECTION_FIELDS: [HeaderName; 5] = [
    CONNECTION,
    TRANSFER_ENCODING,
    UPGRADE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

pub(super) async fn serve<H: HttpHandler>(
    settings: Rc<ServerSettings>,
    handler: Rc<H>,
    info: Rc<ConnectionInfo>,
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
) -> Result<(), Fault> {
    let context = Context::new(info);
    let is_head = request.method() == Method::HEAD;
    let response = match admit(&settings, request, &context) {
        Ok(request) => answer(&*handler, request, &context, &mut respond).await,
        Err(fault) => Err(fault),
    };
    let response = match response {
        Ok(response) if response.body().is_upgrade() => {
            let fault = Fault::new(FaultKind::UpstreamProtocol, "switched protocols on HTTP/2");
            fault_response(&fault)
        }
        Ok(response) => response,
        Err(fault) if fault.kind() == FaultKind::ClientGone => return Err(fault),
        Err(fault) => fault_response(&fault),
    };
    send(response, is_head, &settings, respond).await
}

/// The request as a handler sees it.
fn admit(
    settings: &ServerSettings,
    request: http::Request<RecvStream>,
    context: &Context,
) -> Result<Request, Fault> {
    let (mut parts, stream) = request.into_parts();
    parts.version = Version::HTTP_2;
    // RFC 9113 section 8.3.1: the authority is what `Host` was.
    if let Some(authority) = parts.uri.authority() {
        let host = HeaderValue::from_str(authority.as_str())
            .map_err(|_| Fault::from(ParseError::InvalidHost))?;
        parts.headers.insert(HOST, host);
    } else if !parts.headers.contains_key(HOST) {
        return Err(ParseError::MissingHost.into());
    }
    if parts.headers.len() > settings.limits.header_count {
        return Err(ParseError::TooManyHeaders.into());
    }
    join_cookies(&mut parts.headers);
    let length = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    if length.is_some_and(|length| length > settings.limits.body_bytes) {
        return Err(ParseError::BodyTooLarge.into());
    }
    let body = if stream.is_end_stream() {
        Body::empty()
    } else {
        let mut body = StreamBody::new(
            stream,
            length,
            settings.limits.body_bytes,
            settings.timeouts.body,
        );
        let expected = parts.headers.get(EXPECT).map(HeaderValue::as_bytes);
        if expected.is_some_and(|it| it.eq_ignore_ascii_case(b"100-continue")) {
            body.give_leave_by(context.clone());
        }
        Body::stream(body)
    };
    Ok(Request::from_parts(parts.into(), body))
}

/// RFC 9113 section 8.2.3: crumbs are one cookie field again.
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if crumbs.len() < 2 {
        return;
    }
    if let Ok(cookie) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, cookie);
    }
}

async fn answer<H: HttpHandler>(
    handler: &H,
    request: Request,
    context: &Context,
    respond: &mut SendResponse<Bytes>,
) -> Result<Response, Fault> {
    let exchange = Exchange {
        request,
        context: context.clone(),
    };
    let mut answering = pin!(handler.handle(exchange));
    poll_fn(|cx| {
        // A client that reset the stream wants no answer.
        if let Poll::Ready(Ok(reason)) = respond.poll_reset(cx) {
            let fault = Fault::new(FaultKind::ClientGone, reason.to_string());
            return Poll::Ready(Err(fault));
        }
        let outcome = answering.as_mut().poll(cx);
        while let Some(informational) = context.next_informational() {
            let mut head = http::Response::new(());
            *head.status_mut() = informational.status;
            *head.headers_mut() = informational.headers.into();
            strip(head.headers_mut());
            // Failure shows when the response itself is sent.
            let _ = respond.send_informational(head);
        }
        outcome
    })
    .await
}

fn strip(headers: &mut HeaderMap) {
    for name in &CONNECTION_FIELDS {
        headers.remove(name);
    }
}

async fn send(
    response: Response,
    is_head: bool,
    settings: &ServerSettings,
    mut respond: SendResponse<Bytes>,
) -> Result<(), Fault> {
    let (parts, body) = response.into_parts();
    let mut parts = http::response::Parts::from(parts);
    parts.version = Version::HTTP_2;
    strip(&mut parts.headers);
    let unsent = is_head
        || matches!(
            parts.status,
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
        );
    if !unsent {
        parts.headers.remove(CONTENT_LENGTH);
        if let Some(length) = body.size_hint().exact() {
            parts.headers.insert(CONTENT_LENGTH, length.into());
        }
    }
    let ends = unsent || body.is_end_stream();
    let stream = respond
        .send_response(http::Response::from_parts(parts, ()), ends)
        .map_err(super::client_fault)?;
    if ends {
        return Ok(());
    }
    send_body(body, stream, settings).await
}

async fn send_body(
    body: Body,
    mut stream: SendStream<Bytes>,
    settings: &ServerSettings,
) -> Result<(), Fault> {
    let deadline = Deadline::new();
    let mut body = pin!(body);
    loop {
        let frame = poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
        match frame {
            None => {
                return stream
                    .send_data(Bytes::new(), true)
                    .map_err(super::client_fault);
            }
            // Never an orderly end: the client must see that something is missing.
            Some(Err(fault)) => {
                stream.send_reset(Reason::INTERNAL_ERROR);
                return Err(fault);
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let last = body.is_end_stream();
                    deadline.arm(settings.timeouts.write);
                    let sending = send_data(&mut stream, data, last);
                    deadline.run(sending).await.map_err(|_| {
                        Fault::late(
                            FaultKind::ClientGone,
                            Limit::WriteTimeout,
                            "the client took nothing in time",
                        )
                    })??;
                    deadline.disarm();
                    if last {
                        return Ok(());
                    }
                }
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    return stream.send_trailers(trailers).map_err(super::client_fault);
                }
            },
        }
    }
}

/// Sends as much at a time as the client's windows allow.
async fn send_data(
    stream: &mut SendStream<Bytes>,
    mut data: Bytes,
    last: bool,
) -> Result<(), Fault> {
    let gone = || Fault::new(FaultKind::ClientGone, "the stream is closed");
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        let capacity = poll_fn(|cx| stream.poll_capacity(cx))
            .await
            .ok_or_else(gone)?
            .map_err(super::client_fault)?;
        let piece = data.split_to(capacity.min(data.len()));
        let ends = last && data.is_empty();
        stream.send_data(piece, ends).map_err(super::client_fault)?;
    }
    Ok(())
}

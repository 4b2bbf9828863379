//! A route whose requests are calls of a Thrift service: JSON in, JSON out.
//!
//! What the client gets wrong, and what the service throws, is a problem in JSON (RFC 9457).
//! That the service cannot be asked is a fault as with any other upstream.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Method as Verb, StatusCode};
use http_body::Body as _;
use tidegate_http::h1::codec::ParseError;
use tidegate_http::headers::FieldValue;
use tidegate_http::{Body, Context, Fault, FaultKind, Headers, Request, Response};
use tidegate_runtime::clock;
use tidegate_runtime::limit::{self, Limit};
use tidegate_thrift as thrift;
use tidegate_thrift::codec::{
    ApplicationException, ArgumentFault, ArgumentsError, Envelope, ExceptionKind, JsonOptions,
    Limits, Message, MessageKind, Method, Protocol, Replied, Schema, Transport, Wire, decode_reply,
    encode_arguments, encode_texts,
};

use super::problem::Problem;
use super::query;
use super::reply::limited;
use crate::meter::{CallMeter, CallOutcome};
use crate::route::Params;
use crate::thrift::{Spelling, translated};
use crate::upstream::{Asking, ThriftUpstream};

/// What is done with the requests of a route that leads to a Thrift service.
#[derive(Debug)]
pub struct CallRoute {
    /// What the service is.
    pub schema: Arc<Schema>,
    /// The service's name, which multiplexed servers and headers are told.
    pub service: Box<str>,
    /// Which method a request calls.
    pub method: MethodName,
    /// The methods that may be called with `GET` too.
    pub gets: BTreeSet<Box<str>>,
    /// The upstream's position in the site's list of those that are asked in Thrift.
    pub upstream: usize,
    /// How the upstream is spoken to; its transport and protocol are named.
    pub spelling: Spelling,
    /// How calls are made. Its limits are those of messages, and of JSON.
    pub asking: Asking,
    /// How JSON is written.
    pub json: JsonOptions,
    /// The statuses of exceptions, by name; [`StatusCode::UNPROCESSABLE_ENTITY`] for others.
    pub exceptions: BTreeMap<Box<str>, StatusCode>,
}

/// Which method a request calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MethodName {
    /// This one.
    Always(Box<str>),
    /// The one that this parameter of the path names.
    Param(Box<str>),
}

/// A request on its way to a method.
pub(super) struct Calling<'a> {
    pub(super) route: &'a CallRoute,
    /// The method, if there is one of that name.
    pub(super) method: Option<&'a Method>,
    pub(super) request: Request,
    /// The largest body the route takes.
    pub(super) body_bytes: u64,
}

/// Whom a call is made with, on one worker.
pub(super) struct Caller<'a> {
    pub(super) upstream: &'a ThriftUpstream,
    pub(super) meter: &'a CallMeter,
    pub(super) sequence_id: i32,
}

static JSON: HeaderValue = HeaderValue::from_static("application/json");

impl CallRoute {
    /// The method a request calls, whose path has these parameters.
    pub(super) fn method(&self, params: &Params<'_>) -> Option<&Method> {
        match &self.method {
            MethodName::Always(name) => self.schema.method(name),
            MethodName::Param(param) => self.schema.method(params.get(param)?),
        }
    }

    const fn limits(&self) -> &Limits {
        &self.json.limits
    }

    fn status_of(&self, exception: &str) -> StatusCode {
        let status = self.exceptions.get(exception).copied();
        status.unwrap_or(StatusCode::UNPROCESSABLE_ENTITY)
    }
}

impl Calling<'_> {
    /// Makes the call.
    pub(super) async fn answer(
        self,
        caller: Caller<'_>,
        context: &Context,
    ) -> Result<Response, Fault> {
        let Self {
            route,
            method,
            request,
            body_bytes,
        } = self;
        let Some(method) = method else {
            return Ok(Problem::new(StatusCode::NOT_FOUND, "there is no such method").response());
        };
        context.note(|facts| facts.call = Some((&**method.name()).into()));
        let arguments = match arguments(route, method, request, body_bytes).await? {
            Ok(arguments) => arguments,
            Err(refused) => return Ok(refused),
        };
        let outcome = ask(route, method, arguments, &caller, context).await;
        let counted = match &outcome {
            Ok(_) if method.is_one_way() => CallOutcome::OneWay,
            Ok(Some(reply)) if reply.envelope.kind == MessageKind::Exception => {
                CallOutcome::Exception
            }
            Ok(_) => CallOutcome::Reply,
            Err(_) => CallOutcome::Fault,
        };
        let duration = clock::now().since(context.started());
        caller.meter.count(method.name(), counted, duration);
        match outcome? {
            Some(reply) => answered(route, method, &reply),
            None => Ok(empty(StatusCode::ACCEPTED)),
        }
    }
}

/// The arguments of a request, or the response that refuses it.
async fn arguments(
    route: &CallRoute,
    method: &Method,
    request: Request,
    body_bytes: u64,
) -> Result<Result<Bytes, Response>, Fault> {
    let (parts, body) = request.into_parts();
    let may_get = route.gets.contains(&**method.name());
    let limits = route.limits();
    let written = match parts.method {
        Verb::GET | Verb::HEAD if may_get => {
            let Some(texts) = query::pairs(parts.uri.query().unwrap_or_default()) else {
                let problem = Problem::new(StatusCode::BAD_REQUEST, "the query is not UTF-8");
                return Ok(Err(problem.response()));
            };
            let texts = texts.iter().map(|(name, text)| (&**name, &**text));
            encode_texts(&route.schema, method, texts, limits)
        }
        Verb::POST => {
            if !is_json(&parts.headers, &body) {
                let detail = "the body has to be application/json, and not encoded";
                let problem = Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
                return Ok(Err(problem.response()));
            }
            let json = whole(body, body_bytes.min(limits.message_bytes as u64)).await?;
            encode_arguments(&route.schema, method, &json, limits)
        }
        _ => return Ok(Err(not_allowed(may_get))),
    };
    Ok(written.map_err(|error| refusal(error).response()))
}

/// The whole of a body, if it is not larger than that.
async fn whole(body: Body, body_bytes: u64) -> Result<Bytes, Fault> {
    let mut body = limited(body, body_bytes)?;
    if let Some(bytes) = body.as_full() {
        return Ok(bytes);
    }
    let mut read = BytesMut::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data);
        }
    }
    Ok(read.freeze())
}

/// A body of another type is refused: that is also what keeps pages of other origins from
/// having a browser send it unasked.
fn is_json(headers: &Headers, body: &Body) -> bool {
    let media_type = headers.get(CONTENT_TYPE).map(FieldValue::as_bytes);
    let media_type = media_type.map(|it| it.split(|byte| *byte == b';').next().unwrap_or(it));
    let is_json = match media_type {
        Some(media_type) => media_type
            .trim_ascii()
            .eq_ignore_ascii_case(b"application/json"),
        None => body.size_hint().exact() == Some(0),
    };
    let encoding = headers.get(CONTENT_ENCODING).map(FieldValue::as_bytes);
    is_json && encoding.is_none_or(|it| it.eq_ignore_ascii_case(b"identity"))
}

fn not_allowed(may_get: bool) -> Response {
    let allowed = if may_get { "GET, HEAD, POST" } else { "POST" };
    let problem = Problem::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "the method is called otherwise",
    );
    let mut response = problem.response();
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn refusal(error: ArgumentsError) -> Problem {
    let status = match error.fault {
        ArgumentFault::Syntax => return Problem::new(StatusCode::BAD_REQUEST, error.message),
        ArgumentFault::Value => StatusCode::BAD_REQUEST,
        ArgumentFault::TooDeep => {
            limit::hit(Limit::MessageDepth);
            StatusCode::BAD_REQUEST
        }
        ArgumentFault::TooLarge => {
            limit::hit(Limit::MessageBytes);
            StatusCode::PAYLOAD_TOO_LARGE
        }
    };
    Problem::new(status, error.to_string())
}

async fn ask(
    route: &CallRoute,
    method: &Method,
    arguments: Bytes,
    caller: &Caller<'_>,
    context: &Context,
) -> Result<Option<Message>, Fault> {
    let call = Message {
        wire: Wire {
            transport: Transport::Framed,
            protocol: Protocol::Binary,
        },
        envelope: Envelope {
            // What is not to be told is taken off again.
            method: format!("{}:{}", route.service, method.name()).into(),
            kind: match method.is_one_way() {
                true => MessageKind::OneWay,
                false => MessageKind::Call,
            },
            sequence_id: caller.sequence_id,
        },
        headers: None,
        body: arguments,
    };
    let call = translated(call, route.spelling, route.limits()).map_err(fault)?;
    let asked = caller.upstream.ask(&call, &route.asking, context).await;
    asked.map_err(fault)
}

/// The response to a request whose call was answered.
fn answered(route: &CallRoute, method: &Method, reply: &Message) -> Result<Response, Fault> {
    let body = (reply.wire.protocol, &reply.body[..]);
    if reply.envelope.kind == MessageKind::Exception {
        return Ok(failed(route, body));
    }
    let replied = decode_reply(&route.schema, method, body, &route.json);
    let replied = replied.map_err(|error| {
        let detail = format!("{}: {error}", method.name());
        tracing::debug!(
            service = &*route.service,
            detail,
            "a reply is not as the IDL says"
        );
        Fault::new(FaultKind::UpstreamProtocol, detail)
    })?;
    Ok(match replied {
        Replied::Nothing => empty(StatusCode::NO_CONTENT),
        Replied::Value(json) => {
            let mut response = Response::new(Body::full(json));
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, JSON.clone());
            response
        }
        Replied::Exception { name, fields } => {
            Problem::exception(route.status_of(name), name, fields).response()
        }
    })
}

/// The service's Thrift library has an exception of its own. What it says is the operator's
/// affair.
fn failed(route: &CallRoute, (protocol, body): (Protocol, &[u8])) -> Response {
    let exception = ApplicationException::decode(body, protocol, route.limits());
    let kind = exception
        .as_ref()
        .map_or(ExceptionKind::Unknown, |it| it.kind);
    tracing::debug!(
        service = &*route.service,
        exception = exception.map_or_else(|error| error.to_string(), |it| it.to_string()),
        "the service has no result"
    );
    match kind {
        ExceptionKind::UnknownMethod => {
            let detail = "the service does not know the method";
            Problem::new(StatusCode::NOT_IMPLEMENTED, detail).response()
        }
        kind => {
            let detail = format!("the service failed: {}", kind.name());
            Problem::new(StatusCode::BAD_GATEWAY, detail).response()
        }
    }
}

fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// The same fault as HTTP has it.
fn fault(fault: thrift::Fault) -> Fault {
    let kind = match fault.kind() {
        thrift::FaultKind::NoEndpoint => FaultKind::NoEndpoint,
        thrift::FaultKind::UpstreamConnect => FaultKind::UpstreamConnect,
        thrift::FaultKind::UpstreamConnectTimeout => FaultKind::UpstreamConnectTimeout,
        thrift::FaultKind::UpstreamReset => FaultKind::UpstreamReset,
        thrift::FaultKind::UpstreamProtocol(_) | thrift::FaultKind::UpstreamSequence => {
            FaultKind::UpstreamProtocol
        }
        thrift::FaultKind::UpstreamTimeout => FaultKind::UpstreamTimeout,
        // Arguments that grew beyond the limit in the other protocol.
        thrift::FaultKind::Call(_) => FaultKind::Request(ParseError::BodyTooLarge),
        _ => FaultKind::Internal,
    };
    Fault::new(kind, fault.to_string())
}

//! Responses the gateway gives itself, and the limit on request bodies.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode, uri::PathAndQuery};
use http_body::Body as _;
use tidegate_http::h1::codec::ParseError;
use tidegate_http::headers::FieldValue;
use tidegate_http::{Body, Context, Fault, FaultKind, Request, Response};

use crate::route::{Params, RedirectSource, RedirectTarget};

/// A response that is always the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixedResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, with the type of the body.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: Bytes,
}

impl FixedResponse {
    /// A response of plain text.
    pub fn text(status: StatusCode, text: impl Into<Bytes>) -> Self {
        let plain = HeaderValue::from_static("text/plain; charset=utf-8");
        Self {
            status,
            headers: vec![(CONTENT_TYPE, plain)],
            body: text.into(),
        }
    }

    pub(super) fn response(&self) -> Response {
        let mut response = Response::new(Body::full(self.body.clone()));
        *response.status_mut() = self.status;
        for (name, value) in &self.headers {
            response.headers_mut().append(name, value.clone());
        }
        response
    }
}

/// Where a route sends clients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirect {
    /// The target, with the path's parameters filled in.
    pub to: RedirectTarget,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

impl Redirect {
    pub(super) fn response(
        &self,
        request: &Request,
        context: &Context,
        params: &Params<'_>,
    ) -> Result<Response, Fault> {
        let root = PathAndQuery::from_static("/");
        let source = RedirectSource {
            scheme: context.connection().scheme.as_str(),
            host: request
                .headers()
                .get(HOST)
                .and_then(FieldValue::to_str)
                .unwrap_or(""),
            path_and_query: request.uri().path_and_query().unwrap_or(&root),
        };
        let location = self
            .to
            .location(&source, params)
            .map_err(|error| Fault::new(FaultKind::BadRequest, error.to_string()))?;
        let mut response = plain(self.status);
        response.headers_mut().insert(LOCATION, location);
        Ok(response)
    }
}

/// A response that says what its status says.
pub(super) fn plain(status: StatusCode) -> Response {
    let mut response = Response::new(Body::from(status.canonical_reason().unwrap_or("")));
    *response.status_mut() = status;
    let text = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}

/// Holds a request body to the route's limit, before the upstream hears of it
/// where its length is known.
pub(super) fn limited(body: Body, body_bytes: u64) -> Result<Body, Fault> {
    match body.size_hint().exact() {
        Some(length) if length > body_bytes => Err(ParseError::BodyTooLarge.into()),
        Some(_) => Ok(body),
        None => {
            let mut left = body_bytes;
            Ok(body.inspect(move |frame| {
                let length = frame.data_ref().map_or(0, Bytes::len) as u64;
                left = left.checked_sub(length).ok_or(ParseError::BodyTooLarge)?;
                Ok(())
            }))
        }
    }
}

//! What went wrong, told in JSON (RFC 9457).

use std::borrow::Cow;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use tidegate_http::{Body, Response};

static PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");

/// One problem. Its type is `about:blank`, which is not written.
pub(super) struct Problem {
    status: StatusCode,
    kind: Kind,
}

enum Kind {
    /// The title is the status's own.
    Detail(Cow<'static, str>),
    /// The title is the exception's name; its fields are a JSON object.
    Exception { name: Box<str>, fields: Bytes },
}

impl Problem {
    pub(super) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            kind: Kind::Detail(detail.into()),
        }
    }

    pub(super) fn exception(status: StatusCode, name: &str, fields: Bytes) -> Self {
        Self {
            status,
            kind: Kind::Exception {
                name: name.into(),
                fields,
            },
        }
    }

    pub(super) fn response(&self) -> Response {
        let title = match &self.kind {
            Kind::Detail(_) => self.status.canonical_reason().unwrap_or_default(),
            Kind::Exception { name, .. } => name,
        };
        let mut json = br#"{"title":"#.to_vec();
        text(&mut json, title);
        json.extend_from_slice(br#","status":"#);
        json.extend_from_slice(self.status.as_str().as_bytes());
        match &self.kind {
            Kind::Detail(detail) => {
                json.extend_from_slice(br#","detail":"#);
                text(&mut json, detail);
            }
            Kind::Exception { fields, .. } => {
                json.extend_from_slice(br#","exception":"#);
                json.extend_from_slice(fields);
            }
        }
        json.push(b'}');
        let mut response = Response::new(Body::full(json));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, PROBLEM.clone());
        response
    }
}

fn text(json: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(json, text).expect("a vector takes what is written");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use serde_json::{Value, json};

    use super::*;

    fn body(problem: &Problem) -> Value {
        let response = problem.response();
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), PROBLEM);
        serde_json::from_slice(&response.body().as_full().unwrap()).unwrap()
    }

    #[test]
    fn a_problem_is_json_whatever_it_says() {
        let problem = Problem::new(StatusCode::BAD_REQUEST, "$[\"a\\b\"]: \n");
        let expected = json!({
            "title": "Bad Request", "status": 400, "detail": "$[\"a\\b\"]: \n",
        });
        assert_eq!(body(&problem), expected);
        let fields = Bytes::from_static(br#"{"name":"n"}"#);
        let problem = Problem::exception(StatusCode::NOT_FOUND, "Missing", fields);
        let expected = json!({"title": "Missing", "status": 404, "exception": {"name": "n"}});
        assert_eq!(body(&problem), expected);
    }
}

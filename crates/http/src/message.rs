//! Requests and responses, of whatever HTTP version.
//!
//! They are named and used as those of the `http` crate, whose methods, targets, statuses
//! and versions they have; what differs is the [`Headers`]. Conversions lead to the
//! crate's types and back.

use http::{Extensions, Method, StatusCode, Uri, Version};

use crate::body::Body;
use crate::headers::Headers;

/// A request.
#[derive(Debug)]
pub struct Request {
    parts: RequestParts,
    body: Body,
}

/// All of a request but its body.
#[derive(Clone, Debug, Default)]
pub struct RequestParts {
    /// The method.
    pub method: Method,
    /// The target.
    pub uri: Uri,
    /// The version of the message.
    pub version: Version,
    /// The fields.
    pub headers: Headers,
    /// What handlers tell one another.
    pub extensions: Extensions,
}

/// A response.
#[derive(Debug)]
pub struct Response {
    parts: ResponseParts,
    body: Body,
}

/// All of a response but its body.
#[derive(Clone, Debug, Default)]
pub struct ResponseParts {
    /// The status.
    pub status: StatusCode,
    /// The version of the message.
    pub version: Version,
    /// The fields.
    pub headers: Headers,
    /// What handlers tell one another.
    pub extensions: Extensions,
}

impl Request {
    /// `GET /` in HTTP/1.1, without a field.
    pub fn new(body: Body) -> Self {
        Self::from_parts(RequestParts::default(), body)
    }

    /// The method.
    pub const fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The method, to change it.
    pub const fn method_mut(&mut self) -> &mut Method {
        &mut self.parts.method
    }

    /// The target.
    pub const fn uri(&self) -> &Uri {
        &self.parts.uri
    }

    /// The target, to change it.
    pub const fn uri_mut(&mut self) -> &mut Uri {
        &mut self.parts.uri
    }

    /// The version of the message.
    pub const fn version(&self) -> Version {
        self.parts.version
    }

    /// The version, to change it.
    pub const fn version_mut(&mut self) -> &mut Version {
        &mut self.parts.version
    }
}

impl Response {
    /// `200 OK` in HTTP/1.1, without a field.
    pub fn new(body: Body) -> Self {
        Self::from_parts(ResponseParts::default(), body)
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.parts.status
    }

    /// The status, to change it.
    pub const fn status_mut(&mut self) -> &mut StatusCode {
        &mut self.parts.status
    }

    /// The version of the message.
    pub const fn version(&self) -> Version {
        self.parts.version
    }

    /// The version, to change it.
    pub const fn version_mut(&mut self) -> &mut Version {
        &mut self.parts.version
    }
}

/// What requests and responses have in common.
macro_rules! message {
    ($message:ident, $parts:ident) => {
        impl $message {
            /// A message of these.
            pub const fn from_parts(parts: $parts, body: Body) -> Self {
                Self { parts, body }
            }

            /// What it is made of.
            pub fn into_parts(self) -> ($parts, Body) {
                (self.parts, self.body)
            }

            /// The fields.
            pub const fn headers(&self) -> &Headers {
                &self.parts.headers
            }

            /// The fields, to change them.
            pub const fn headers_mut(&mut self) -> &mut Headers {
                &mut self.parts.headers
            }

            /// What handlers tell one another.
            pub const fn extensions(&self) -> &Extensions {
                &self.parts.extensions
            }

            /// What handlers tell one another, to add to it.
            pub const fn extensions_mut(&mut self) -> &mut Extensions {
                &mut self.parts.extensions
            }

            /// The body.
            pub const fn body(&self) -> &Body {
                &self.body
            }

            /// The body, to pull it or change it.
            pub const fn body_mut(&mut self) -> &mut Body {
                &mut self.body
            }

            /// The body alone.
            pub fn into_body(self) -> Body {
                self.body
            }

            /// The same message with what `change` makes of its body.
            #[must_use]
            pub fn map(self, change: impl FnOnce(Body) -> Body) -> Self {
                Self {
                    parts: self.parts,
                    body: change(self.body),
                }
            }
        }

        impl From<http::$message<Body>> for $message {
            fn from(message: http::$message<Body>) -> Self {
                let (parts, body) = message.into_parts();
                Self::from_parts(parts.into(), body)
            }
        }

        impl From<$message> for http::$message<Body> {
            fn from(message: $message) -> Self {
                let (parts, body) = message.into_parts();
                Self::from_parts(parts.into(), body)
            }
        }
    };
}

message!(Request, RequestParts);
message!(Response, ResponseParts);

impl From<http::request::Parts> for RequestParts {
    fn from(parts: http::request::Parts) -> Self {
        Self {
            method: parts.method,
            uri: parts.uri,
            version: parts.version,
            headers: parts.headers.into(),
            extensions: parts.extensions,
        }
    }
}

impl From<RequestParts> for http::request::Parts {
    fn from(ours: RequestParts) -> Self {
        let (mut parts, ()) = http::Request::new(()).into_parts();
        parts.method = ours.method;
        parts.uri = ours.uri;
        parts.version = ours.version;
        parts.headers = ours.headers.into();
        parts.extensions = ours.extensions;
        parts
    }
}

impl From<http::response::Parts> for ResponseParts {
    fn from(parts: http::response::Parts) -> Self {
        Self {
            status: parts.status,
            version: parts.version,
            headers: parts.headers.into(),
            extensions: parts.extensions,
        }
    }
}

impl From<ResponseParts> for http::response::Parts {
    fn from(ours: ResponseParts) -> Self {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = ours.status;
        parts.version = ours.version;
        parts.headers = ours.headers.into();
        parts.extensions = ours.extensions;
        parts
    }
}

//! The WebSocket handshake (RFC 6455 section 4.2), and a service that makes it in front of
//! a protocol that is spoken over WebSocket.

mod service;

use http::header::{
    ALLOW, HOST, ORIGIN, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderName, HeaderValue, Method, StatusCode, Version};
use tidegate_runtime::connections::Accepted;
use tidegate_runtime::websocket::WebSocketOptions;
use tungstenite::handshake::derive_accept_key;

pub use self::service::{
    WebSocketFactory, WebSocketMode, WebSocketService, WebSocketServiceError, WebSocketSite,
};
use crate::body::Body;
use crate::exchange::Exchange;
use crate::headers::{FieldValue, Headers};
use crate::message::Response;

#[cfg(test)]
mod tests;

/// The one version there is.
const VERSION: HeaderValue = HeaderValue::from_static("13");

const WEBSOCKET: HeaderValue = HeaderValue::from_static("websocket");

/// What a server agrees to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// The protocol that is spoken (RFC 6455 section 1.9); a client has to offer it.
    pub subprotocol: HeaderValue,
    /// Pages of which sites may connect.
    pub origins: Origins,
    /// What the connection is held to.
    pub options: WebSocketOptions,
}

/// Pages of which sites may connect. What is no browser sends no `Origin` and may always.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Those from the host that they connect to. Otherwise any page that a browser shows
    /// could use what its user may reach.
    #[default]
    Same,
    /// Those, and these (as `https://app.example.com`).
    Named(Vec<String>),
    /// All.
    All,
}

impl Handshake {
    /// Answers a request: either by the switch, after which `serve` has the connection, or
    /// by what is wrong with it.
    ///
    /// Dropping the response gives up the request.
    pub fn answer<F, T>(&self, exchange: &Exchange, serve: F) -> Response
    where
        F: FnOnce(Accepted) -> T + 'static,
        T: Future<Output = ()> + 'static,
    {
        let accept = match self.check(exchange) {
            Ok(accept) => accept,
            Err(refusal) => return refusal.response(),
        };
        let connection = exchange.context.connection();
        let (peer, local, options) = (connection.peer, connection.local, self.options);
        let mut response = Response::new(Body::takeover(move |io, handle| {
            serve(Accepted {
                io: io.over_websocket(options),
                peer,
                local,
                handle,
            })
        }));
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(UPGRADE, WEBSOCKET);
        headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        headers.insert(SEC_WEBSOCKET_PROTOCOL, self.subprotocol.clone());
        response
    }

    /// The key's answer, if there is nothing wrong with the request.
    fn check(&self, exchange: &Exchange) -> Result<HeaderValue, Refusal> {
        let request = &exchange.request;
        let headers = request.headers();
        if request.method() != Method::GET {
            return Err(Refusal::Method);
        }
        // HTTP/2 has another way (RFC 8441), which is not offered.
        let switches = request.version() == Version::HTTP_11 && exchange.context.asks_upgrade();
        if !switches || !names(headers, UPGRADE, b"websocket") {
            return Err(Refusal::Upgrade);
        }
        if !is_alone(headers, SEC_WEBSOCKET_VERSION, |value| value == VERSION) {
            return Err(Refusal::Upgrade);
        }
        if !is_alone(headers, SEC_WEBSOCKET_KEY, |value| is_key(value.as_bytes())) {
            return Err(Refusal::Key);
        }
        if !self.origins.admit(headers) {
            return Err(Refusal::Origin);
        }
        // Unlike the protocol's name, it is what it is, letter by letter.
        let wanted = self.subprotocol.as_bytes();
        if !items(headers, SEC_WEBSOCKET_PROTOCOL).any(|item| item == wanted) {
            return Err(Refusal::Subprotocol);
        }
        let key = headers.get(SEC_WEBSOCKET_KEY).ok_or(Refusal::Key)?;
        HeaderValue::try_from(derive_accept_key(key.as_bytes())).map_err(|_| Refusal::Key)
    }
}

impl Origins {
    fn admit(&self, headers: &Headers) -> bool {
        let Some(origin) = headers.get(ORIGIN) else {
            return true;
        };
        let named = match self {
            Self::All => return true,
            Self::Same => &[][..],
            Self::Named(named) => named,
        };
        let Some(origin) = origin.to_str() else {
            return false;
        };
        named.iter().any(|it| it.eq_ignore_ascii_case(origin)) || is_same(origin, headers)
    }
}

/// Whether a page comes from the host that was asked. Not the scheme: who terminates TLS
/// in front of us changes it.
fn is_same(origin: &str, headers: &Headers) -> bool {
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    let host = headers.get(HOST).and_then(FieldValue::to_str);
    match (authority, host) {
        (Some(authority), Some(host)) => authority.eq_ignore_ascii_case(host),
        _ => false,
    }
}

/// Whether the field occurs once, and passes.
fn is_alone(headers: &Headers, name: HeaderName, passes: impl Fn(FieldValue<'_>) -> bool) -> bool {
    let mut values = headers.get_all(name);
    values.next().is_some_and(passes) && values.next().is_none()
}

/// Whether the list in the field has `wanted` in it, in whatever case.
fn names(headers: &Headers, name: HeaderName, wanted: &[u8]) -> bool {
    items(headers, name).any(|item| item.eq_ignore_ascii_case(wanted))
}

fn items(headers: &Headers, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(name);
    let items = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    items.map(<[u8]>::trim_ascii)
}

/// Whether it is 16 bytes in base64 (RFC 6455 section 4.1).
fn is_key(value: &[u8]) -> bool {
    let in_alphabet = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let Some(digits) = value.strip_suffix(b"==") else {
        return false;
    };
    // Four bits of the last digit are not used, and have to be zero.
    digits.len() == 22
        && digits.iter().all(in_alphabet)
        && digits.last().is_some_and(|last| b"AQgw".contains(last))
}

/// What is wrong with a request.
enum Refusal {
    Method,
    Upgrade,
    Key,
    Origin,
    Subprotocol,
}

impl Refusal {
    fn response(&self) -> Response {
        let (status, text) = match self {
            Self::Method => (
                StatusCode::METHOD_NOT_ALLOWED,
                "a WebSocket begins with GET\n",
            ),
            Self::Upgrade => (
                StatusCode::UPGRADE_REQUIRED,
                "only WebSocket is spoken here\n",
            ),
            Self::Key => (StatusCode::BAD_REQUEST, "no valid Sec-WebSocket-Key\n"),
            Self::Origin => (
                StatusCode::FORBIDDEN,
                "pages of this origin may not connect\n",
            ),
            Self::Subprotocol => (
                StatusCode::BAD_REQUEST,
                "the subprotocol that is spoken here is not offered\n",
            ),
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        match self {
            Self::Method => {
                let get = HeaderValue::from_static("GET");
                response.headers_mut().insert(ALLOW, get);
            }
            // RFC 6455 section 4.4.
            Self::Upgrade => {
                response.headers_mut().insert(UPGRADE, WEBSOCKET);
                response
                    .headers_mut()
                    .insert(SEC_WEBSOCKET_VERSION, VERSION);
            }
            Self::Key | Self::Origin | Self::Subprotocol => {}
        }
        response
    }
}

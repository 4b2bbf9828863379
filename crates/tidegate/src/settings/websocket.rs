//! `websocket` of a server or a route: who may begin to speak it, and how.

use super::found::{all, quoted};
use super::scalars::{Zero, parsed};
use super::section::Section;
use http::{HeaderValue, Uri};
use tidegate_http::websocket::{Handshake, Origins};
use tidegate_runtime::websocket::WebSocketOptions;

/// `websocket` of a server whose listeners speak its protocol over WebSocket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebSocket {
    /// The path that clients ask for.
    pub path: String,
    /// What is agreed to.
    pub handshake: Handshake,
}

/// The name of MQTT as a subprotocol (MQTT 5.0 section 6).
const MQTT: HeaderValue = HeaderValue::from_static("mqtt");

const ORIGIN: &str = "an origin such as \"https://app.example.com\", or \"*\"";

impl WebSocket {
    pub(super) fn read(section: &mut Section<'_>) -> Option<Self> {
        section.about("WebSocket on every listener; without it MQTT is spoken as it is.");
        let path = section.parsed("path", "a path such as \"/mqtt\"", |text| {
            match text.parse::<Uri>() {
                Ok(uri) if text.starts_with('/') && uri.path() == text => Ok(text.to_owned()),
                _ => Err(format!("{} is not a path", quoted(text))),
            }
        });
        let path = path.about("The path that clients ask for.");
        let path = path.shown(|path| path.as_str().into());
        let path = path.or("/mqtt".to_owned());
        let handshake = read_handshake(section)?;
        Some(Self { path, handshake })
    }
}

/// Reads what a route says as well, whose path is its own.
pub(super) fn read_handshake(section: &mut Section<'_>) -> Option<Handshake> {
    let expected = "an array of origins";
    let origins = section.read("origins", expected, |found| {
        let items = found.items(expected)?;
        let origin = |text: &str| match is_origin(text) {
            true => Ok(text.to_owned()),
            false => Err(format!("{} is not an origin", quoted(text))),
        };
        all(items.iter().map(|item| parsed(item, ORIGIN, origin)))
    });
    let about = "Pages that browsers may come from; absent or empty: those of the same host.";
    let origins = origins.about(about).or(Vec::new());
    let default = WebSocketOptions::default();
    let frame_bytes = section
        .size("frame_bytes", Zero::Refused)
        .about("Bytes of a frame that a client sends.")
        .or(default.frame_bytes_max);
    Some(Handshake {
        subprotocol: MQTT,
        origins: match origins.as_slice() {
            [] => Origins::Same,
            some if some.iter().any(|it| it == "*") => Origins::All,
            _ => Origins::Named(origins),
        },
        options: WebSocketOptions {
            frame_bytes_max: frame_bytes,
        },
    })
}

/// As browsers spell them (RFC 6454 section 6.2): without a path.
fn is_origin(text: &str) -> bool {
    let authority = text.split_once("://").map(|(_, authority)| authority);
    let is_authority = |it: &str| !it.is_empty() && it.parse::<http::uri::Authority>().is_ok();
    text == "*" || authority.is_some_and(is_authority)
}

//! What a route does: send the request on, answer it, send the client elsewhere, let it into
//! a broker, or call a service.

use super::PREFIX;
use super::call::ThriftCall;
use super::headers::{self, fields};
use crate::settings::findings::Finding;
use crate::settings::references::References;
use crate::settings::section::Section;
use crate::settings::websocket::read_handshake;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use tidegate_gateway::route::{PathPattern, QueryPolicy, RedirectTarget, Rewrite, TemplateError};
use tidegate_http::websocket::Handshake;
use toml::de::DeValue;

/// What happens to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// `upstream = "api"`: it is sent on.
    Upstream {
        /// The upstream's name, which is defined.
        name: String,
        /// How the path is changed before.
        rewrite: Option<Rewrite>,
    },
    /// `respond = { ... }`: it is answered at once.
    Respond(Respond),
    /// `redirect = { ... }`: the client is sent elsewhere.
    Redirect(Redirect),
    /// `broker = "mqtt"`: the client speaks MQTT over WebSocket from here on.
    Broker {
        /// The server's name, which is defined and speaks MQTT.
        name: String,
        /// What is agreed to.
        handshake: Handshake,
    },
    /// `thrift = { ... }`: it is a call of a Thrift service.
    Thrift(Box<ThriftCall>),
}

/// A fixed response.
#[derive(Debug, Clone, PartialEq)]
pub struct Respond {
    /// The status; never an informational one.
    pub status: StatusCode,
    /// The body; empty where the status allows none.
    pub body: Bytes,
    /// The type of the body; absent when there is no body.
    pub content_type: Option<HeaderValue>,
    /// More header fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// A redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// Where to; parameters of the path are filled in.
    pub to: RedirectTarget,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

const ACTIONS: [&str; 5] = ["upstream", "respond", "redirect", "broker", "thrift"];

/// Reads the one action of a route that is for `path`, as far as that is known.
pub(super) fn read(
    section: &mut Section<'_>,
    path: Option<&PathPattern>,
    references: &References,
) -> Option<Action> {
    let expected = "the name of an upstream";
    let upstream = section.read("upstream", expected, |found| {
        let name = found.text(expected)?.to_owned();
        references.upstream(found.mention(name.clone()));
        Some(name)
    });
    let upstream = upstream.optional();
    let rewrite = section.read("rewrite", "a table", |found| {
        found.section(|section| read_rewrite(section, path))
    });
    let rewrite = rewrite.optional();
    let respond = section.optional_table("respond", Respond::read);
    let redirect = section.optional_table("redirect", |section| Redirect::read(section, path));
    let expected = "the name of a server with protocol = \"mqtt\"";
    let broker = section.read("broker", expected, |found| {
        let name = found.text(expected)?.to_owned();
        references.broker(found.mention(name.clone()));
        Some(name)
    });
    let broker = broker.optional();
    let handshake = section.table("websocket", read_handshake);
    let thrift = section.optional_table("thrift", |section| {
        ThriftCall::read(section, path, references).map(Box::new)
    });
    let one = "one of `upstream`, `respond`, `redirect`, `broker` and `thrift`";
    section.require_one(&ACTIONS, one);
    section.at_most_one(&ACTIONS, &format!("only {one}"));
    only_with(section, "rewrite", "upstream");
    only_with(section, "websocket", "broker");
    if let Some(thrift) = thrift? {
        return Some(Action::Thrift(thrift));
    }
    match (upstream?, respond?, redirect?, broker?) {
        (Some(name), ..) => Some(Action::Upstream {
            name,
            rewrite: rewrite?,
        }),
        (_, Some(respond), ..) => Some(Action::Respond(respond)),
        (_, _, Some(redirect), _) => Some(Action::Redirect(redirect)),
        (.., Some(name)) => Some(Action::Broker {
            name,
            handshake: handshake?,
        }),
        (None, None, None, None) => None,
    }
}

/// Reports a key that means something beside one action only, where there is another.
fn only_with(section: &Section<'_>, key: &'static str, action: &'static str) {
    let has_other = ACTIONS.iter().any(|it| section.has(it)) && !section.has(action);
    if !section.has(key) || !has_other {
        return;
    }
    let span = section.key_span(key).unwrap_or_else(|| section.span());
    let message = format!("`{key}` only goes together with `{action}`");
    let finding = Finding::new(span, section.path().child(key), message);
    let findings = section.findings();
    findings.push(finding.expected(format!("no `{key}` here")));
}

impl Respond {
    fn read(section: &mut Section<'_>) -> Option<Self> {
        let status = section.integer("status", 200..=599_u16).or(200);
        let status = StatusCode::from_u16(status).ok()?;
        let bodyless = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        let body = section.read("body", "text", |found| {
            let text = found.text("text")?;
            if bodyless && !text.is_empty() {
                let message = format!("a response with status {} has no body", status.as_u16());
                return found.refuse(message, "no `body`, or another status");
            }
            Some(Bytes::copy_from_slice(text.as_bytes()))
        });
        let body = body.or(Bytes::new());
        let expected = "a media type such as \"text/plain\"";
        let content_type = section.parsed("content_type", expected, |text| {
            let media = text.split(';').next().unwrap_or_default().trim();
            let (kind, subtype) = media.split_once('/').unwrap_or_default();
            match HeaderValue::from_str(text) {
                Ok(value) if !kind.is_empty() && !subtype.is_empty() => Ok(value),
                _ => Err(format!("{text:?} is not a media type")),
            }
        });
        let content_type = content_type.optional();
        let headers = section.read("headers", headers::FIELDS, fields);
        let headers = headers.or(Vec::new());
        let default =
            (!body.is_empty()).then_some(HeaderValue::from_static("text/plain; charset=utf-8"));
        Some(Self {
            status,
            body,
            content_type: content_type?.or(default),
            headers,
        })
    }
}

impl Redirect {
    fn read(section: &mut Section<'_>, path: Option<&PathPattern>) -> Option<Self> {
        let expected = "a URL or path such as \"https://example.com/{rest}\"";
        let queries = [("keep", QueryPolicy::Keep), ("drop", QueryPolicy::Drop)];
        let query = section.choice("query", &queries).or(QueryPolicy::Keep);
        let to = section.parsed("to", expected, |text| {
            let target = RedirectTarget::parse(text, query);
            let fits = |target: &RedirectTarget| path.map_or(Ok(()), |path| target.check(path));
            let checked = target.and_then(|target| fits(&target).map(|()| target));
            checked.map_err(|error| error.fault)
        });
        let to = to.required();
        let expected = "one of 301, 302, 303, 307, 308";
        let status = section.read("status", expected, |found| match found.value() {
            DeValue::Integer(status) => match status.as_str() {
                "301" => Some(StatusCode::MOVED_PERMANENTLY),
                "302" => Some(StatusCode::FOUND),
                "303" => Some(StatusCode::SEE_OTHER),
                "307" => Some(StatusCode::TEMPORARY_REDIRECT),
                "308" => Some(StatusCode::PERMANENT_REDIRECT),
                _ => found.refuse(format!("{status} is not a redirect"), expected),
            },
            _ => found.wrong_type(expected),
        });
        let status = status.or(StatusCode::PERMANENT_REDIRECT);
        Some(Self { to: to?, status })
    }
}

const REWRITES: [&str; 3] = ["path", "strip_prefix", "add_prefix"];

fn read_rewrite(section: &mut Section<'_>, path: Option<&PathPattern>) -> Option<Rewrite> {
    let mut read = |key, expected, parse: fn(&str) -> Result<Rewrite, TemplateError>| {
        let rewrite = section.parsed(key, expected, |text| {
            let fits = |rewrite: &Rewrite| path.map_or(Ok(()), |path| rewrite.check(path));
            let checked = parse(text).and_then(|rewrite| fits(&rewrite).map(|()| rewrite));
            checked.map_err(|error| error.fault)
        });
        rewrite.optional()
    };
    let new_path = read(
        "path",
        "a path such as \"/new/{rest}\"",
        Rewrite::replace_path,
    );
    let strip = read("strip_prefix", PREFIX, Rewrite::strip_prefix);
    let add = read("add_prefix", PREFIX, Rewrite::add_prefix);
    let expected = "one of `path`, `strip_prefix` and `add_prefix`";
    section.require_one(&REWRITES, expected);
    section.at_most_one(&REWRITES, expected);
    new_path?.or(strip?).or(add?)
}

//! What a route does: send the request on, answer it, or send the client elsewhere.

use super::headers::fields;
use super::pattern::{self, Template};
use super::{RoutePath, headers};
use crate::settings::findings::Finding;
use crate::settings::references::References;
use crate::settings::scalars::parsed;
use crate::settings::section::{Found, Section};
use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};

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
    pub to: Template,
    /// 301, 302, 303, 307 or 308.
    pub status: StatusCode,
}

/// How a path is changed before the request is sent on; the query stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewrite {
    /// `{ path = "/new/{rest}" }`: a new path.
    Path(Template),
    /// `{ strip_prefix = "/api" }`, `{ add_prefix = "/v1" }` or both.
    Prefix {
        /// What is taken off; every path of the route begins with it.
        strip: Option<String>,
        /// What is put before the rest.
        add: Option<String>,
    },
}

const ACTIONS: [&str; 3] = ["upstream", "respond", "redirect"];

/// Reads the one action of a route that is for `path`, as far as that is known.
pub(super) fn read(
    section: &mut Section<'_>,
    path: Option<&RoutePath>,
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
    section.require_one(&ACTIONS, "one of `upstream`, `respond` and `redirect`");
    section.at_most_one(&ACTIONS, "only one of `upstream`, `respond` and `redirect`");
    if section.has("rewrite")
        && !section.has("upstream")
        && (section.has("respond") || section.has("redirect"))
    {
        let span = section
            .key_span("rewrite")
            .unwrap_or_else(|| section.span());
        let key = section.path().child("rewrite");
        let finding = Finding::new(span, key, "`rewrite` only goes together with `upstream`");
        section
            .findings()
            .push(finding.expected("no `rewrite` here"));
    }
    match (upstream?, respond?, redirect?) {
        (Some(name), _, _) => Some(Action::Upstream {
            name,
            rewrite: rewrite?,
        }),
        (_, Some(respond), _) => Some(Action::Respond(respond)),
        (_, _, Some(redirect)) => Some(Action::Redirect(redirect)),
        (None, None, None) => None,
    }
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
        let content_type = content_type.optional()?;
        let headers = section.read("headers", headers::FIELDS, fields);
        let headers = headers.or(Vec::new());
        let default =
            (!body.is_empty()).then_some(HeaderValue::from_static("text/plain; charset=utf-8"));
        Some(Self {
            status,
            body,
            content_type: content_type.or(default),
            headers,
        })
    }
}

impl Redirect {
    fn read(section: &mut Section<'_>, path: Option<&RoutePath>) -> Option<Self> {
        let expected = "a URL or path such as \"https://example.com/{rest}\"";
        let to = section.read("to", expected, |found| {
            let text = found.text(expected)?;
            if !["/", "http://", "https://"]
                .iter()
                .any(|start| text.starts_with(start))
            {
                return found.refuse("this is neither a URL nor a path", expected);
            }
            template(found, expected, path)
        });
        let to = to.required();
        let expected = "one of 301, 302, 303, 307, 308";
        let status = section.read("status", expected, |found| match found.value() {
            toml::de::DeValue::Integer(status) => match status.as_str() {
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

fn read_rewrite(section: &mut Section<'_>, path: Option<&RoutePath>) -> Option<Rewrite> {
    let expected = "a path such as \"/new/{rest}\"";
    let new_path = section.read("path", expected, |found| {
        if !found.text(expected)?.starts_with('/') {
            return found.refuse("the path does not begin with a slash", expected);
        }
        template(found, expected, path)
    });
    let new_path = new_path.optional();
    let strip = section.read("strip_prefix", pattern::PREFIX, |found| {
        let strip = parsed(found, pattern::PREFIX, pattern::parse_prefix)?;
        match path.is_none_or(|path| begins_with(path, &strip)) {
            true => Some(strip),
            false => found.refuse(
                format!("not every path of this route begins with {strip:?}"),
                "a prefix of the route's `path` or `prefix`",
            ),
        }
    });
    let strip = strip.optional();
    let add = section.parsed("add_prefix", pattern::PREFIX, pattern::parse_prefix);
    let add = add.optional();
    section.require_one(
        &["path", "strip_prefix", "add_prefix"],
        "one of `path`, `strip_prefix` and `add_prefix`",
    );
    if section.has("strip_prefix") {
        section.at_most_one(&["path", "strip_prefix"], "either a `path` or prefixes");
    } else {
        section.at_most_one(&["path", "add_prefix"], "either a `path` or prefixes");
    }
    let (strip, add) = (strip?, add?);
    match new_path? {
        Some(template) => Some(Rewrite::Path(template)),
        None if strip.is_none() && add.is_none() => None,
        None => Some(Rewrite::Prefix { strip, add }),
    }
}

/// Whether every path of the route begins with the whole segments of `prefix`.
fn begins_with(path: &RoutePath, prefix: &str) -> bool {
    let (start, is_whole) = match path {
        RoutePath::Pattern(pattern) => {
            let start = pattern.literal_start();
            (start, start.len() == pattern.as_str().len())
        }
        RoutePath::Prefix(start) => (start.as_str(), true),
    };
    start.strip_prefix(prefix).is_some_and(|rest| {
        prefix.ends_with('/') || rest.starts_with('/') || (rest.is_empty() && is_whole)
    })
}

/// A template whose parameters are all in the route's path.
fn template(found: &Found<'_>, expected: &str, path: Option<&RoutePath>) -> Option<Template> {
    let template = parsed(found, expected, str::parse::<Template>)?;
    let known: &[String] = match path {
        None => return Some(template),
        Some(RoutePath::Pattern(pattern)) => pattern.parameters(),
        Some(RoutePath::Prefix(_)) => &[],
    };
    let unknown = template
        .parameters()
        .find(|name| !known.iter().any(|known| known == name));
    match unknown {
        None => Some(template),
        Some(name) => {
            let known: Vec<String> = known.iter().map(|name| format!("{{{name}}}")).collect();
            let expected = match known.is_empty() {
                true => "no parameters: the route's path has none".to_owned(),
                false => format!("a parameter of the route's path: {}", known.join(", ")),
            };
            found.refuse(format!("the path has no parameter `{name}`"), expected)
        }
    }
}

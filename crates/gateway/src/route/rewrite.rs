//! What a route does to the path before it goes upstream, and where redirects lead.
//!
//! Both work on the canonical path and its parameters, whose escapes stay as they are,
//! and keep the query byte for byte. The result is checked again, so that pieces that
//! were harmless apart cannot form a `..` segment together.

use bytes::Bytes;
use http::HeaderValue;
use http::uri::PathAndQuery;

use super::params::Params;
use super::path::{self, PathFault};
use super::pattern::PathPattern;
use super::template::{Template, TemplateError, TemplateFault};

/// A change of the request's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite(Change);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    Replace(Template),
    Strip(Box<str>),
    Add(Box<str>),
}

/// Why a path could not be rewritten, or a redirect's target not be formed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RewriteError {
    /// The peer's path is ambiguous, or would make the new one so: answer 400.
    #[error(transparent)]
    Path(#[from] PathFault),
    /// The host cannot be part of a URI: answer 400.
    #[error("the request's host cannot be part of a URI")]
    Host,
    /// The result is no URI: answer 400.
    #[error("the rewritten path is no valid URI")]
    Uri,
}

impl Rewrite {
    /// Replaces the whole path, as in `/v2/{rest}`. A query in the template goes
    /// before the request's own.
    ///
    /// # Errors
    ///
    /// What is wrong with the template.
    pub fn replace_path(template: &str) -> Result<Self, TemplateError> {
        let template = Template::parse(template)?;
        if !template.literal_start().starts_with('/') {
            return Err(template.fault(TemplateFault::NotAbsolute));
        }
        if template.literals().any(|literal| literal.contains('#')) {
            return Err(template.fault(TemplateFault::NotAPath('#')));
        }
        let start = template.literal_start();
        if path::is_ambiguous(start.split('?').next().unwrap_or(start)) {
            return Err(template.fault(TemplateFault::Ambiguous));
        }
        Ok(Self(Change::Replace(template)))
    }

    /// Strips the leading segments `prefix`; a path that does not have them goes on
    /// unchanged. What is left of the prefix itself is `/`.
    ///
    /// # Errors
    ///
    /// What is wrong with the prefix.
    pub fn strip_prefix(prefix: &str) -> Result<Self, TemplateError> {
        prefix_path(prefix).map(|prefix| Self(Change::Strip(prefix)))
    }

    /// Puts the segments `prefix` in front.
    ///
    /// # Errors
    ///
    /// What is wrong with the prefix.
    pub fn add_prefix(prefix: &str) -> Result<Self, TemplateError> {
        prefix_path(prefix).map(|prefix| Self(Change::Add(prefix)))
    }

    /// Whether the rewrite makes sense on a route for `pattern`: its names are the
    /// pattern's, and a prefix to strip is one its paths can have.
    ///
    /// # Errors
    ///
    /// Why it does not.
    pub fn check(&self, pattern: &PathPattern) -> Result<(), TemplateError> {
        match &self.0 {
            Change::Replace(template) => template.check(pattern, &[]),
            Change::Add(_) => Ok(()),
            Change::Strip(prefix) => {
                let start = pattern.literal_start();
                let fits = start.starts_with(&**prefix) || prefix.starts_with(&start);
                fits.then_some(()).ok_or_else(|| TemplateError {
                    template: prefix.to_string(),
                    fault: TemplateFault::NothingToStrip,
                })
            }
        }
    }

    /// The new path, with the query of `original`.
    ///
    /// # Errors
    ///
    /// When the result would be ambiguous or no URI: the peer is to blame.
    pub fn apply(
        &self,
        original: &PathAndQuery,
        params: &Params<'_>,
    ) -> Result<PathAndQuery, RewriteError> {
        let mut text = String::with_capacity(original.as_str().len() + 32);
        match &self.0 {
            Change::Replace(template) => template.render(params, |_| None, &mut text),
            Change::Strip(prefix) => {
                let path = path::canonical(original.path())?;
                text.push_str(stripped(&path, prefix));
            }
            Change::Add(prefix) => {
                text.push_str(prefix);
                text.push_str(&path::canonical(original.path())?);
            }
        }
        let path = text.split('?').next().unwrap_or(&text);
        path::canonical(path)?;
        add_query(&mut text, original.query());
        PathAndQuery::from_maybe_shared(Bytes::from(text)).map_err(|_| RewriteError::Uri)
    }
}

fn stripped<'a>(path: &'a str, prefix: &str) -> &'a str {
    match path.strip_prefix(prefix) {
        Some("") => "/",
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

fn prefix_path(text: &str) -> Result<Box<str>, TemplateError> {
    let error = |fault| TemplateError {
        template: text.to_owned(),
        fault,
    };
    if !text.starts_with('/') {
        return Err(error(TemplateFault::NotAbsolute));
    }
    if let Some(character) = text.chars().find(|c| matches!(c, '?' | '#')) {
        return Err(error(TemplateFault::NotAPath(character)));
    }
    let foreign = |character: &char| !character.is_ascii_graphic() || *character == '\\';
    if let Some(character) = text.chars().find(foreign) {
        return Err(error(TemplateFault::Character(character)));
    }
    let canonical = path::canonical(text).map_err(|_| error(TemplateFault::Ambiguous))?;
    let trimmed = canonical.strip_suffix('/').unwrap_or(&canonical);
    Ok(trimmed.into())
}

fn add_query(text: &mut String, query: Option<&str>) {
    if let Some(query) = query {
        text.push(if text.contains('?') { '&' } else { '?' });
        text.push_str(query);
    }
}

/// What becomes of a redirected request's query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum QueryPolicy {
    /// It is kept, after the target's own.
    #[default]
    Keep,
    /// It is dropped.
    Drop,
}

/// Where a redirect leads: a template such as `https://{host}{path}` or `/new/{rest}`.
///
/// Beside the path's parameters it knows `{scheme}`, `{host}` (without port) and
/// `{path}` (with its leading slash); a parameter of that name goes first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectTarget {
    template: Template,
    fragment: Option<Box<str>>,
    query: QueryPolicy,
}

/// The parts of the request that a redirect may repeat.
#[derive(Clone, Copy, Debug)]
pub struct RedirectSource<'a> {
    /// `http` or `https`.
    pub scheme: &'a str,
    /// As in the `Host` field or `:authority`.
    pub host: &'a str,
    /// The request's target.
    pub path_and_query: &'a PathAndQuery,
}

const REDIRECT_NAMES: [&str; 3] = ["scheme", "host", "path"];

impl RedirectTarget {
    /// Parses a target.
    ///
    /// # Errors
    ///
    /// What is wrong with the template.
    pub fn parse(text: &str, query: QueryPolicy) -> Result<Self, TemplateError> {
        let (target, fragment) = match text.split_once('#') {
            Some((target, fragment)) => (target, Some(Box::from(fragment))),
            None => (text, None),
        };
        Template::parse(text)?;
        let template = Template::parse(target)?;
        let start = template.literal_start();
        let known = ["/", "http://", "https://"];
        let after_scheme = target.strip_prefix("{scheme}");
        if !known.iter().any(|known| start.starts_with(known))
            && !template.starts_with_param("path")
            && !after_scheme.is_some_and(|rest| rest.starts_with("://"))
        {
            return Err(template.fault(TemplateFault::NotATarget));
        }
        Ok(Self {
            template,
            fragment,
            query,
        })
    }

    /// Whether every name in the target is known on a route for `pattern`.
    ///
    /// # Errors
    ///
    /// The name that is not.
    pub fn check(&self, pattern: &PathPattern) -> Result<(), TemplateError> {
        self.template.check(pattern, &REDIRECT_NAMES)
    }

    /// The value of the `Location` field (RFC 9110 section 10.2.2).
    ///
    /// # Errors
    ///
    /// When what the peer sent cannot be part of a URI.
    pub fn location(
        &self,
        source: &RedirectSource<'_>,
        params: &Params<'_>,
    ) -> Result<HeaderValue, RewriteError> {
        let path = path::canonical(source.path_and_query.path())?;
        let host = bare_host(source.host);
        let mut text = String::with_capacity(64 + path.len());
        let builtin = |name: &str| match name {
            "scheme" => Some(source.scheme),
            "host" => Some(host),
            "path" => Some(&*path),
            _ => None,
        };
        if host.bytes().any(|byte| !is_host_byte(byte)) {
            return Err(RewriteError::Host);
        }
        self.template.render(params, builtin, &mut text);
        // A target of one's own site must not turn into `//somewhere-else`.
        if text.starts_with("//") && !self.template.literal_start().starts_with("//") {
            return Err(RewriteError::Uri);
        }
        if self.query == QueryPolicy::Keep {
            add_query(&mut text, source.path_and_query.query());
        }
        if let Some(fragment) = &self.fragment {
            text.push('#');
            text.push_str(fragment);
        }
        HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| RewriteError::Uri)
    }
}

fn bare_host(host: &str) -> &str {
    match host.find(']') {
        Some(end) if host.starts_with('[') => &host[..=end],
        _ => host.split(':').next().unwrap_or(host),
    }
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']')
}

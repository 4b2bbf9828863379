//! The patterns routes are written in: hosts, paths and templates.

use crate::settings::address::parse_host;
use crate::settings::section::quoted;
use std::fmt;
use std::str::FromStr;

pub(super) const HOST: &str = "a host such as \"example.com\" or \"*.example.com\", without a port";
pub(super) const PATH: &str = "a path such as \"/users/{id}\" or \"/files/{*rest}\"";
pub(super) const PREFIX: &str = "a path prefix such as \"/api\"";

/// The hosts a route is for. Hosts are compared without case and without port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// `"example.com"`: this host, in lower case.
    Exact(String),
    /// `"*.example.com"`: every host below this one, but not itself; in lower case,
    /// without the star and its dot.
    Below(String),
}

impl FromStr for HostPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(host) = text.strip_prefix("*.") {
            return parse_host(host).map(Self::Below);
        }
        if let Some(address) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
            return parse_host(address).map(|address| Self::Exact(format!("[{address}]")));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Err(format!("{} has a port", quoted(text)))
            }
            _ => parse_host(text).map(Self::Exact),
        }
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => formatter.write_str(host),
            Self::Below(host) => write!(formatter, "*.{host}"),
        }
    }
}

/// A whole path: literal segments, `{name}` for one segment, and at the end
/// `{*name}` for everything that is left.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPattern {
    text: String,
    parameters: Vec<String>,
}

impl PathPattern {
    /// The pattern as it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The names of its parameters, in order.
    pub fn parameters(&self) -> &[String] {
        &self.parameters
    }

    /// The pattern without the names of its parameters: two patterns of one shape
    /// are for the same paths.
    pub(super) fn shape(&self) -> String {
        let segments = self.text.split('/').map(|segment| match segment {
            _ if segment.starts_with("{*") => "{*}",
            _ if segment.starts_with('{') => "{}",
            literal => literal,
        });
        segments.collect::<Vec<_>>().join("/")
    }

    /// What precedes the first parameter.
    pub(super) fn literal_start(&self) -> &str {
        self.text.split('{').next().unwrap_or_default()
    }
}

impl FromStr for PathPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let rest = plain_path(text)?;
        let mut parameters: Vec<String> = Vec::new();
        let mut segments = rest.split('/').peekable();
        while let Some(segment) = segments.next() {
            let inner = segment.strip_prefix('{').and_then(|s| s.strip_suffix('}'));
            let Some(inner) = inner else {
                if segment.contains(['{', '}']) {
                    return Err(format!(
                        "a parameter has to be a whole segment, not {segment:?}"
                    ));
                }
                continue;
            };
            let name = inner.strip_prefix('*').unwrap_or(inner);
            check_name(name)?;
            if inner.starts_with('*') && segments.peek().is_some() {
                return Err(format!(
                    "{segment:?} takes all that is left and has to be last"
                ));
            }
            if parameters.iter().any(|known| known == name) {
                return Err(format!("the parameter `{name}` is there twice"));
            }
            parameters.push(name.to_owned());
        }
        Ok(Self {
            text: text.to_owned(),
            parameters,
        })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

/// What follows the leading slash of a path that has no query.
fn plain_path(text: &str) -> Result<&str, String> {
    let Some(rest) = text.strip_prefix('/') else {
        return Err(format!("{} does not begin with a slash", quoted(text)));
    };
    let strange =
        |c: char| !c.is_ascii_graphic() || matches!(c, '?' | '#' | '"' | '\\' | '<' | '>');
    match rest.chars().find(|c| strange(*c)) {
        Some(c) => Err(format!("{c:?} cannot be in a path")),
        None => Ok(rest),
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || !name.bytes().all(fits) || name.as_bytes()[0].is_ascii_digit() {
        return Err(format!("{} cannot name a parameter", quoted(name)));
    }
    Ok(())
}

/// A path without parameters.
pub(super) fn parse_prefix(text: &str) -> Result<String, String> {
    if plain_path(text)?.contains(['{', '}']) {
        return Err("a prefix has no parameters".to_owned());
    }
    Ok(text.to_owned())
}

/// A text with places for the parameters of a route's path: `"/new/{rest}"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that stays.
    Literal(String),
    /// The name of the parameter whose value comes here.
    Parameter(String),
}

impl Template {
    /// The parts, in order.
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The names of the parameters it wants.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Parameter(name) => Some(name.as_str()),
            Part::Literal(_) => None,
        })
    }
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(c) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(format!("{c:?} has to be percent-encoded"));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once('{') {
            let Some((name, after)) = after.split_once('}') else {
                return Err(format!("a brace is not closed in {}", quoted(text)));
            };
            if let Some(plain) = name.strip_prefix('*') {
                return Err(format!("write {{{plain}}} here, without the star"));
            }
            check_name(name)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            parts.push(Part::Parameter(name.to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        match parts
            .iter()
            .any(|part| matches!(part, Part::Literal(l) if l.contains('}')))
        {
            true => Err(format!("a brace is not opened in {}", quoted(text))),
            false => Ok(Self { parts }),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.parts {
            match part {
                Part::Literal(text) => formatter.write_str(text)?,
                Part::Parameter(name) => write!(formatter, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn hosts_are_lower_case_and_without_port() {
        let host = |text: &str| text.parse::<HostPattern>();
        assert_eq!(
            host("Example.COM").unwrap(),
            HostPattern::Exact("example.com".to_owned())
        );
        assert_eq!(host("*.a.b").unwrap(), HostPattern::Below("a.b".to_owned()));
        assert_eq!(
            host("[::1]").unwrap(),
            HostPattern::Exact("[::1]".to_owned())
        );
        for wrong in [
            "",
            "*",
            "*.",
            "a.*",
            "a..b",
            "a:80",
            "http://a",
            "a/b",
            "ä.de",
            "1.2.3.4.5",
        ] {
            assert!(host(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn parameters_are_whole_segments_and_the_rest_is_last() {
        let path = |text: &str| text.parse::<PathPattern>();
        assert_eq!(
            path("/a/{id}/{*rest}").unwrap().parameters(),
            ["id", "rest"]
        );
        assert_eq!(path("/a/{id}/{*rest}").unwrap().shape(), "/a/{}/{*}");
        assert!(path("/").unwrap().parameters().is_empty());
        for wrong in [
            "", "a", "/{", "/{}", "/{1a}", "/{a", "/a}", "/x{a}", "/{*r}/b", "/{a}/{a}", "/a?b",
            "/ä", "/a b",
        ] {
            assert!(path(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn templates_print_as_they_were_written() {
        for text in ["/new/{rest}", "https://a.b/{x}-{y}?q=1", "/", ""] {
            assert_eq!(text.parse::<Template>().unwrap().to_string(), text);
        }
        for wrong in ["/{", "/}", "/{*rest}", "/{a b}", "/ü"] {
            assert!(wrong.parse::<Template>().is_err(), "{wrong:?}");
        }
    }
}

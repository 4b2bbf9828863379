//! Path patterns, checked when they are parsed so that building a table can fail
//! only by conflict.

use std::fmt;

use super::path::{self, PathFault};

/// The most parameters one pattern may have.
pub const ROUTE_PARAMS_MAX: usize = 16;

/// The paths a route is for.
///
/// [`parse`](Self::parse) takes `/exact`, `/users/{id}/x` (a parameter is never empty,
/// one to a segment, with literal text around it if wanted: `/v{major}/x`) and
/// `/api/{*rest}`: what is below `/api/`, including `/api/` itself with an empty rest,
/// but not `/api`. [`prefix`](Self::prefix) takes whole segments: `/api` serves `/api`,
/// `/api/` and `/api/x`, not `/apix`; what follows is the parameter `rest`.
/// `{{` and `}}` stand for braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern {
    /// As the operator wrote it.
    text: Box<str>,
    /// What the router is given, in canonical spelling.
    matched: String,
    reach: Reach,
    params: Vec<Box<str>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// One path, or one per value of its parameters.
    Whole,
    /// Everything below.
    Rest,
    /// The path and everything below.
    Prefix,
}

/// A text that is no path pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("path pattern `{pattern}`: {fault}")]
pub struct PathPatternError {
    /// The text.
    pub pattern: String,
    /// What is wrong with it.
    pub fault: PathPatternFault,
}

/// What is wrong with a path pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathPatternFault {
    /// It does not start at the root.
    #[error("it must start with `/`")]
    NotAbsolute,
    /// Two slashes in a row, which no canonical path has.
    #[error("it has an empty segment, and runs of `/` are matched as one")]
    EmptySegment,
    /// A `.` or `..` segment, which no accepted path has.
    #[error("it has a `.` or `..` segment, and such paths are refused")]
    DotSegment,
    /// A character that is only in a path as an escape, if at all.
    #[error("`{0}` cannot be in a path; write it percent-encoded")]
    Character(char),
    /// A `%` without two hexadecimal digits, or an escaped NUL.
    #[error("it has a broken escape")]
    Escape,
    /// A brace without its other half.
    #[error("a `{{` or `}}` stands alone; write `{{{{` or `}}}}` for the character itself")]
    Brace,
    /// A name that is not made of letters, digits, `_` and `-`.
    #[error("`{0}` is no parameter name; use letters, digits, `_` and `-`")]
    ParamName(String),
    /// The same name twice.
    #[error("the parameter `{0}` appears twice")]
    DuplicateParam(String),
    /// Two parameters in a segment.
    #[error("a segment can have one parameter only")]
    ParamsInSegment,
    /// More than [`ROUTE_PARAMS_MAX`] parameters.
    #[error("it has more than {ROUTE_PARAMS_MAX} parameters")]
    TooManyParams,
    /// `{*rest}` anywhere but as the whole last segment.
    #[error("`{{*{0}}}` must be the whole last segment")]
    MisplacedRest(String),
    /// `{*rest}` in a prefix.
    #[error("a prefix already takes everything below it; leave `{{*{0}}}` out")]
    RestInPrefix(String),
    /// The router refused it for another reason.
    #[error("{0}")]
    Refused(String),
}

impl fmt::Display for PathPattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl PathPattern {
    /// An exact path, with parameters, or with a rest.
    ///
    /// # Errors
    ///
    /// What is wrong with `text`.
    pub fn parse(text: &str) -> Result<Self, PathPatternError> {
        Self::checked(text, Parser::run(text))
    }

    /// The path `text` and everything below it, by whole segments. A trailing slash
    /// makes no difference; parameters are allowed, a rest is not.
    ///
    /// # Errors
    ///
    /// What is wrong with `text`.
    pub fn prefix(text: &str) -> Result<Self, PathPatternError> {
        Self::checked(text, Parser::run(text).and_then(Parser::into_prefix))
    }

    /// The names in the pattern, in order; the last one of a prefix is `rest`.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.params.iter().map(AsRef::as_ref)
    }

    /// The text before the first parameter, in canonical spelling.
    pub(super) fn literal_start(&self) -> String {
        let mut literal = String::new();
        let mut characters = self.matched.chars().peekable();
        while let Some(character) = characters.next() {
            if matches!(character, '{' | '}') && characters.next_if_eq(&character).is_none() {
                break;
            }
            literal.push(character);
        }
        literal
    }

    /// The name of what follows a prefix or stands for `{*rest}`.
    pub fn rest_name(&self) -> Option<&str> {
        match self.reach {
            Reach::Whole => None,
            Reach::Rest | Reach::Prefix => self.params.last().map(AsRef::as_ref),
        }
    }

    pub(super) fn matched(&self) -> String {
        self.matched.clone()
    }

    /// The pattern with parameter names left out: equal shapes match equal paths.
    pub(super) fn shape(&self) -> String {
        shape(&self.matched)
    }

    /// Whether `matched` is this pattern as the router knows it.
    pub(super) fn spells(&self, matched: &str) -> bool {
        self.matched == matched || self.implied().iter().any(|implied| implied == matched)
    }

    /// The paths with an empty rest, which the router does not match by itself.
    pub(super) fn implied(&self) -> Vec<String> {
        let Some(rest) = self.matched.rfind("{*") else {
            return Vec::new();
        };
        let with_slash = self.matched[..rest].to_owned();
        let without_slash = &self.matched[..rest - 1];
        match self.reach {
            Reach::Prefix if !without_slash.is_empty() => {
                vec![without_slash.to_owned(), with_slash]
            }
            _ => vec![with_slash],
        }
    }

    fn checked(
        text: &str,
        parsed: Result<Parser, PathPatternFault>,
    ) -> Result<Self, PathPatternError> {
        let checked = parsed.and_then(|parser| {
            // A pattern the router refuses must fail here, not while a chain is built.
            matchit::Router::new()
                .insert(parser.matched.as_str(), ())
                .map_err(|error| PathPatternFault::Refused(error.to_string()))?;
            Ok(parser)
        });
        match checked {
            Ok(parser) => Ok(Self {
                text: text.into(),
                matched: parser.matched,
                reach: parser.reach,
                params: parser.params,
            }),
            Err(fault) => Err(PathPatternError {
                pattern: text.to_owned(),
                fault,
            }),
        }
    }
}

/// `matched` with parameter names left out.
pub(super) fn shape(matched: &str) -> String {
    let mut shape = String::with_capacity(matched.len());
    let mut characters = matched.chars().peekable();
    while let Some(character) = characters.next() {
        shape.push(character);
        if !matches!(character, '{' | '}') {
            continue;
        }
        if let Some(escaped) = characters.next_if_eq(&character) {
            shape.push(escaped);
        } else if character == '{' {
            shape.extend(characters.next_if_eq(&'*'));
            while characters.next_if(|next| *next != '}').is_some() {}
        }
    }
    shape
}

struct Parser {
    matched: String,
    reach: Reach,
    params: Vec<Box<str>>,
}

impl Parser {
    fn run(text: &str) -> Result<Self, PathPatternFault> {
        let below_root = text.strip_prefix('/');
        let below_root = below_root.ok_or(PathPatternFault::NotAbsolute)?;
        let mut parser = Self {
            matched: String::with_capacity(text.len()),
            reach: Reach::Whole,
            params: Vec::new(),
        };
        let mut segments = below_root.split('/').peekable();
        while let Some(segment) = segments.next() {
            parser.matched.push('/');
            let last = segments.peek().is_none();
            if segment.is_empty() && !last {
                return Err(PathPatternFault::EmptySegment);
            }
            parser.segment(segment)?;
            if parser.reach == Reach::Rest && !last {
                let rest = parser.params.pop().unwrap_or_default();
                return Err(PathPatternFault::MisplacedRest(rest.into()));
            }
        }
        Ok(parser)
    }

    fn into_prefix(mut self) -> Result<Self, PathPatternFault> {
        if self.reach == Reach::Rest {
            let rest = self.params.pop().unwrap_or_default();
            return Err(PathPatternFault::RestInPrefix(rest.into()));
        }
        if !self.matched.ends_with('/') {
            self.matched.push('/');
        }
        self.param("rest")?;
        self.matched.push_str("{*rest}");
        self.reach = Reach::Prefix;
        Ok(self)
    }

    fn segment(&mut self, segment: &str) -> Result<(), PathPatternFault> {
        let params_before = self.params.len();
        let mut literal = String::new();
        let mut left = segment;
        while let Some(brace) = left.find(['{', '}']) {
            literal.push_str(&left[..brace]);
            let from_brace = &left[brace..];
            if let Some(after) = from_brace.strip_prefix("{{") {
                literal.push('{');
                left = after;
            } else if let Some(after) = from_brace.strip_prefix("}}") {
                literal.push('}');
                left = after;
            } else {
                self.literal(&literal)?;
                literal.clear();
                let inside = from_brace.strip_prefix('{');
                let inside = inside.and_then(|inside| inside.split_once('}'));
                let (name, after) = inside.ok_or(PathPatternFault::Brace)?;
                if self.params.len() > params_before {
                    return Err(PathPatternFault::ParamsInSegment);
                }
                let whole_segment = brace == 0 && left.len() == segment.len() && after.is_empty();
                self.named(name, whole_segment)?;
                left = after;
            }
        }
        literal.push_str(left);
        let whole_segment = self.params.len() == params_before;
        if whole_segment && path::canonical(&format!("/{literal}")) == Err(PathFault::DotSegment) {
            return Err(PathPatternFault::DotSegment);
        }
        self.literal(&literal)
    }

    fn named(&mut self, name: &str, whole_segment: bool) -> Result<(), PathPatternFault> {
        if let Some(rest) = name.strip_prefix('*') {
            if !whole_segment {
                return Err(PathPatternFault::MisplacedRest(rest.to_owned()));
            }
            self.reach = Reach::Rest;
        }
        self.param(name.trim_start_matches('*'))?;
        self.matched.push('{');
        self.matched.push_str(name);
        self.matched.push('}');
        Ok(())
    }

    fn param(&mut self, name: &str) -> Result<(), PathPatternFault> {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        if name.is_empty() || !name.bytes().all(known) {
            return Err(PathPatternFault::ParamName(name.to_owned()));
        }
        if self.params.iter().any(|param| **param == *name) {
            return Err(PathPatternFault::DuplicateParam(name.to_owned()));
        }
        if self.params.len() == ROUTE_PARAMS_MAX {
            return Err(PathPatternFault::TooManyParams);
        }
        self.params.push(name.into());
        Ok(())
    }

    /// Adds literal text in the spelling requests are matched in.
    fn literal(&mut self, text: &str) -> Result<(), PathPatternFault> {
        let foreign = |character: &char| {
            !character.is_ascii_graphic() || matches!(character, '?' | '#' | '\\')
        };
        if let Some(character) = text.chars().find(foreign) {
            return Err(PathPatternFault::Character(character));
        }
        let canonical = path::canonical(text).map_err(|fault| match fault {
            PathFault::DotSegment => PathPatternFault::DotSegment,
            _ => PathPatternFault::Escape,
        })?;
        for character in canonical.chars() {
            self.matched.push(character);
            if matches!(character, '{' | '}') {
                self.matched.push(character);
            }
        }
        Ok(())
    }
}

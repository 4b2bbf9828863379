//! Texts with `{names}` to fill in: replacement paths and redirect targets.

use std::fmt;

use super::params::Params;
use super::pattern::PathPattern;

/// A text that is no template, or one that does not go with its route.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{template}`: {fault}")]
pub struct TemplateError {
    /// The text.
    pub template: String,
    /// What is wrong with it.
    pub fault: TemplateFault,
}

/// What is wrong with a template.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateFault {
    /// A brace without its other half.
    #[error("a `{{` or `}}` stands alone; write `{{{{` or `}}}}` for the character itself")]
    Brace,
    /// A name the route's path does not have.
    #[error("the route's path has no parameter `{name}`; it has: {known}")]
    UnknownParam {
        /// The name.
        name: String,
        /// The names that could stand there.
        known: String,
    },
    /// A character that cannot be there unescaped.
    #[error("`{0}` cannot be in a URI; write it percent-encoded")]
    Character(char),
    /// Not a path from the root.
    #[error("it must start with `/`")]
    NotAbsolute,
    /// Neither a path nor an `http` or `https` URI.
    #[error("it must start with `/`, `{{path}}`, `{{scheme}}://`, `http://` or `https://`")]
    NotATarget,
    /// A query or fragment where only a path may be.
    #[error("a prefix is a path only: it cannot have `{0}`")]
    NotAPath(char),
    /// A prefix that requests to this route never have.
    #[error("no path of this route starts with it, so there is nothing to strip")]
    NothingToStrip,
    /// A `.` or `..` segment.
    #[error("it has a `.` or `..` segment or a broken escape")]
    Ambiguous,
}

/// A text with parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template {
    text: Box<str>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(Box<str>),
    Param(Box<str>),
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Template {
    pub(super) fn parse(text: &str) -> Result<Self, TemplateError> {
        let parts = parts(text).map_err(|fault| TemplateError {
            template: text.to_owned(),
            fault,
        })?;
        Ok(Self {
            text: text.into(),
            parts,
        })
    }

    pub(super) fn fault(&self, fault: TemplateFault) -> TemplateError {
        TemplateError {
            template: self.text.to_string(),
            fault,
        }
    }

    /// Whether every name is one of `pattern`'s or of `builtin`.
    pub(super) fn check(
        &self,
        pattern: &PathPattern,
        builtin: &[&str],
    ) -> Result<(), TemplateError> {
        let known = || pattern.params().chain(builtin.iter().copied());
        for part in &self.parts {
            if let Part::Param(name) = part
                && !known().any(|other| *other == **name)
            {
                let mut names: Vec<_> = known().map(|name| format!("`{name}`")).collect();
                if names.is_empty() {
                    names.push("none".to_owned());
                }
                return Err(self.fault(TemplateFault::UnknownParam {
                    name: name.to_string(),
                    known: names.join(", "),
                }));
            }
        }
        Ok(())
    }

    /// The literal it starts with, empty when a parameter comes first.
    pub(super) fn literal_start(&self) -> &str {
        match self.parts.first() {
            Some(Part::Literal(literal)) => literal,
            _ => "",
        }
    }

    pub(super) fn starts_with_param(&self, name: &str) -> bool {
        matches!(self.parts.first(), Some(Part::Param(first)) if **first == *name)
    }

    pub(super) fn literals(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Literal(literal) => Some(literal.as_ref()),
            Part::Param(_) => None,
        })
    }

    /// Appends the text to `output`. A name that neither `params` nor `builtin` knows
    /// becomes nothing; [`check`](Self::check) finds such names beforehand.
    pub(super) fn render<'a>(
        &'a self,
        params: &Params<'a>,
        builtin: impl Fn(&str) -> Option<&'a str>,
        output: &mut String,
    ) {
        for part in &self.parts {
            output.push_str(match part {
                Part::Literal(literal) => literal,
                Part::Param(name) => params
                    .get(name)
                    .or_else(|| builtin(name))
                    .unwrap_or_default(),
            });
        }
    }
}

fn parts(text: &str) -> Result<Vec<Part>, TemplateFault> {
    let foreign = |character: &char| !character.is_ascii_graphic() || *character == '\\';
    if let Some(character) = text.chars().find(foreign) {
        return Err(TemplateFault::Character(character));
    }
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut left = text;
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
            let inside = from_brace.strip_prefix('{');
            let (name, after) = inside
                .and_then(|inside| inside.split_once('}'))
                .ok_or(TemplateFault::Brace)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal).into()));
            }
            // The pattern's own spelling of a rest is understood too.
            parts.push(Part::Param(name.strip_prefix('*').unwrap_or(name).into()));
            left = after;
        }
    }
    literal.push_str(left);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal.into()));
    }
    Ok(parts)
}

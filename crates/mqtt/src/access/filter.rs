//! Topic filters of rules: ordinary ones, in which the client's own names may stand.

use std::str::FromStr;

use crate::broker::access::Client;
use crate::codec::{TopicError, TopicFilter};

/// Where the user name goes.
const USER: &str = "{user}";
/// Where the Client Identifier goes.
const CLIENT_ID: &str = "{client_id}";

/// A topic filter in which `{user}` and `{client_id}` stand for the names of the client
/// that is asked about. A name fills a part of one level: one with `/`, `+` or `#` in it,
/// with `$` at its start, or an empty one, does not fit, lest a client choose what a rule
/// means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFilter {
    levels: Box<[Level]>,
}

/// Why a text is no topic filter of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RuleFilterError {
    /// It is no topic filter.
    #[error(transparent)]
    Filter(#[from] TopicError),
    /// A rule is about the filter behind the name of the group.
    #[error("a rule cannot be for a shared subscription alone")]
    Shared,
    /// Braces around something else.
    #[error("only {{user}} and {{client_id}} can stand in braces")]
    Placeholder,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Level {
    /// `#`.
    All,
    /// `+`.
    Any,
    Text(Box<str>),
    Parts(Box<[Part]>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    User,
    ClientId,
}

/// How a rule's level and a topic's or filter's fit together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    /// Not at all.
    None,
    /// This level is within the rule's.
    Within,
    /// This level is more than the rule's, but has it in it.
    Beyond,
    /// This level, and all levels behind it.
    Rest,
}

impl RuleFilter {
    /// Whether all topics of `filter`, or `filter` if it is a topic, are meant for `client`.
    #[must_use]
    pub fn covers(&self, client: Client<'_>, filter: &str) -> bool {
        let mut asked = filter.split('/');
        for (depth, level) in self.levels.iter().enumerate() {
            let Some(text) = asked.next() else {
                // `a/#` is for `a` as well.
                return *level == Level::All;
            };
            match level.fit(client, depth, text) {
                Fit::Within => {}
                Fit::Rest if *level == Level::All => return true,
                Fit::None | Fit::Beyond | Fit::Rest => return false,
            }
        }
        asked.next().is_none()
    }

    /// Whether some topic of `filter` is meant for `client`, or may be: where a name of the
    /// client does not fit, anything may.
    #[must_use]
    pub fn meets(&self, client: Client<'_>, filter: &str) -> bool {
        let mut asked = filter.split('/');
        for (depth, level) in self.levels.iter().enumerate() {
            let Some(text) = asked.next() else {
                return *level == Level::All;
            };
            if level.lacks_name(client) {
                return true;
            }
            match level.fit(client, depth, text) {
                Fit::None => return false,
                Fit::Within | Fit::Beyond => {}
                Fit::Rest => return true,
            }
        }
        // `a` and `a/#` have `a` in common.
        asked.next().is_none_or(|text| text == "#")
    }
}

impl Level {
    fn fit(&self, client: Client<'_>, depth: usize, asked: &str) -> Fit {
        // No wildcard at the start is for what begins with `$` (MQTT-4.7.2-1).
        let hides = |text: &str| depth == 0 && text.starts_with('$');
        match (self, asked) {
            (Self::All, _) if hides(asked) => Fit::None,
            (Self::All, _) => Fit::Rest,
            (Self::Any, "#") => Fit::Rest,
            (Self::Any, _) if hides(asked) => Fit::None,
            (Self::Any, _) => Fit::Within,
            (Self::Text(text), "#" | "+") if hides(text) => Fit::None,
            (Self::Parts(parts), "#" | "+") if matches!(parts.first(), Some(Part::Text(text)) if hides(text)) => {
                Fit::None
            }
            (Self::Text(_) | Self::Parts(_), "#") => Fit::Rest,
            (Self::Text(_) | Self::Parts(_), "+") => Fit::Beyond,
            (Self::Text(text), asked) if **text == *asked => Fit::Within,
            (Self::Parts(parts), asked) if fills(parts, client, asked) => Fit::Within,
            (Self::Text(_) | Self::Parts(_), _) => Fit::None,
        }
    }

    fn lacks_name(&self, client: Client<'_>) -> bool {
        match self {
            Self::Parts(parts) => parts.iter().any(|part| part.text(client).is_none()),
            Self::All | Self::Any | Self::Text(_) => false,
        }
    }
}

fn fills(parts: &[Part], client: Client<'_>, asked: &str) -> bool {
    let mut rest = asked;
    for part in parts {
        match part.text(client).and_then(|text| rest.strip_prefix(text)) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    rest.is_empty()
}

impl Part {
    /// What stands there for this client; none if its name does not fit.
    fn text<'a>(&'a self, client: Client<'a>) -> Option<&'a str> {
        let name = match self {
            Self::Text(text) => return Some(text),
            Self::User => client.identity.user.as_deref()?,
            Self::ClientId => client.id,
        };
        let fits = !name.is_empty() && !name.starts_with('$') && !name.contains(['/', '+', '#']);
        fits.then_some(name)
    }
}

impl FromStr for RuleFilter {
    type Err = RuleFilterError;

    fn from_str(text: &str) -> Result<Self, RuleFilterError> {
        let filter = TopicFilter::try_from(text)?;
        if filter.share_name().is_some() {
            return Err(RuleFilterError::Shared);
        }
        let levels = text.split('/').map(parse_level);
        Ok(Self {
            levels: levels.collect::<Result<_, _>>()?,
        })
    }
}

fn parse_level(text: &str) -> Result<Level, RuleFilterError> {
    match text {
        "#" => return Ok(Level::All),
        "+" => return Ok(Level::Any),
        text if !text.contains(['{', '}']) => return Ok(Level::Text(text.into())),
        _ => {}
    }
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        if at > 0 {
            parts.push(Part::Text(rest[..at].into()));
        }
        rest = &rest[at..];
        let (part, behind) = match (rest.strip_prefix(USER), rest.strip_prefix(CLIENT_ID)) {
            (Some(behind), _) => (Part::User, behind),
            (_, Some(behind)) => (Part::ClientId, behind),
            (None, None) => return Err(RuleFilterError::Placeholder),
        };
        parts.push(part);
        rest = behind;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.into()));
    }
    Ok(Level::Parts(parts.into()))
}

#[cfg(test)]
mod tests;
